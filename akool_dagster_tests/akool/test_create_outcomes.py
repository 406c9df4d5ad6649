"""A paid request is sent at most once, and its error tells whether it may have been accepted."""

import json
import socket
import threading
import time
from collections.abc import Callable

import pytest
from werkzeug import Response

from akool_dagster.akool import (
    AccountStopped,
    AkoolClient,
    AlreadyExists,
    AvatarSource,
    AvatarUpload,
    ItemRefused,
    LinkedAvatar,
    ListedAvatar,
    NotSent,
    OutcomeUnknown,
    Refused,
    Status,
    Timeouts,
    TooFrequent,
    TryAgainLater,
    Video,
    VideoRequest,
)
from akool_dagster_tests.akool import raw_server
from akool_dagster_tests.akool.conftest import VIDEO_ID, Akool, MakeClient, ok, refused, reply
from akool_dagster_tests.akool.raw_server import RawServer

CREATE = "/api/open/v3/talkingavatar/create"
QUOTA = "/api/open/v3/faceswap/quota/info"
ACCEPTED = json.dumps(ok({"_id": VIDEO_ID, "video_status": 1})).encode()
REQUEST = VideoRequest(
    avatar=ListedAvatar("Jane", AvatarSource.OFFICIAL),
    audio_url="https://media.example/a.mp3",
    audio_seconds=5.0,
    webhook_url="https://hooks.example/akool/TOKEN-of-this-attempt",
)


def create(client: AkoolClient) -> Video:
    return client.create_video(REQUEST)


def test_an_accepted_create_returns_the_id_and_is_sent_once(akool: Akool, make_client: MakeClient):
    akool.answers(CREATE, ok({"_id": VIDEO_ID, "video_status": 1, "deduction_lock_duration": 10}))
    video = create(make_client(akool.url))
    assert (video.id, video.status, video.locked_credits) == (VIDEO_ID, Status.QUEUED, 10.0)
    assert akool.asked_paths() == [CREATE]
    assert akool.asked[0].headers["Content-Type"] == "application/json"


# --- broken transports ---------------------------------------------------------------------------


def test_refused_connection_is_not_sent(make_client: MakeClient):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NotSent, match="refused") as caught:
        create(make_client(f"http://127.0.0.1:{port}"))
    assert caught.value.may_have_charged is False


def test_unknown_host_is_not_sent(make_client: MakeClient):
    with pytest.raises(NotSent, match="gaierror"):
        create(make_client("http://no-such-host.invalid"))


def test_connect_timeout_is_not_sent(make_client: MakeClient):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        queue = [socket.socket() for _ in range(3)]
        for waiting in queue:  # nobody accepts: the next handshake stays unanswered
            waiting.setblocking(False)
            waiting.connect_ex(address)
        timeouts = Timeouts(connect_seconds=0.2, read_seconds=2, total_seconds=5)
        with pytest.raises(NotSent, match="timed out"):
            create(make_client(f"http://127.0.0.1:{address[1]}", timeouts=timeouts))
        for waiting in queue:
            waiting.close()


def test_failed_tls_handshake_is_not_sent(make_client: MakeClient):
    with (
        RawServer(raw_server.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server,
        pytest.raises(NotSent, match="SSL"),
    ):
        create(make_client(server.url.replace("http:", "https:")))


def test_refused_proxy_tunnel_is_not_sent(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch):
    with RawServer() as server:
        server._scripts = [
            server.reading(raw_server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
        ]
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        with pytest.raises(NotSent, match="403"):
            create(make_client("https://openapi.akool.example"))
    assert server.requests[0].startswith(b"CONNECT openapi.akool.example:443")


BREAKS: dict[str, Callable[[RawServer], raw_server.Script]] = {
    "closed after reading": lambda server: server.reading(raw_server.close),
    "reset after reading": lambda server: server.reading(raw_server.reset),
    "half a status line": lambda server: server.reading(raw_server.send(b"HTTP/1.1 2")),
    "half the headers": lambda server: server.reading(
        raw_server.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    ),
    "half the body": lambda server: server.reading(
        raw_server.send(raw_server.response(ACCEPTED[:30], length=len(ACCEPTED)))
    ),
    "body cut by a short Content-Length": lambda server: server.reading(
        raw_server.send(raw_server.response(ACCEPTED, length=30))
    ),
    "half a chunk": lambda server: server.reading(
        raw_server.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + ACCEPTED[:30]
        )
    ),
    "bad compression": lambda server: server.reading(
        raw_server.send(raw_server.response(b"{}", extra="Content-Encoding: gzip\r\n"))
    ),
    "not HTTP at all": lambda server: server.reading(raw_server.send(b"220 mail.example\r\n")),
    "silence": lambda server: server.reading(raw_server.wait(1.0)),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_after_sending_leaves_the_outcome_unknown(name: str, make_client: MakeClient):
    with RawServer() as server:
        server._scripts = [BREAKS[name](server)]
        timeouts = Timeouts(connect_seconds=2, read_seconds=0.3, total_seconds=2)
        with pytest.raises(OutcomeUnknown) as caught:
            create(make_client(server.url, timeouts=timeouts))
    assert caught.value.may_have_charged is True
    assert server.connections == 1
    assert len(server.requests) == 1


def test_a_reset_amid_the_request_leaves_the_outcome_unknown(make_client: MakeClient):
    def script(connection: socket.socket) -> None:
        received = b""
        while not received.partition(b"\r\n\r\n")[2]:
            received += connection.recv(200)
        raw_server.reset(connection)

    with RawServer(script) as server, pytest.raises(OutcomeUnknown):
        create(make_client(server.url))
    assert server.connections == 1


def test_a_reset_at_once_is_never_taken_for_an_answer(make_client: MakeClient):
    # Whether the body was on its way by then is a race, and either error tells the truth.
    with RawServer(raw_server.reset) as server, pytest.raises((NotSent, OutcomeUnknown)):
        create(make_client(server.url))
    assert server.connections == 1


@pytest.mark.parametrize(("read", "total"), [(0.2, 10.0), (10.0, 0.2)])
def test_silence_is_bounded_by_either_time(read: float, total: float, make_client: MakeClient):
    timeouts = Timeouts(connect_seconds=2, read_seconds=read, total_seconds=total)
    with RawServer() as server:
        server._scripts = [server.reading(raw_server.wait(1.0))]
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown, match="timed out"):
            create(make_client(server.url, timeouts=timeouts))
        assert time.monotonic() - started < 0.8


@pytest.mark.parametrize(
    "script",
    [
        raw_server.send(raw_server.response(ACCEPTED, length=len(ACCEPTED) + 100)),
        raw_server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + ACCEPTED),
        raw_server.sequence(
            raw_server.send(raw_server.response(ACCEPTED, length=len(ACCEPTED) + 100)),
            raw_server.wait(0.6),
        ),
    ],
    ids=["long Content-Length", "unfinished chunk", "silence after the body"],
)
def test_a_whole_answer_counts_however_its_transfer_ends(
    script: raw_server.Script, make_client: MakeClient
):
    timeouts = Timeouts(connect_seconds=2, read_seconds=0.3, total_seconds=2)
    with RawServer() as server:
        server._scripts = [server.reading(script)]
        assert create(make_client(server.url, timeouts=timeouts)).id == VIDEO_ID


@pytest.mark.parametrize(
    "answer", [raw_server.response(ACCEPTED), b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100]
)
def test_total_time_bounds_a_dripping_answer(answer: bytes, make_client: MakeClient):
    timeouts = Timeouts(connect_seconds=2, read_seconds=2, total_seconds=0.5)
    with RawServer() as server:
        server._scripts = [server.reading(raw_server.drip(answer, pause=0.05))]
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown, match=r"timed out|in time"):
            create(make_client(server.url, timeouts=timeouts))
        assert time.monotonic() - started < 1.5


def test_total_time_bounds_a_silence_amid_the_answer(make_client: MakeClient):
    script = raw_server.sequence(
        raw_server.wait(0.7), raw_server.send(b"HTTP/1.1 200 OK\r\n"), raw_server.wait(1.0)
    )
    timeouts = Timeouts(connect_seconds=2, read_seconds=2, total_seconds=0.9)
    with RawServer() as server:
        server._scripts = [server.reading(script)]
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown, match=r"timed out|in time"):
            create(make_client(server.url, timeouts=timeouts))
        assert time.monotonic() - started < 1.4


def test_creates_do_not_wait_for_reads(akool: Akool, make_client: MakeClient):
    arrived, release = threading.Event(), threading.Event()

    def slow(_: object) -> Response:
        arrived.set()
        release.wait(5)
        return reply(ok({"credit": 1}))

    akool.answers(QUOTA, slow)
    akool.answers(CREATE, ok({"_id": VIDEO_ID}))
    client = make_client(akool.url, pool_size=1)
    reading = threading.Thread(target=client.balance)
    reading.start()
    arrived.wait(5)
    assert create(client).id == VIDEO_ID
    release.set()
    reading.join()


def test_an_endless_body_is_not_read_to_the_end(make_client: MakeClient):
    big = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (9 * 1024 * 1024)
    with RawServer() as server:
        server._scripts = [server.reading(raw_server.send(big))]
        with pytest.raises(OutcomeUnknown, match="larger than 8388608 bytes"):
            create(make_client(server.url))


def test_a_create_does_not_use_a_connection_that_was_kept_open(make_client: MakeClient):
    balance = raw_server.response(json.dumps(ok({"credit": 5})).encode())
    with RawServer() as server:
        server._scripts = [
            # keeps the first connection open and would swallow a second request on it
            server.reading(raw_server.sequence(raw_server.send(balance), raw_server.wait(0.5))),
            server.reading(raw_server.send(raw_server.response(ACCEPTED))),
        ]
        client = make_client(server.url)
        assert client.balance() == 5.0
        assert create(client).id == VIDEO_ID
    assert server.connections == 2


# --- answers -------------------------------------------------------------------------------------

UNKNOWN_ANSWERS = {
    "gateway page with 200": reply("<html>Just a moment</html>"),
    "gateway page with 502": reply("<html>Bad Gateway</html>", status=502),
    "gateway time-out": reply("", status=504),
    "request time-out": reply("", status=408),
    "conflict": reply("", status=409),
    "empty body": reply(b""),
    "JSON that is no object": reply([ok({"_id": VIDEO_ID})]),
    "no code": reply({"data": {"_id": VIDEO_ID}}),
    "code of another kind": reply({"code": True}),
    "a gateway's code": reply({"code": 502, "message": "Bad gateway"}),
    "another success code": reply({"code": 200, "data": {"_id": VIDEO_ID}}),
    "undocumented code beside 500": reply(refused(1999), status=500),
    "see other": reply("", status=303, headers={"Location": "/elsewhere"}),
    "found": reply("", status=302, headers={"Location": "/elsewhere"}),
    "success without data": reply({"code": 1000, "msg": "OK"}),
    "success with empty data": reply(ok({})),
    "success without _id": reply(ok({"task_id": "674900000000000000000002", "video_status": 1})),
    "success with a blank _id": reply(ok({"_id": " "})),
    "deeply nested": reply("[" * 100_000),
}


@pytest.mark.parametrize("name", UNKNOWN_ANSWERS)
def test_answers_that_leave_the_outcome_unknown(name: str, akool: Akool, make_client: MakeClient):
    akool.answers(CREATE, UNKNOWN_ANSWERS[name])
    with pytest.raises(OutcomeUnknown) as caught:
        create(make_client(akool.url))
    assert caught.value.may_have_charged is True
    assert caught.value.to_metadata()["may_have_charged"] is True
    assert "Do not send it again" in caught.value.advice
    assert akool.asked_paths() == [CREATE]


@pytest.mark.parametrize("status", [200, 201, 401, 500, 502])
def test_success_with_an_id_counts_beside_any_http_status(
    status: int, akool: Akool, make_client: MakeClient
):
    akool.answers(CREATE, reply(ACCEPTED, status=status))
    assert create(make_client(akool.url)).id == VIDEO_ID


@pytest.mark.parametrize(
    "data",
    [
        {"_id": VIDEO_ID, "video_status": 99},
        {"_id": VIDEO_ID},
        {"_id": VIDEO_ID, "video_status": None, "create_time": "soon"},
        [{"_id": VIDEO_ID, "video_status": 1}],
        {"result": {"_id": VIDEO_ID, "video_status": "1"}},
    ],
)
def test_an_id_is_never_lost_to_an_odd_answer(data: object, akool: Akool, make_client: MakeClient):
    akool.answers(CREATE, ok(data))
    video = create(make_client(akool.url))
    assert (video.id, video.status) == (VIDEO_ID, Status.QUEUED)


REFUSALS = [
    (refused(1003), 200, ItemRefused),
    (refused(1014), 200, ItemRefused),
    (refused(1006), 200, AccountStopped),
    ({"code": "1104", "msg": "insufficient"}, 200, AccountStopped),
    (refused(1200), 403, AccountStopped),
    (refused(1101), 401, AccountStopped),
    (refused(1102), 200, AccountStopped),
    (refused(1015), 200, TryAgainLater),
    (refused(1205), 500, TryAgainLater),
    (refused(2001), 200, TryAgainLater),
    (refused(1999), 200, TryAgainLater),
    (refused(1005), 200, TooFrequent),
    (refused(1005), 429, TooFrequent),
    ("<html>slow down</html>", 429, TooFrequent),
    ({"message": "Too Many Requests"}, 429, TooFrequent),
    ("<html>who are you</html>", 401, AccountStopped),
    ("<html>nothing here</html>", 404, AccountStopped),
    ("", 405, AccountStopped),
    ("<html>too large</html>", 413, ItemRefused),
    ("", 400, ItemRefused),
    ("", 308, AccountStopped),
]


@pytest.mark.parametrize(("body", "status", "kind"), REFUSALS)
def test_refusals(
    body: object, status: int, kind: type[Refused], akool: Akool, make_client: MakeClient
):
    akool.answers(CREATE, reply(body, status=status, headers={"Location": "/elsewhere"}))
    with pytest.raises(kind) as caught:
        create(make_client(akool.url))
    error = caught.value
    assert type(error) is kind
    assert (error.may_have_charged, error.http_status) == (False, status)
    assert error.endpoint == f"POST {CREATE}"
    assert error.advice
    assert akool.asked_paths() == [CREATE]


def test_a_refusal_names_code_meaning_and_akools_words(akool: Akool, make_client: MakeClient):
    akool.answers(CREATE, refused(1015, "create video error, please\n try again later"))
    with pytest.raises(TryAgainLater) as caught:
        create(make_client(akool.url))
    assert caught.value.code == 1015
    assert caught.value.msg == "create video error, please try again later"
    for part in (f"POST {CREATE}", "1015", "please try again later", "every link"):
        assert part in str(caught.value)


def test_too_frequent_tells_how_long_to_wait(akool: Akool, make_client: MakeClient):
    akool.answers(CREATE, reply(refused(1005), status=429, headers={"Retry-After": "7"}))
    with pytest.raises(TooFrequent) as caught:
        create(make_client(akool.url))
    assert caught.value.retry_after_seconds == 7
    assert caught.value.to_metadata()["retry_after_seconds"] == 7


@pytest.mark.parametrize("body", [refused(1109), "<html>Forbidden</html>"])
@pytest.mark.parametrize(
    ("balance", "kind"),
    [
        (ok({"credit": 3}), TryAgainLater),
        (refused(1109), AccountStopped),
        (refused(1101), AccountStopped),
    ],
)
def test_an_ambiguous_refusal_is_settled_by_the_balance(
    body: object,
    balance: object,
    kind: type[Refused],
    akool: Akool,
    make_client: MakeClient,
):
    akool.answers(CREATE, reply(body, status=200 if isinstance(body, dict) else 403))
    akool.answers(QUOTA, balance)
    with pytest.raises(kind):
        create(make_client(akool.url))
    assert akool.asked_paths() == [CREATE, QUOTA]


def test_a_taken_avatar_id_has_its_own_error(akool: Akool, make_client: MakeClient):
    akool.answers("/api/open/v3/avatar/create", refused(1222, "resource already exists"))
    with pytest.raises(AlreadyExists):
        make_client(akool.url).create_avatar(
            AvatarUpload(url="https://media.example/me.mp4", avatar_id="Me01", name="Me")
        )


def test_a_redirect_is_not_followed(akool: Akool, make_client: MakeClient):
    akool.answers(CREATE, reply("", status=307, headers={"Location": "/elsewhere"}))
    akool.answers("/elsewhere", ok({"_id": VIDEO_ID}))
    with pytest.raises(AccountStopped, match="temporary redirect"):
        create(make_client(akool.url))
    assert akool.asked_paths() == [CREATE]


def test_a_linked_avatar_is_refused_like_any_other(akool: Akool, make_client: MakeClient):
    akool.answers(CREATE, refused(1003))
    request = VideoRequest(
        avatar=LinkedAvatar("https://media.example/me.png"),
        audio_url="https://media.example/a.mp3",
        audio_seconds=1,
    )
    with pytest.raises(ItemRefused):
        make_client(akool.url).create_video(request)
    assert akool.body()["webhookUrl"] == ""
