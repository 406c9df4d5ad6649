"""What the client's own tests cannot reach: waiting for a turn, and the size of a request."""

import socket
import threading
import time

import pytest

from akool_dagster.akool import Timeouts
from akool_dagster.akool.credentials import NoHeader
from akool_dagster.akool.transport import Answer, NoAnswer, Request, Transport
from akool_dagster_tests.akool import raw_server
from akool_dagster_tests.akool.raw_server import RawServer


def transport(url: str, *, pool_size: int = 1) -> Transport:
    timeouts = Timeouts(connect_seconds=2, read_seconds=2, total_seconds=5)
    return Transport(url, timeouts=timeouts, pool_size=pool_size, redact=lambda text: text)


def test_a_read_waits_for_its_turn_and_then_says_so():
    arrived, release = threading.Event(), threading.Event()

    def held(connection) -> None:
        raw_server.read_request(connection)
        arrived.set()
        release.wait(5)
        connection.sendall(raw_server.response(b"{}", extra="Connection: close\r\n"))

    with RawServer(held) as server:
        shared = transport(server.url)
        get = Request(method="GET", path="/")
        first = threading.Thread(target=lambda: shared.exchange(get, auth=NoHeader(), seconds=5))
        first.start()
        arrived.wait(5)
        outcome = shared.exchange(get, auth=NoHeader(), seconds=0.1)
        assert outcome == NoAnswer(reason="all 1 connections were busy for 0.1 s", body_left=False)
        release.set()
        first.join()
        assert isinstance(shared.exchange(get, auth=NoHeader(), seconds=5), Answer)
        shared.close()


def test_a_large_request_arrives_whole():
    body = b"x" * 1_000_000
    with RawServer() as server:
        server._scripts = [server.reading(raw_server.send(raw_server.response(b"{}")))]
        post = Request(method="POST", path="/", body=body)
        outcome = transport(server.url).exchange(
            post, auth=NoHeader(), seconds=5, own_connection=True
        )
        assert isinstance(outcome, Answer)
        assert server.requests[0].endswith(b"\r\n\r\n" + body)


def sips(connection: socket.socket) -> None:
    for _ in range(40):
        connection.recv(100_000)
        time.sleep(0.05)


@pytest.mark.parametrize("script", [raw_server.wait(2.0), sips], ids=["not at all", "slowly"])
def test_a_server_that_does_not_take_the_request_is_cut_off(script: raw_server.Script):
    with RawServer(script) as server:
        post = Request(method="POST", path="/", body=b"x" * 50_000_000)
        started = time.monotonic()
        outcome = transport(server.url).exchange(
            post, auth=NoHeader(), seconds=0.3, own_connection=True
        )
        assert time.monotonic() - started < 1.2
    assert isinstance(outcome, NoAnswer)
    assert outcome.body_left


def test_a_refusal_before_the_end_of_the_request_is_read():
    def impatient(connection) -> None:
        connection.recv(1000)
        connection.sendall(raw_server.response(b"", status="413 Content Too Large"))

    with RawServer(impatient) as server:
        post = Request(method="POST", path="/", body=b"x" * 1000)
        outcome = transport(server.url).exchange(
            post, auth=NoHeader(), seconds=2, own_connection=True
        )
    assert isinstance(outcome, Answer)
    assert outcome.http_status == 413


def test_reads_share_a_connection():
    answer = raw_server.send(raw_server.response(b"{}"))
    with RawServer() as server:
        server._scripts = [raw_server.sequence(*[server.reading(answer)] * 3)]
        shared = transport(server.url)
        get = Request(method="GET", path="/")
        for _ in range(3):
            shared.exchange(get, auth=NoHeader(), seconds=2)
        shared.close()
    assert (server.connections, len(server.requests)) == (1, 3)
