"""Downloads from real loopback servers that keep, bend and break the rules of HTTP."""

import contextlib
import hashlib
import logging
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug import Response

from akool_dagster.downloads import (
    BadDownload,
    Downloader,
    DownloadError,
    DownloadInterrupted,
    DownloadRetries,
    DownloadTimeouts,
    LinkDied,
    SavedFile,
    audio_extension,
    redacted,
)
from akool_dagster.storage import Storage, StorageError, open_storage
from akool_dagster_tests.test_media import MP3, MP4, WAV, make_media

MIB = 1 << 20
KEY = "m.s"
QUICK = DownloadTimeouts(connect_seconds=2, read_seconds=0.3, total_seconds=20)

needs_kept_parts = pytest.mark.skipif(
    not Path("/proc/sys/kernel/random/boot_id").exists(), reason="parts are kept on Linux only"
)


def padded(data: bytes, size: int) -> bytes:
    """Makes an MP4 larger by a box that players skip."""
    return data + struct.pack(">I4s", size, b"free") + bytes(size - 8)


FILM = MP4
OTHER_FILM = make_media("mp4", shade=120)
LARGE_FILM = padded(MP4, 3 * MIB)


# A server below the level of HTTP libraries


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]

    @property
    def first_byte(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class Answer:
    """What is sent: after ``cut`` bytes of the body the connection ends, if wanted by a reset."""

    body: bytes = b""
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = -1  # -1: that of the body; None: no Content-Length
    cut: int | None = None
    reset: bool = False
    wait_at_cut: threading.Event | None = None
    drip_seconds: float | None = None


Script = Callable[[Request], Answer]


class Host:
    """A media host whose every answer comes from a function."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: Script = lambda request: Answer(status="404 Not Found")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/out.mp4"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            lines = self._head(connection).decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            request = Request(
                lines[0].split()[1], {name.lower(): value for name, value in headers.items()}
            )
            self.requests.append(request)
            self._send(connection, self.script(request))

    @staticmethod
    def _head(connection: socket.socket) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            if not piece:
                raise ConnectionResetError
            head += piece
        return head

    @staticmethod
    def _send(connection: socket.socket, answer: Answer) -> None:
        headers = {"Connection": "close"} | answer.headers
        if answer.length is not None:
            length = len(answer.body) if answer.length == -1 else answer.length
            headers["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {answer.status}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        body = answer.body if answer.cut is None else answer.body[: answer.cut]
        if answer.drip_seconds is None:
            connection.sendall(body)
        else:
            for start in range(len(body)):
                connection.sendall(body[start : start + 1])
                time.sleep(answer.drip_seconds)
        if answer.wait_at_cut is not None:
            answer.wait_at_cut.wait(10)
        if answer.reset:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def by_the_rules(
    data: bytes, request: Request, *, etag: str | None = '"v1"', modified: str | None = None
) -> Answer:
    """The whole file, or the rest that was asked for of this very version."""
    headers = {"Content-Type": "video/mp4"}
    headers |= {"ETag": etag} if etag else {}
    headers |= {"Last-Modified": modified} if modified else {}
    start = request.first_byte
    wanted = request.headers.get("if-range")
    if not start or (wanted is not None and wanted not in {etag, modified}):
        return Answer(data, headers=headers)
    if start >= len(data):
        return Answer(status="416 Range Not Satisfiable", headers=headers)
    headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    return Answer(data[start:], "206 Partial Content", headers)


def cut(answer: Answer, at: int, *, reset: bool = False) -> Answer:
    return Answer(answer.body, answer.status, answer.headers, cut=at, reset=reset)


def in_turn(*scripts: Script) -> Script:
    """One script for each request; the last one for all that follow."""
    rest = iter(scripts[:-1])

    def answer(request: Request) -> Answer:
        script = next(rest, scripts[-1])
        return script(request)

    return answer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def host() -> Iterator[Host]:
    server = Host()
    yield server
    server.close()


@pytest.fixture
def storage(tmp_path) -> Storage:
    return open_storage(str(tmp_path / "data"))


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def downloader(pauses) -> Iterator[Downloader]:
    with Downloader(timeouts=QUICK, sleep=pauses.append) as made:
        yield made


def fetch(downloader: Downloader, url: str, storage: Storage) -> SavedFile:
    return downloader.fetch(url, storage.video_path(KEY), storage=storage, expect="video")


def files_of(storage: Storage) -> list[str]:
    root = Path(storage.root.path)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# Whole files


def test_a_whole_file_is_saved_and_described(host, storage, downloader):
    host.script = lambda request: by_the_rules(FILM, request)
    saved = fetch(downloader, host.url, storage)
    assert saved.path == storage.video_path(KEY)
    assert saved.path.read_bytes() == FILM
    assert saved.sha256 == hashlib.sha256(FILM).hexdigest()
    assert (saved.size_bytes, saved.resumed_bytes) == (len(FILM), 0)
    assert (saved.media.kind, saved.media.duration_seconds) == ("video", 1.0)
    assert files_of(storage) == ["videos/m/s.mp4"]


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "binary/octet-stream", "x"])
def test_a_host_may_be_vague_about_the_content(httpserver, storage, downloader, kind):
    httpserver.expect_request("/a").respond_with_response(Response(FILM, content_type=kind))
    assert fetch(downloader, httpserver.url_for("/a"), storage).path.read_bytes() == FILM


def chunked(data: bytes) -> Answer:
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return Answer(body, headers={"Transfer-Encoding": "chunked", "ETag": '"v1"'}, length=None)


def test_no_length_is_needed_when_the_chunks_tell_the_end(host, storage, downloader):
    host.script = lambda request: chunked(FILM)
    assert fetch(downloader, host.url, storage).path.read_bytes() == FILM


def test_chunks_that_end_too_early_are_resumed(host, storage, downloader):
    host.script = in_turn(
        lambda request: cut(chunked(FILM), 6000), lambda request: by_the_rules(FILM, request)
    )
    saved = fetch(downloader, host.url, storage)
    assert saved.path.read_bytes() == FILM
    assert saved.resumed_bytes == host.requests[1].first_byte > 0


def test_a_new_file_replaces_the_old_one(host, storage, downloader):
    storage.install_bytes(storage.video_path(KEY), b"old")
    host.script = lambda request: by_the_rules(FILM, request)
    assert fetch(downloader, host.url, storage).path.read_bytes() == FILM


def test_a_remote_root(host, downloader, tmp_path, monkeypatch):
    MemoryFileSystem.store.clear()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    storage = open_storage("memory://bucket/akool")
    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE_FILM, request), 2 * MIB),
        lambda request: by_the_rules(LARGE_FILM, request),
    )
    saved = fetch(downloader, host.url, storage)
    assert str(saved.path) == "memory://bucket/akool/videos/m/s.mp4"
    assert saved.path.read_bytes() == LARGE_FILM
    assert saved.resumed_bytes == 2 * MIB
    assert list(temporary.iterdir()) == []


def test_many_threads_share_one_downloader(host, storage, downloader):
    host.script = lambda request: by_the_rules(FILM, request)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            target = storage.video_path(f"m.row-{number}")
            downloader.fetch(host.url, target, storage=storage, expect="video")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(files_of(storage)) == 24
    assert all((storage.root / name).read_bytes() == FILM for name in files_of(storage))


def test_memory_does_not_grow_with_the_file(host, storage, downloader):
    data = padded(FILM, 40 * MIB)
    host.script = lambda request: by_the_rules(data, request)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        fetch(downloader, host.url, storage)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 6 * MIB


# Voices


@pytest.mark.parametrize(
    ("content_type", "url", "extension"),
    [
        ("audio/mpeg", "https://cdn.example/a.wav", "mp3"),
        ("audio/x-wav; charset=binary", "https://cdn.example/a", "wav"),
        ("AUDIO/MP4", "https://cdn.example/a", "m4a"),
        ("application/octet-stream", "https://cdn.example/a.WAV?x=.ogg", "wav"),
        (None, "https://cdn.example/a%2Eogg", "ogg"),
        ("binary/octet-stream", "https://cdn.example/a.exe", "mp3"),
        (None, "https://cdn.example/", "mp3"),
    ],
)
def test_audio_extension(content_type, url, extension):
    assert audio_extension(content_type, url) == extension


@pytest.mark.parametrize(("data", "kind"), [(MP3, "mpeg"), (WAV, "wav")])
def test_a_voice_gets_the_extension_of_what_the_host_sends(
    httpserver, storage, downloader, data, kind
):
    httpserver.expect_request("/a").respond_with_data(data, content_type=f"audio/{kind}")
    saved = downloader.fetch(
        httpserver.url_for("/a"),
        lambda extension: storage.voice_path(KEY, extension),
        storage=storage,
        expect="audio",
    )
    assert saved.path == storage.voice_path(KEY, {"mpeg": "mp3", "wav": "wav"}[kind])
    assert saved.path.read_bytes() == data


# What is no such file


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"<html>Sign in</html>", headers={"Content-Type": "text/html"}), "text/html"),
        (Answer(b"{}", headers={"Content-Type": "application/json"}), "application/json"),
        (Answer(b"<a/>", headers={"Content-Type": "application/xml"}), "application/xml"),
        (Answer(b"<!doctype html>" + bytes(99)), "HTML page"),
        (Answer(b'{"code":1101}'), "JSON"),
        (Answer(b""), "empty"),
        (Answer(FILM[:-1]), "cut off"),
        (Answer(FILM[: len(FILM) // 2], length=None), "cut off"),
        (Answer(FILM, length=len(FILM) - 10), "cut off"),
        (Answer(MP3), "no moving pictures"),
        (Answer(FILM, headers={"Content-Encoding": "gzip"}), "compressed"),
        (Answer(status="204 No Content", length=None), "HTTP 204"),
        (Answer(status="302 Found"), "HTTP 302"),
    ],
)
def test_what_is_no_such_file_is_refused(host, storage, downloader, pauses, answer, words):
    storage.install_bytes(storage.video_path(KEY), b"old")
    host.script = lambda request: answer
    with pytest.raises(BadDownload, match=words):
        fetch(downloader, host.url, storage)
    assert storage.video_path(KEY).read_bytes() == b"old"
    assert files_of(storage) == ["videos/m/s.mp4"]
    assert pauses == []


def test_a_film_without_sound_is_no_voice(host, storage, downloader):
    silent = make_media("mp4", audio=None)
    host.script = lambda request: by_the_rules(silent, request)
    with pytest.raises(BadDownload, match="no sound"):
        downloader.fetch(host.url, storage.voice_path(KEY, "mp3"), storage=storage, expect="audio")


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_above_the_limit_is_refused(host, storage, announced):
    answer = Answer(FILM, length=-1 if announced else None)
    host.script = lambda request: answer
    with (
        Downloader(timeouts=QUICK, max_bytes=len(FILM) - 1) as downloader,
        pytest.raises(BadDownload, match=f"limit of {len(FILM) - 1} bytes"),
    ):
        fetch(downloader, host.url, storage)
    assert files_of(storage) == []
    with Downloader(timeouts=QUICK, max_bytes=len(FILM)) as downloader:
        fetch(downloader, host.url, storage)


def test_a_file_above_the_limit_is_refused_before_it_comes(host, storage, downloader):
    host.script = lambda request: Answer(b"x", length=5 << 30)
    with pytest.raises(BadDownload, match=f"limit of {4 << 30} bytes"):
        fetch(downloader, host.url, storage)
    assert len(host.requests) == 1


# Links that died


S3_ERROR = (
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message>'
    b"<AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>"
)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_dead_link(httpserver, storage, downloader, pauses, status):
    httpserver.expect_request("/a").respond_with_data(b"gone", status=status)
    with pytest.raises(LinkDied, match=f"HTTP {status}") as caught:
        fetch(downloader, httpserver.url_for("/a"), storage)
    assert "fresh link" in str(caught.value)
    assert len(httpserver.log) == 1
    assert pauses == []
    assert files_of(storage) == []


@pytest.mark.parametrize("status", [200, 403])
def test_a_dead_link_of_s3_shows_its_code_and_nothing_else(httpserver, storage, downloader, status):
    httpserver.expect_request("/a").respond_with_data(
        S3_ERROR, status=status, content_type="application/xml"
    )
    with pytest.raises(LinkDied, match="AccessDenied") as caught:
        fetch(downloader, httpserver.url_for("/a"), storage)
    assert "AKIASECRET" not in str(caught.value)


def test_a_link_that_dies_in_the_middle_leaves_nothing(host, storage, downloader):
    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE_FILM, request), 2 * MIB),
        lambda request: Answer(status="403 Forbidden"),
    )
    with pytest.raises(LinkDied):
        fetch(downloader, host.url, storage)
    assert files_of(storage) == []


@pytest.mark.parametrize(
    ("answer", "alive"),
    [
        (by_the_rules(FILM, Request("/", {})), True),
        (Answer(b"x", "206 Partial Content"), True),
        (Answer(status="503 Service Unavailable"), True),
        (Answer(cut=0, length=5, reset=True), True),
        (Answer(status="403 Forbidden"), False),
        (Answer(status="404 Not Found"), False),
    ],
)
def test_a_link_is_alive_unless_its_host_denies_it(host, downloader, answer, alive):
    host.script = lambda request: answer
    assert downloader.is_alive(host.url) is alive
    assert host.requests[0].headers["range"] == "bytes=0-0"


def test_a_host_that_cannot_be_reached_says_nothing_of_its_link(downloader):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert downloader.is_alive(f"http://127.0.0.1:{port}/a")


# Redirects


def test_redirects_are_followed(httpserver, storage, downloader):
    for number, target in enumerate(["/1", "2", "/3"]):
        httpserver.expect_request(f"/{number}").respond_with_response(
            Response(status=(301, 302, 307)[number], headers={"Location": target})
        )
    httpserver.expect_request("/3").respond_with_data(FILM, content_type="video/mp4")
    assert fetch(downloader, httpserver.url_for("/0"), storage).path.read_bytes() == FILM


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:video/mp4,x", "http://["],
)
def test_only_the_web_is_followed(host, storage, downloader, location):
    host.script = lambda request: Answer(status="302 Found", headers={"Location": location})
    with pytest.raises(BadDownload, match="not a"):
        fetch(downloader, host.url, storage)


@pytest.mark.parametrize(
    "url", ["", "out.mp4", "file:///etc/passwd", "ftp://h/a", "http://", "http://[", "http://a b/"]
)
def test_only_web_links_are_fetched(storage, downloader, url):
    with pytest.raises(BadDownload, match="not a"):
        fetch(downloader, url, storage)


def test_a_ring_of_redirects_ends(httpserver, storage, downloader):
    httpserver.expect_request("/a").respond_with_response(
        Response(status=302, headers={"Location": "/a"})
    )
    with pytest.raises(BadDownload, match="redirected more than 5 times"):
        fetch(downloader, httpserver.url_for("/a"), storage)
    assert len(httpserver.log) == 6


# Broken connections


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_broken_connection_is_resumed(host, storage, downloader, pauses, reset):
    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE_FILM, request), 2 * MIB, reset=reset),
        lambda request: by_the_rules(LARGE_FILM, request),
    )
    saved = fetch(downloader, host.url, storage)
    assert saved.path.read_bytes() == LARGE_FILM
    assert saved.sha256 == hashlib.sha256(LARGE_FILM).hexdigest()
    assert len(host.requests) == 2
    assert host.requests[1].headers["if-range"] == '"v1"'
    assert host.requests[1].first_byte == saved.resumed_bytes > 0
    assert len(pauses) == 1


def test_a_date_ties_the_rest_if_there_is_no_strong_etag(host, storage, downloader):
    date = formatdate(1_700_000_000, usegmt=True)
    host.script = in_turn(
        lambda request: cut(by_the_rules(FILM, request, etag='W/"v1"', modified=date), 5000),
        lambda request: by_the_rules(FILM, request, etag='W/"v1"', modified=date),
    )
    saved = fetch(downloader, host.url, storage)
    assert host.requests[1].headers["if-range"] == date
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (5000, FILM)


def test_without_a_mark_of_its_version_a_file_starts_over(host, storage, downloader):
    host.script = in_turn(
        lambda request: cut(by_the_rules(FILM, request, etag=None), 5000),
        lambda request: by_the_rules(FILM, request, etag=None),
    )
    saved = fetch(downloader, host.url, storage)
    assert "range" not in host.requests[1].headers
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (0, FILM)


def test_a_host_that_ignores_ranges_starts_over(host, storage, downloader):
    whole = Answer(FILM, headers={"ETag": '"v1"'})
    host.script = in_turn(lambda request: cut(whole, 5000), lambda request: whole)
    saved = fetch(downloader, host.url, storage)
    assert [request.first_byte for request in host.requests] == [0, 5000]
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (0, FILM)


def test_a_file_that_changed_meanwhile_starts_over(host, storage, downloader):
    host.script = in_turn(
        lambda request: cut(by_the_rules(FILM, request), 5000),
        lambda request: by_the_rules(OTHER_FILM, request, etag='"v2"'),
    )
    saved = fetch(downloader, host.url, storage)
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (0, OTHER_FILM)
    assert files_of(storage) == ["videos/m/s.mp4"]


@pytest.mark.parametrize(
    "lie",
    [
        {"Content-Range": f"bytes 0-{len(FILM) - 1}/{len(FILM)}"},
        {"Content-Range": f"bytes 5000-{len(FILM)}/{len(FILM) + 1}"},
        {"Content-Range": "nonsense"},
        {"Content-Range": f"bytes 5000-{len(FILM) - 1}/{len(FILM)}", "ETag": '"v2"'},
        {},
    ],
    ids=["other start", "other size", "nonsense", "other version", "none"],
)
def test_a_rest_that_does_not_fit_is_not_used(host, storage, downloader, lie):
    host.script = in_turn(
        lambda request: cut(by_the_rules(FILM, request), 5000),
        lambda request: Answer(OTHER_FILM[5000:], "206 Partial Content", {"ETag": '"v1"'} | lie),
        lambda request: by_the_rules(FILM, request),
    )
    saved = fetch(downloader, host.url, storage)
    assert "range" not in host.requests[2].headers
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (0, FILM)


def test_a_refused_range_starts_over(host, storage, downloader):
    host.script = in_turn(
        lambda request: cut(by_the_rules(FILM, request), 5000),
        lambda request: Answer(status="416 Range Not Satisfiable"),
        lambda request: by_the_rules(FILM, request),
    )
    assert fetch(downloader, host.url, storage).path.read_bytes() == FILM
    assert [request.first_byte for request in host.requests] == [0, 5000, 0]


def test_the_rest_may_come_in_several_parts(host, storage, downloader):
    def piecewise(request: Request) -> Answer:
        answer = by_the_rules(FILM, request)
        if answer.status.startswith("200"):
            return cut(answer, 1000)
        start = request.first_byte
        end = min(start + 3000, len(FILM))
        headers = answer.headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(FILM)}"}
        return Answer(FILM[start:end], answer.status, headers)

    host.script = piecewise
    with Downloader(
        timeouts=QUICK, sleep=lambda _: None, retries=DownloadRetries(attempts=50)
    ) as patient:
        assert fetch(patient, host.url, storage).path.read_bytes() == FILM


def test_a_slow_line_is_forgiven_as_long_as_it_brings_something(host, storage, downloader):
    """Ten broken connections, twice as many as are allowed in a row without progress."""
    data = padded(FILM, 12 * MIB)
    host.script = lambda request: cut(by_the_rules(data, request), MIB + 1)
    saved = fetch(downloader, host.url, storage)
    assert saved.path.read_bytes() == data
    assert len(host.requests) >= 10


@pytest.mark.parametrize(
    "answer",
    [
        Answer(FILM, cut=0),
        Answer(FILM, cut=0, reset=True),
        Answer(FILM, cut=5000),
        Answer(FILM, length=len(FILM) + 1),
        Answer(b"5\r\nhel", headers={"Transfer-Encoding": "chunked"}, length=None),
        Answer(b"xyz\r\n", headers={"Transfer-Encoding": "chunked"}, length=None),
        Answer(status="503 Service Unavailable"),
        Answer(status="500 Internal Server Error"),
        Answer(status="429 Too Many Requests"),
        Answer(status="408 Request Timeout"),
    ],
)
def test_lasting_trouble_interrupts(host, storage, downloader, pauses, answer):
    storage.install_bytes(storage.video_path(KEY), b"old")
    host.script = lambda request: answer
    with pytest.raises(DownloadInterrupted, match="5 times in a row"):
        fetch(downloader, host.url, storage)
    assert storage.video_path(KEY).read_bytes() == b"old"
    assert files_of(storage) == ["videos/m/s.mp4"]
    assert (len(host.requests), len(pauses)) == (5, 4)


def test_a_host_that_does_not_exist(storage, downloader):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DownloadInterrupted, match="connection broke"):
        fetch(downloader, f"http://127.0.0.1:{port}/a", storage)


def test_a_host_that_speaks_no_http(storage, downloader):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            for _ in range(5):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"220 ftp ready\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(DownloadInterrupted, match="connection broke"):
            fetch(downloader, f"http://127.0.0.1:{listener.getsockname()[1]}/a", storage)
        thread.join()


def test_a_silent_host_is_given_up(host, storage):
    event = threading.Event()
    host.script = lambda request: Answer(FILM, cut=5000, wait_at_cut=event)
    with (
        Downloader(timeouts=QUICK, retries=DownloadRetries(attempts=1)) as downloader,
        pytest.raises(DownloadInterrupted, match="fell silent"),
    ):
        fetch(downloader, host.url, storage)
    event.set()


def test_a_dripping_host_is_given_up(host, storage):
    host.script = lambda request: Answer(FILM, drip_seconds=0.02, cut=100)
    with (
        Downloader(timeouts=QUICK, retries=DownloadRetries(attempts=1)) as downloader,
        pytest.raises(DownloadInterrupted, match=r"sent only \d+ bytes"),
    ):
        fetch(downloader, host.url, storage)


def test_the_time_for_one_file_ends(host, storage):
    host.script = lambda request: Answer(FILM, drip_seconds=0.02, cut=100)
    limits = DownloadTimeouts(read_seconds=5, total_seconds=0.3)
    started = time.monotonic()
    with (
        Downloader(timeouts=limits) as downloader,
        pytest.raises(DownloadInterrupted, match="time for one file is over"),
    ):
        fetch(downloader, host.url, storage)
    assert time.monotonic() - started < 1.5


def test_pauses_grow_with_jitter(host, storage):
    pauses: list[float] = []
    host.script = lambda request: Answer(status="503 Service Unavailable")
    limits = DownloadRetries(attempts=7, first_pause_seconds=1, longest_pause_seconds=8)
    with (
        Downloader(retries=limits, sleep=pauses.append, random=lambda: 0.5) as downloader,
        pytest.raises(DownloadInterrupted),
    ):
        fetch(downloader, host.url, storage)
    assert pauses == [0.5, 1, 2, 4, 4, 4]


@pytest.mark.parametrize(
    "value", ["7", lambda: formatdate(time.time() + 8, usegmt=True)], ids=["seconds", "date"]
)
def test_the_hosts_wish_to_wait_is_respected(host, storage, downloader, pauses, value):
    wish = value if isinstance(value, str) else value()
    host.script = in_turn(
        lambda request: Answer(status="429 Slow Down", headers={"Retry-After": wish}),
        lambda request: by_the_rules(FILM, request),
    )
    fetch(downloader, host.url, storage)
    assert pauses == [pytest.approx(7, abs=1.1)]


def test_a_wish_to_wait_too_long_interrupts(host, storage, downloader, pauses):
    host.script = lambda request: Answer(
        status="503 Service Unavailable", headers={"Retry-After": "3600"}
    )
    with pytest.raises(DownloadInterrupted, match="asks to wait 3600 s"):
        fetch(downloader, host.url, storage)
    assert pauses == []


def test_a_wish_that_cannot_be_read_is_ignored(host, storage, downloader, pauses):
    host.script = in_turn(
        lambda request: Answer(status="503 Busy", headers={"Retry-After": "soon"}),
        lambda request: by_the_rules(FILM, request),
    )
    fetch(downloader, host.url, storage)
    assert len(pauses) == 1


# What stays of an interrupted download


@needs_kept_parts
def test_an_interrupted_download_goes_on_later(host, storage, downloader):
    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE_FILM, request), 2 * MIB),
        lambda request: Answer(status="503 Service Unavailable"),
    )
    with pytest.raises(DownloadInterrupted):
        fetch(downloader, host.url, storage)
    assert len(files_of(storage)) == 1
    host.requests.clear()
    host.script = lambda request: by_the_rules(LARGE_FILM, request)
    saved = fetch(downloader, host.url, storage)
    assert [request.first_byte for request in host.requests] == [0, 2 * MIB]
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (2 * MIB, LARGE_FILM)
    assert saved.sha256 == hashlib.sha256(LARGE_FILM).hexdigest()
    assert files_of(storage) == ["videos/m/s.mp4"]


@needs_kept_parts
@pytest.mark.parametrize(
    ("suffix", "etag", "data"),
    [("?fresh", '"v1"', LARGE_FILM), ("", '"v2"', LARGE_FILM), ("", '"v1"', padded(MP4, 4 * MIB))],
    ids=["another link", "another version", "another size"],
)
def test_what_stays_is_not_used_for_anything_else(host, storage, downloader, suffix, etag, data):
    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE_FILM, request), 2 * MIB),
        lambda request: Answer(status="503 Service Unavailable"),
    )
    with pytest.raises(DownloadInterrupted):
        fetch(downloader, host.url, storage)
    host.script = lambda request: by_the_rules(data, request, etag=etag)
    saved = fetch(downloader, host.url + suffix, storage)
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (0, data)


@needs_kept_parts
def test_a_host_that_has_unlearned_ranges_starts_what_stays_over(host, storage, downloader):
    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE_FILM, request), 2 * MIB),
        lambda request: Answer(status="503 Service Unavailable"),
    )
    with pytest.raises(DownloadInterrupted):
        fetch(downloader, host.url, storage)
    host.script = lambda request: Answer(LARGE_FILM, headers={"ETag": '"v1"'})
    saved = fetch(downloader, host.url, storage)
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (0, LARGE_FILM)


FETCH_IN_A_PROCESS = """
import sys
from akool_dagster.downloads import Downloader, DownloadTimeouts
from akool_dagster.storage import open_storage
url, root = sys.argv[1:]
storage = open_storage(root)
target = storage.video_path("m.s")
Downloader().fetch(url, target, storage=storage, expect="video")
"""


@needs_kept_parts
@pytest.mark.parametrize("old", [None, b"old film"])
def test_a_killed_download_is_resumed_by_the_next_process(host, storage, downloader, old):
    if old is not None:
        storage.install_bytes(storage.video_path(KEY), old)
    event = threading.Event()
    data = padded(FILM, 6 * MIB)
    first = Answer(data, headers={"ETag": '"v1"'}, cut=4 * MIB, wait_at_cut=event)
    host.script = lambda request: first
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH_IN_A_PROCESS, host.url, str(storage.root)]
    )
    folder = Path(storage.root.path) / "videos" / "m"
    _wait_for(lambda: any(part.stat().st_size > 2 * MIB for part in folder.glob(".*.part")))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    event.set()
    path = storage.video_path(KEY)
    assert (path.read_bytes() if path.exists() else None) == old

    host.requests.clear()
    host.script = lambda request: by_the_rules(data, request)
    saved = fetch(downloader, host.url, storage)
    assert saved.resumed_bytes > 2 * MIB
    assert [request.first_byte for request in host.requests] == [0, saved.resumed_bytes]
    assert saved.path.read_bytes() == data
    assert saved.sha256 == hashlib.sha256(data).hexdigest()
    assert files_of(storage) == ["videos/m/s.mp4"]


@needs_kept_parts
def test_a_download_that_was_killed_before_its_last_step_needs_no_bytes(host, storage, downloader):
    identity = f'{host.url}\n"v1"\n{len(FILM)}'
    part = storage.open_part(storage.video_path(KEY), identity=identity)
    part.write(FILM)
    part.keep()
    host.script = lambda request: by_the_rules(FILM, request)
    saved = fetch(downloader, host.url, storage)
    assert (saved.resumed_bytes, saved.path.read_bytes()) == (len(FILM), FILM)
    assert len(host.requests) == 1


@needs_kept_parts
def test_a_stopped_run_leaves_what_has_come(host, storage):
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    host.script = lambda request: cut(by_the_rules(LARGE_FILM, request), 2 * MIB)
    with Downloader(timeouts=QUICK, sleep=stop) as downloader, pytest.raises(KeyboardInterrupt):
        fetch(downloader, host.url, storage)
    assert [name.rsplit(".", 1)[1] for name in files_of(storage)] == ["part"]


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 s"
        time.sleep(0.01)


# Disks


def test_a_disk_too_small_is_told_before_the_download(host, storage):
    host.script = lambda request: Answer(b"x", length=1 << 55)
    with (
        Downloader(timeouts=QUICK, max_bytes=1 << 60) as downloader,
        pytest.raises(StorageError, match="the disk is full"),
    ):
        fetch(downloader, host.url, storage)
    assert files_of(storage) == []


def test_a_disk_that_fills_up_leaves_the_old_file(host, storage):
    storage.install_bytes(storage.video_path(KEY), b"old")
    host.script = lambda request: by_the_rules(LARGE_FILM, request)
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n" + FETCH_IN_A_PROCESS
    )
    run = subprocess.run(
        [sys.executable, "-c", code, host.url, str(storage.root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "StorageError: Could not write" in run.stderr
    assert "Free some space" in run.stderr
    assert files_of(storage) == ["videos/m/s.mp4"]
    assert storage.video_path(KEY).read_bytes() == b"old"


# Secrets


def test_no_credential_is_sent_to_a_media_host(httpserver, storage, downloader, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    os.environ["NETRC"] = str(netrc)
    try:
        httpserver.expect_request("/a").respond_with_response(
            Response(
                status=302,
                headers={"Location": httpserver.url_for("/b"), "Set-Cookie": "tracker=1"},
            )
        )
        httpserver.expect_request("/b").respond_with_data(FILM, content_type="video/mp4")
        fetch(downloader, httpserver.url_for("/a"), storage)
        fetch(downloader, httpserver.url_for("/b").replace("://", "://user:secret@"), storage)
    finally:
        del os.environ["NETRC"]
    sent = [{name.lower() for name, _ in request.headers} for request, _ in httpserver.log]
    allowed = {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert len(sent) == 3
    assert all(names <= allowed for names in sent)


SECRET = "S3CR3TSIGNATURE"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status="404 Not Found"),
        Answer(status="503 Service Unavailable"),
        Answer(b"<html>", headers={"Content-Type": "text/html"}),
        Answer(FILM, cut=0, reset=True),
        Answer(FILM, cut=3000),
        Answer(FILM[:4000]),
        Answer(status="302 Found", headers={"Location": f"ftp://user:{SECRET}@h/a?{SECRET}"}),
        Answer(status="302 Found", headers={"Location": f"http://127.0.0.1:1/a?{SECRET}"}),
        Answer(status="302 Found", headers={"Location": f"/a?{SECRET}"}),
    ],
)
def test_no_signature_is_shown(host, storage, downloader, caplog, answer):
    host.script = lambda request: answer
    url = host.url.replace("://", f"://user:{SECRET}@") + f"?Signature={SECRET}#{SECRET}"
    with caplog.at_level(logging.DEBUG, "akool_dagster"), pytest.raises(DownloadError) as caught:
        fetch(downloader, url, storage)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    shown += "".join(f"{error!r} {error}" for error in _chain(caught.value))
    assert SECRET not in shown
    assert caught.value.link == host.url
    assert host.url in str(caught.value)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_success_is_logged_without_the_signature(host, storage, downloader, caplog):
    host.script = lambda request: by_the_rules(FILM, request)
    with caplog.at_level(logging.INFO, "akool_dagster"):
        fetch(downloader, f"{host.url}?Signature={SECRET}", storage)
    assert host.url in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@cdn.example:8443/a/b.mp4?X=1#f", "https://cdn.example:8443/a/b.mp4"),
        ("https://cdn.example", "https://cdn.example"),
        ("http://[", "<unreadable link>"),
        ("https://cdn.example:port/a", "<unreadable link>"),
    ],
)
def test_redacted(url, shown):
    assert redacted(url) == shown


# Whatever the host does


VERSIONS = {'"v1"': FILM, '"v2"': OTHER_FILM}
PLAIN = {"Content-Type": "video/mp4"}


@dataclass(frozen=True)
class Moment:
    """One request to a host that may change its file and its manners at any time."""

    request: Request
    etag: str
    at: int

    @property
    def data(self) -> bytes:
        return VERSIONS[self.etag]

    @property
    def good(self) -> Answer:
        return by_the_rules(self.data, self.request, etag=self.etag)

    def rest(self, headers: dict[str, str]) -> Answer:
        return Answer(self.data[self.at :], "206 Partial Content", PLAIN | headers)

    def ignoring_if_range(self) -> Answer:
        headers = self.request.headers | {"if-range": self.etag}
        return by_the_rules(self.data, Request(self.request.path, headers), etag=self.etag)


MANNERS: dict[str, Callable[[Moment], Answer]] = {
    "good": lambda now: now.good,
    "closed": lambda now: cut(now.good, now.at),
    "reset": lambda now: cut(now.good, now.at, reset=True),
    "no range": lambda now: Answer(now.data, headers={"ETag": now.etag}),
    "no range, closed": lambda now: Answer(now.data, headers={"ETag": now.etag}, cut=now.at),
    "no etag": lambda now: Answer(now.data, headers=PLAIN),
    "no etag, closed": lambda now: Answer(now.data, headers=PLAIN, cut=now.at),
    "no length, closed": lambda now: Answer(now.data, length=None, cut=now.at),
    "length too short": lambda now: Answer(now.data, length=now.at),
    "length too long": lambda now: Answer(now.data, length=len(now.data) + now.at),
    "chunks, closed": lambda now: cut(chunked(now.data), now.at),
    "no if-range": lambda now: now.ignoring_if_range(),
    "other rest": lambda now: now.rest(
        {"Content-Range": f"bytes {now.at}-{len(now.data) - 1}/{len(now.data)}"}
    ),
    "rest of nothing": lambda now: now.rest({}),
    "416": lambda now: Answer(status="416 Range Not Satisfiable"),
    "503": lambda now: Answer(status="503 Service Unavailable"),
    "404": lambda now: Answer(status="404 Not Found"),
    "page": lambda now: Answer(b"<html>", headers={"Content-Type": "text/html"}),
    "empty": lambda now: Answer(b""),
}
MOODS = st.tuples(
    st.sampled_from(sorted(MANNERS)),
    st.sampled_from(sorted(VERSIONS)),
    st.integers(1, min(map(len, VERSIONS.values())) - 1),
)


def moody(moods: list[tuple[str, str, int]]) -> Script:
    rest = iter(moods)

    def answer(request: Request) -> Answer:
        manner, etag, at = next(rest, ("503", '"v1"', 1))
        return MANNERS[manner](Moment(request, etag, at))

    return answer


@pytest.fixture(scope="module")
def moody_host() -> Iterator[Host]:
    server = Host()
    yield server
    server.close()


@given(moods=st.lists(MOODS, min_size=1, max_size=8), has_old=st.booleans())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_target_is_old_or_whole_whatever_the_host_does(moody_host, moods, has_old):
    moody_host.script = moody(moods)
    limits = DownloadRetries(attempts=4)
    with (
        tempfile.TemporaryDirectory() as folder,
        Downloader(timeouts=QUICK, retries=limits, sleep=lambda _: None) as downloader,
    ):
        storage = open_storage(folder)
        path = storage.video_path(KEY)
        expected: bytes | None = b"old" if has_old else None
        if has_old:
            storage.install_bytes(path, b"old")
        for _ in range(3):
            with contextlib.suppress(DownloadError):
                saved = fetch(downloader, moody_host.url, storage)
                expected = path.read_bytes()
                assert expected in VERSIONS.values()
                assert saved.sha256 == hashlib.sha256(expected).hexdigest()
                assert saved.size_bytes == len(expected)
            assert (path.read_bytes() if path.exists() else None) == expected
