"""A read is repeated while that may help, within its time, and then says what was wrong."""

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest
from werkzeug import Request, Response

from akool_dagster.akool import (
    AccountStopped,
    AkoolError,
    ItemRefused,
    NotFound,
    NotReady,
    Refused,
    Timeouts,
    TooFrequent,
    TryAgainLater,
    UnexpectedAnswer,
    Unreachable,
)
from akool_dagster_tests.akool import raw_server
from akool_dagster_tests.akool.conftest import (
    VIDEO_ID,
    Akool,
    Clock,
    MakeClient,
    ok,
    refused,
    reply,
)
from akool_dagster_tests.akool.raw_server import RawServer

QUOTA = "/api/open/v3/faceswap/quota/info"
INFO = "/api/open/v3/content/video/infobymodelid"
BALANCE = ok({"credit": 1234.5})

PASSING = {
    "server error": reply("", status=500),
    "gateway page": reply("<html>Bad Gateway</html>", status=502),
    "gateway page with 200": reply("<html>Just a moment</html>"),
    "empty body": reply(b""),
    "request time-out": reply("", status=408),
    "too many requests": reply("", status=429),
    "too frequent": reply(refused(1005)),
    "server error of AKOOL": reply(refused(2001)),
    "undocumented code beside 503": reply(refused(1999), status=503),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_repeated(
    name: str, akool: Akool, make_client: MakeClient, clock: Clock
):
    akool.answers(QUOTA, PASSING[name], PASSING[name], BALANCE)
    assert make_client(akool.url).balance() == 1234.5
    assert clock.pauses == [0.5, 1.0]


LASTING = [
    (PASSING["server error"], Unreachable),
    (PASSING["gateway page with 200"], Unreachable),
    (PASSING["too many requests"], TooFrequent),
    (PASSING["too frequent"], TooFrequent),
    (PASSING["server error of AKOOL"], TryAgainLater),
]


@pytest.mark.parametrize(("answer", "kind"), LASTING)
def test_a_lasting_fault_ends_after_five_attempts(
    answer: Response,
    kind: type[AkoolError],
    akool: Akool,
    make_client: MakeClient,
    clock: Clock,
):
    akool.answers(QUOTA, answer)
    with pytest.raises(kind) as caught:
        make_client(akool.url).balance()
    assert type(caught.value) is kind
    assert len(akool.asked) == 5
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0]


def test_pauses_have_full_jitter(akool: Akool, make_client: MakeClient, clock: Clock):
    akool.answers(QUOTA, PASSING["server error"])
    numbers = iter([0.0, 0.5, 0.25, 1.0])
    with pytest.raises(Unreachable):
        make_client(akool.url, random=lambda: next(numbers)).balance()
    assert clock.pauses == [0.0, 0.5, 0.5, 4.0]


@pytest.mark.parametrize("status", [200, 429, 503])
def test_retry_after_is_obeyed(status: int, akool: Akool, make_client: MakeClient, clock: Clock):
    wait = reply(refused(1005), status=status, headers={"Retry-After": "7"})
    akool.answers(QUOTA, wait, BALANCE)
    assert make_client(akool.url).balance() == 1234.5
    assert clock.pauses == [7.5]


def test_retry_after_may_be_a_date(akool: Akool, make_client: MakeClient, clock: Clock):
    moment = formatdate(time.time() + 20, usegmt=True)
    akool.answers(QUOTA, reply("", status=503, headers={"Retry-After": moment}), BALANCE)
    make_client(akool.url).balance()
    assert 15 < clock.pauses[0] <= 20.5


@pytest.mark.parametrize("header", ["soon", "-1", "Thu, 99 Foo 2020 00:00:00 GMT", "²"])
def test_an_unreadable_retry_after_is_ignored(
    header: str, akool: Akool, make_client: MakeClient, clock: Clock
):
    akool.answers(QUOTA, reply("", status=503, headers={"Retry-After": header}), BALANCE)
    make_client(akool.url).balance()
    assert clock.pauses == [0.5]


def test_a_long_retry_after_ends_the_read(akool: Akool, make_client: MakeClient, clock: Clock):
    akool.answers(QUOTA, reply(refused(1005), headers={"Retry-After": "61"}), BALANCE)
    timeouts = Timeouts(total_seconds=1000)
    with pytest.raises(TooFrequent) as caught:
        make_client(akool.url, timeouts=timeouts).balance()
    assert caught.value.retry_after_seconds == 61
    assert (len(akool.asked), clock.pauses) == (1, [])


def test_repeats_end_with_the_total_time(akool: Akool, make_client: MakeClient, clock: Clock):
    akool.answers(QUOTA, PASSING["server error"])
    with pytest.raises(Unreachable):
        make_client(akool.url, timeouts=Timeouts(total_seconds=3)).balance()
    assert clock.pauses == [0.5, 1.0]


def test_total_time_bounds_a_dripping_answer(make_client: MakeClient):
    answer = raw_server.response(json.dumps(BALANCE).encode())
    timeouts = Timeouts(connect_seconds=2, read_seconds=2, total_seconds=0.4)
    with RawServer() as server:
        server._scripts = [server.reading(raw_server.drip(answer, pause=0.05))]
        client = make_client(server.url, timeouts=timeouts, clock=time.monotonic)
        started = time.monotonic()
        with pytest.raises(Unreachable, match=r"in time|timed out"):
            client.balance()
        assert time.monotonic() - started < 1.5


def test_a_connection_closed_while_idle_costs_only_a_repeat(make_client: MakeClient):
    answer = raw_server.send(raw_server.response(json.dumps(BALANCE).encode()))
    with RawServer() as server:
        first = raw_server.sequence(server.reading(answer), server.reading(raw_server.close))
        server._scripts = [first, server.reading(answer)]
        client = make_client(server.url)
        assert [client.balance(), client.balance()] == [1234.5, 1234.5]
    assert len(server.requests) == 3


def test_refused_connection_is_unreachable(make_client: MakeClient):
    with RawServer() as server:
        url = server.url
    with pytest.raises(Unreachable, match="refused"):
        make_client(url).balance()


FINAL = [
    (refused(1003), 200, ItemRefused),
    (refused(1008), 200, NotFound),
    (refused(1014), 200, NotFound),
    (refused(1006), 200, AccountStopped),
    (refused(1102), 200, AccountStopped),
    (refused(1101), 200, AccountStopped),
    (refused(1015), 200, TryAgainLater),
    ("", 401, AccountStopped),
]


@pytest.mark.parametrize(("body", "status", "kind"), FINAL)
def test_refusals_are_not_repeated(
    body: object, status: int, kind: type[Refused], akool: Akool, make_client: MakeClient
):
    akool.answers(INFO, reply(body, status=status))
    with pytest.raises(kind) as caught:
        make_client(akool.url).get_video_info(VIDEO_ID)
    assert type(caught.value) is kind
    assert caught.value.may_have_charged is False
    assert VIDEO_ID in str(caught.value)
    assert len(akool.asked) == 1


UNEXPECTED = {
    "no code": reply({"status": "fine"}),
    "no object": reply([1, 2]),
    "another success code": reply({"code": 200, "data": {"video_status": 3}}),
    "unknown status": reply(ok({"_id": VIDEO_ID, "video_status": 5})),
    "no status": reply(ok({"_id": VIDEO_ID})),
    "data is text": reply(ok("done")),
    "several records": reply(ok([{"_id": VIDEO_ID}, {"_id": "b"}])),
    "another video": reply(ok({"_id": "674900000000000000000009", "video_status": 3})),
    "wrong path": reply("<html>Not Found</html>", status=404),
    "redirect": reply("", status=301, headers={"Location": "/elsewhere"}),
}


@pytest.mark.parametrize("name", UNEXPECTED)
def test_an_answer_that_is_not_understood(name: str, akool: Akool, make_client: MakeClient):
    akool.answers(INFO, UNEXPECTED[name])
    with pytest.raises(UnexpectedAnswer) as caught:
        make_client(akool.url).get_video_info(VIDEO_ID)
    excerpt = " ".join(UNEXPECTED[name].get_data(as_text=True)[:40].split())
    assert excerpt in str(caught.value)
    assert len(akool.asked) == 1


@pytest.mark.parametrize("data", [{}, [], None, [{}], {"result": None}, {"result": {}}, ""])
def test_a_job_without_data_is_not_ready(data: object, akool: Akool, make_client: MakeClient):
    akool.answers(INFO, ok(data))
    with pytest.raises(NotReady, match="missing or empty"):
        make_client(akool.url).get_video_info(VIDEO_ID)


def test_a_long_body_is_shortened(akool: Akool, make_client: MakeClient):
    akool.answers(INFO, {"words": "many " * 10_000})
    with pytest.raises(UnexpectedAnswer) as caught:
        make_client(akool.url).get_video_info(VIDEO_ID)
    assert len(str(caught.value)) < 700
    assert "…" in str(caught.value)


def test_an_oversized_body_is_no_answer(make_client: MakeClient):
    body = json.dumps(ok({"credit": 1, "pad": "x" * 9_000_000})).encode()
    with RawServer() as server:
        server._scripts = [server.reading(raw_server.send(raw_server.response(body)))]
        with pytest.raises(Unreachable, match="larger than"):
            make_client(server.url).balance()


def test_an_ambiguous_code_on_a_read_is_settled_by_the_balance(
    akool: Akool, make_client: MakeClient
):
    akool.answers(INFO, refused(1109))
    akool.answers(QUOTA, BALANCE, refused(1109))
    client = make_client(akool.url)
    with pytest.raises(TryAgainLater):
        client.get_video_info(VIDEO_ID)
    with pytest.raises(AccountStopped):
        client.get_video_info(VIDEO_ID)
    assert akool.asked_paths() == [INFO, QUOTA, INFO, QUOTA]


def test_an_ambiguous_code_on_the_balance_asks_nothing_more(akool: Akool, make_client: MakeClient):
    akool.answers(QUOTA, refused(1109))
    with pytest.raises(AccountStopped):
        make_client(akool.url).balance()
    assert len(akool.asked) == 1


def test_one_line_is_logged_for_each_exchange(
    akool: Akool, make_client: MakeClient, caplog: pytest.LogCaptureFixture
):
    akool.answers(QUOTA, PASSING["server error"], BALANCE)
    with caplog.at_level(logging.DEBUG, logger="akool_dagster.akool"):
        make_client(akool.url).balance()
    lines = [line.getMessage() for line in caplog.records if line.name == "akool_dagster.akool"]
    assert lines == [
        f"GET {QUOTA}: HTTP 500, code None, 0 ms",
        f"GET {QUOTA}: HTTP 200, code 1000, 0 ms",
    ]


def test_threads_share_a_client(akool: Akool, make_client: MakeClient):
    open_now, most = 0, 0
    lock = threading.Lock()

    def echo(request: Request) -> Response:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        time.sleep(0.01)
        with lock:
            open_now -= 1
        asked = request.args["video_model_id"]
        return reply(ok({"_id": asked, "video_status": 3, "video": f"https://m.example/{asked}"}))

    akool.answers(INFO, echo)
    client = make_client(akool.url, pool_size=4)
    ids = [f"{number:024x}" for number in range(60)]
    with ThreadPoolExecutor(12) as threads:
        videos = list(threads.map(client.get_video_info, ids))
    assert [video.url for video in videos] == [f"https://m.example/{name}" for name in ids]
    assert 1 < most <= 4


def test_no_cookie_is_kept_and_the_client_names_itself(akool: Akool, make_client: MakeClient):
    akool.answers(QUOTA, reply(BALANCE, headers={"Set-Cookie": "route=7; Path=/"}))
    client = make_client(akool.url)
    client.balance()
    client.balance()
    assert "Cookie" not in akool.asked[1].headers
    assert akool.asked[1].headers["User-Agent"].startswith("akool-dagster/")
