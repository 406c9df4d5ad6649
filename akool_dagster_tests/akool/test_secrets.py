"""No credential reaches a representation, a log line, an error or its traceback."""

import json
import logging
import pickle
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import pytest
from werkzeug import Request, Response

from akool_dagster.akool import (
    AkoolClient,
    AkoolError,
    ApiKey,
    AvatarSource,
    ClientLogin,
    ListedAvatar,
    Timeouts,
    VideoRequest,
)
from akool_dagster.akool.credentials import Secrets
from akool_dagster_tests.akool import raw_server
from akool_dagster_tests.akool.conftest import (
    CLIENT_ID,
    CLIENT_SECRET,
    KEY,
    Akool,
    MakeClient,
    reply,
)
from akool_dagster_tests.akool.raw_server import RawServer

MARKED = "MARKED"
TOKEN_VALUE = "token-MARKED-c0ffee"
HOOK = "https://hooks.example/akool/MARKED-token-of-this-attempt"
TOKEN = "/api/open/v3/getToken"
CREATE = "/api/open/v3/talkingavatar/create"
QUOTA = "/api/open/v3/faceswap/quota/info"
REQUEST = VideoRequest(
    avatar=ListedAvatar("Jane", AvatarSource.OFFICIAL),
    audio_url="https://media.example/a.mp3",
    audio_seconds=1,
    webhook_url=HOOK,
)

Use = Callable[[AkoolClient], object]


def create(client: AkoolClient) -> object:
    return client.create_video(REQUEST)


def balance(client: AkoolClient) -> object:
    return client.balance()


def echo(status: int, **fields: Any) -> Callable[[Request], Response]:
    """Answer with everything that was sent, as a careless server or gateway does."""

    def answer(request: Request) -> Response:
        sent = {
            "headers": dict(request.headers),
            "quoted": json.dumps(dict(request.headers)),
            "body": request.get_data(as_text=True),
        }
        msg = " ".join(value for _, value in request.headers)
        return reply({"msg": f"{msg} {sent['body']}", **fields, "sent": sent}, status=status)

    return answer


SERVER_FAULTS: dict[str, Callable[[Request], Response]] = {
    "refused": echo(200, code=1003),
    "stopped": echo(200, code=1006),
    "ambiguous": echo(200, code=1109),
    "rejected": echo(401, code=1101),
    "too frequent": echo(429, code=1005),
    "forbidden": echo(403),
    "server error": echo(500),
    "no id": echo(200, code=1000, data={}),
    "no code": echo(200),
    "wrong path": echo(404),
    "page": lambda request: reply(f"<p>{dict(request.headers)}{request.get_data()}</p>"),
}


@pytest.mark.parametrize("login", [False, True], ids=["key", "login"])
@pytest.mark.parametrize("use", [create, balance])
@pytest.mark.parametrize("name", SERVER_FAULTS)
def test_answers_that_echo_the_credential(
    name: str,
    use: Use,
    login: bool,
    akool: Akool,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
):
    akool.answers(TOKEN, {"code": 1000, "token": TOKEN_VALUE})
    akool.answers(CREATE, SERVER_FAULTS[name])
    akool.answers(QUOTA, SERVER_FAULTS[name])
    client = make_client(akool.url, login=login)
    assert_discreet(client, use, caplog)
    assert any(
        KEY in str(request.headers) or TOKEN_VALUE in str(request.headers)
        for request in akool.asked
    )


@pytest.mark.parametrize("address", [HOOK, HOOK.replace("/", r"\/")])
@pytest.mark.parametrize(
    "body", ['{"code": 1003, "msg": "%s"}', '{"code": 1000, "data": ["%s"]}', "<p>%s</p>"]
)
def test_the_webhook_with_its_token_is_not_shown(
    body: str,
    address: str,
    akool: Akool,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
):
    akool.answers(CREATE, reply(body % address))
    assert_discreet(make_client(akool.url), create, caplog)


@pytest.mark.parametrize("padding", range(0, 1100, 100))
def test_shortening_cannot_uncover_a_part_of_a_long_token(
    padding: int, akool: Akool, make_client: MakeClient, caplog: pytest.LogCaptureFixture
):
    long_token = TOKEN_VALUE * 60
    akool.answers(TOKEN, {"code": 1000, "token": long_token})
    akool.answers(QUOTA, {"code": 1003, "msg": " " * padding + long_token * 50})
    assert_discreet(make_client(akool.url, login=True), balance, caplog)


def test_a_secret_is_found_however_it_is_spelt():
    secrets = Secrets()
    secrets.add('a"b/c+d')
    for text in ('<a"b/c+d>', json.dumps(['a"b/c+d']), "?key=a%22b%2Fc%2Bd"):
        assert "***" in secrets.redact(text)
        assert "b" not in secrets.redact(text)


@pytest.mark.parametrize("name", ["refused", "stopped", "rejected", "server error", "page"])
@pytest.mark.parametrize("use", [create, balance])
def test_logins_that_echo_the_secret(
    name: str,
    use: Use,
    akool: Akool,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
):
    akool.answers(TOKEN, SERVER_FAULTS[name])
    assert_discreet(make_client(akool.url, login=True), use, caplog)
    assert CLIENT_SECRET in akool.asked[0].get_data(as_text=True)


@pytest.mark.parametrize("name", ["close", "reset", "garbage", "silence", "half"])
@pytest.mark.parametrize("use", [create, balance])
def test_broken_transports(
    name: str, use: Use, make_client: MakeClient, caplog: pytest.LogCaptureFixture
):
    script = {
        "close": raw_server.close,
        "reset": raw_server.reset,
        "garbage": raw_server.send(b"garbage\r\n"),
        "silence": raw_server.wait(0.3),
        "half": raw_server.send(raw_server.response(b"{", length=50)),
    }[name]
    timeouts = Timeouts(connect_seconds=1, read_seconds=0.1, total_seconds=0.2)
    with RawServer() as server:
        server._scripts = [server.reading(script)]
        assert_discreet(make_client(server.url, timeouts=timeouts), use, caplog)
        assert KEY.encode() in server.requests[0]


@pytest.mark.parametrize("use", [create, balance])
def test_unreachable_servers(use: Use, make_client: MakeClient, caplog: pytest.LogCaptureFixture):
    with RawServer() as server:
        url = server.url
    for address in (url, "http://no-such-host.invalid", url.replace("http:", "https:")):
        assert_discreet(make_client(address), use, caplog)


def test_a_proxy_password_is_not_shown(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    with RawServer() as server:
        port = server.url.rpartition(":")[2]
    for proxy in (f"http://me:{MARKED}@127.0.0.1:{port}", f"http://me:{MARKED}@:99999999"):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        for use in (create, balance):
            assert_discreet(make_client("http://openapi.akool.example"), use, caplog)


@pytest.mark.parametrize("use", [create, balance])
def test_a_password_in_an_address_of_a_gateway_page_is_not_shown(
    use: Use, akool: Akool, make_client: MakeClient, caplog: pytest.LogCaptureFixture
):
    page = reply(f"<p>http://me:{MARKED}@proxy.example refused</p>", status=502)
    akool.answers(CREATE, page)
    akool.answers(QUOTA, page)
    assert_discreet(make_client(akool.url), use, caplog)


def test_an_error_within_another_error_keeps_apart_from_it(make_client: MakeClient):
    with RawServer() as server:
        url = server.url
    client = make_client(url)
    try:
        raise RuntimeError(f"the caller's own trouble, {MARKED}")
    except RuntimeError:
        with pytest.raises(AkoolError) as caught:
            create(client)
    assert MARKED not in str(caught.value)
    assert "refused" in str(caught.value)


def test_representations(make_client: MakeClient):
    client = make_client("http://127.0.0.1:9", login=True)
    shown = [ApiKey(KEY), ClientLogin(CLIENT_ID, CLIENT_SECRET), client, REQUEST]
    assert [one for one in shown if MARKED in f"{one!r} {one}"] == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: ApiKey(f"{MARKED}\n"),
        lambda: ApiKey(f"{MARKED} two"),
        lambda: ApiKey(f"{MARKED}ü"),
        lambda: ClientLogin("id", f"\t{MARKED}"),
        lambda: AkoolClient(ApiKey("k"), base_url=f"https://me:{MARKED}@akool.example"),
        lambda: AkoolClient(ApiKey("k"), base_url=f"https://akool.example?key={MARKED}"),
    ],
)
def test_an_unusable_credential_is_refused_without_showing_it(make: Callable[[], object]):
    with pytest.raises(ValueError, match="holds") as caught:
        make()
    assert MARKED not in str(caught.value)


@pytest.mark.parametrize("make", [lambda: ApiKey(""), lambda: ClientLogin("", "s")])
def test_an_empty_credential_is_refused(make: Callable[[], object]):
    with pytest.raises(ValueError, match="is empty"):
        make()


def assert_discreet(client: AkoolClient, use: Use, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(AkoolError) as caught:
        use(client)
    for where, text in _everything_shown(caught.value):
        assert MARKED not in text, f"{where}: {text}"
    # The server of these tests logs its requests itself; the client's side is what counts.
    ours = [record for record in caplog.records if record.name != "werkzeug"]
    assert any(record.name == "akool_dagster.akool" for record in ours)
    for record in ours:
        assert MARKED not in f"{record.getMessage()} {record.args!r} {record.exc_text}"


def _everything_shown(error: BaseException) -> Iterator[tuple[str, str]]:
    yield "text", f"{error!r} {error} {error.args!r} {vars(error)!r}"
    yield "pickle", repr(pickle.dumps(error))
    if isinstance(error, AkoolError):
        yield "metadata", json.dumps(error.to_metadata())
    for name, value in _locals(error.__traceback__):
        yield f"local {name}", repr(value)
    assert error.__cause__ is None
    assert error.__context__ is None


def _locals(step: TracebackType | None) -> Iterator[tuple[str, Any]]:
    while step is not None:
        if "akool_dagster/akool" in step.tb_frame.f_code.co_filename:
            yield from step.tb_frame.f_locals.items()
        step = step.tb_next
