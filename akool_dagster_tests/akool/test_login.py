"""One header signs a call; a rejected token is renewed for reads, never by sending twice."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from werkzeug import Request, Response

from akool_dagster.akool import (
    AccountStopped,
    AkoolError,
    ClonedSpeechRequest,
    NotSent,
    TooFrequent,
    TryAgainLater,
)
from akool_dagster_tests.akool.conftest import (
    CLIENT_ID,
    CLIENT_SECRET,
    KEY,
    Akool,
    MakeClient,
    ok,
    refused,
    reply,
)

TOKEN = "/api/open/v3/getToken"
QUOTA = "/api/open/v3/faceswap/quota/info"
CREATE = "/api/open/v3/audio/clone"
BALANCE = ok({"credit": 7})
CREATED = ok({"_id": "65f800000000000000000001", "status": 1})
REQUEST = ClonedSpeechRequest(text="Hello.", sample_url="https://media.example/s.mp3")


def token(name: str) -> dict[str, object]:
    return {"code": 1000, "token": name}


def bearers(akool: Akool) -> list[str | None]:
    return [request.headers.get("Authorization") for request in akool.asked]


def test_an_api_key_is_the_only_header(akool: Akool, make_client: MakeClient):
    akool.answers(QUOTA, BALANCE)
    make_client(akool.url).balance()
    assert akool.asked[0].headers["x-api-key"] == KEY
    assert "Authorization" not in akool.asked[0].headers


def test_netrc_adds_no_second_header(
    akool: Akool, make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    akool.answers(QUOTA, BALANCE)
    akool.answers(TOKEN, token("T1"))
    make_client(akool.url).balance()
    make_client(akool.url, login=True).balance()
    assert bearers(akool) == [None, None, "Bearer T1"]


@pytest.mark.parametrize("answer", [token("T1"), {"code": 1000, "data": {"token": "T1"}}])
def test_a_login_fetches_one_token(answer: object, akool: Akool, make_client: MakeClient):
    akool.answers(TOKEN, answer)
    akool.answers(QUOTA, BALANCE)
    client = make_client(akool.url, login=True)
    client.balance()
    client.balance()
    assert akool.asked_paths() == [TOKEN, QUOTA, QUOTA]
    assert akool.body(0) == {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
    assert bearers(akool) == [None, "Bearer T1", "Bearer T1"]
    assert not any("x-api-key" in request.headers for request in akool.asked)


@pytest.mark.parametrize("rejection", [reply(refused(1101)), reply("", status=401)])
def test_a_read_renews_a_rejected_token_once(
    rejection: Response, akool: Akool, make_client: MakeClient
):
    akool.answers(TOKEN, token("T1"), token("T2"))
    akool.answers(QUOTA, rejection, BALANCE)
    assert make_client(akool.url, login=True).balance() == 7
    assert bearers(akool) == [None, "Bearer T1", None, "Bearer T2"]


def test_a_read_gives_up_when_the_new_token_is_rejected_too(akool: Akool, make_client: MakeClient):
    akool.answers(TOKEN, token("T1"), token("T2"))
    akool.answers(QUOTA, refused(1101))
    with pytest.raises(AccountStopped):
        make_client(akool.url, login=True).balance()
    assert akool.asked_paths() == [TOKEN, QUOTA, TOKEN, QUOTA]


def test_a_create_is_not_sent_again_with_a_new_token(akool: Akool, make_client: MakeClient):
    akool.answers(TOKEN, token("T1"), token("T2"))
    akool.answers(QUOTA, BALANCE)
    akool.answers(CREATE, refused(1101), CREATED)
    client = make_client(akool.url, login=True)
    client.balance()
    with pytest.raises(TryAgainLater, match="the next attempt logs in again"):
        client.create_cloned_speech(REQUEST)
    assert akool.asked_paths() == [TOKEN, QUOTA, CREATE]
    assert client.create_cloned_speech(REQUEST).id == "65f800000000000000000001"
    assert bearers(akool)[-2:] == [None, "Bearer T2"]


def test_a_create_rejected_right_after_the_login_stops_the_account(
    akool: Akool, make_client: MakeClient
):
    akool.answers(TOKEN, token("T1"))
    akool.answers(CREATE, refused(1101))
    client = make_client(akool.url, login=True)
    with pytest.raises(AccountStopped):
        client.create_cloned_speech(REQUEST)
    assert akool.asked_paths() == [TOKEN, CREATE]


def test_an_expired_token_whose_successor_fails_stops_the_account(
    akool: Akool, make_client: MakeClient
):
    akool.answers(TOKEN, token("T1"), token("T2"))
    akool.answers(QUOTA, BALANCE)
    akool.answers(CREATE, refused(1101))
    client = make_client(akool.url, login=True)
    client.balance()
    with pytest.raises(TryAgainLater):
        client.create_cloned_speech(REQUEST)
    with pytest.raises(AccountStopped):
        client.create_cloned_speech(REQUEST)
    assert akool.asked_paths() == [TOKEN, QUOTA, CREATE, TOKEN, CREATE]


FAILED_LOGINS = [
    (reply(refused(1101)), AccountStopped),
    (reply(refused(1200)), AccountStopped),
    (reply(refused(1109)), AccountStopped),
    (reply({"code": 1000}), AccountStopped),
    (reply({"code": 1000, "token": "two\nlines"}), AccountStopped),
    (reply("<html></html>", status=404), AccountStopped),
    (reply(refused(1005)), TooFrequent),
    (reply("", status=503), NotSent),
]


@pytest.mark.parametrize(("answer", "kind"), FAILED_LOGINS)
def test_a_failed_login_sends_no_create(
    answer: Response, kind: type[AkoolError], akool: Akool, make_client: MakeClient
):
    akool.answers(TOKEN, answer)
    with pytest.raises(kind) as caught:
        make_client(akool.url, login=True).create_cloned_speech(REQUEST)
    assert type(caught.value) is kind
    assert caught.value.may_have_charged is False
    assert set(akool.asked_paths()) == {TOKEN}


def test_threads_share_one_login_and_one_renewal(akool: Akool, make_client: MakeClient):
    names = iter(f"T{number}" for number in range(1, 100))
    lock = threading.Lock()
    valid = {"T1"}

    def fetch(_: Request) -> Response:
        time.sleep(0.02)
        with lock:
            return reply(token(next(names)))

    def balance(request: Request) -> Response:
        bearer = request.headers["Authorization"].removeprefix("Bearer ")
        return reply(BALANCE if bearer in valid else refused(1101))

    akool.answers(TOKEN, fetch)
    akool.answers(QUOTA, balance)
    client = make_client(akool.url, login=True)
    with ThreadPoolExecutor(8) as threads:
        first = [threads.submit(client.balance) for _ in range(8)]
        assert [future.result() for future in first] == [7.0] * 8
        assert akool.asked_paths().count(TOKEN) == 1
        valid = {"T2"}
        second = [threads.submit(client.balance) for _ in range(8)]
        assert [future.result() for future in second] == [7.0] * 8
    assert akool.asked_paths().count(TOKEN) == 2
