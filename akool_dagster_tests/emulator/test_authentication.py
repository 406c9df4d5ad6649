import base64
import json

import pytest

from akool_dagster_tests.emulator.api import Api

QUOTA = "/v3/faceswap/quota/info"


def token(api: Api, **body: str) -> dict:
    pair = {"clientId": api.akool.client_id, "clientSecret": api.akool.client_secret}
    return api.post("/v3/getToken", pair | body)


def code(api: Api, **headers: str) -> int:
    return api.raw("GET", "/api/open" + QUOTA, headers=headers).json()["code"]


def test_the_key_the_client_secret_and_a_token_are_accepted(steady: Api) -> None:
    assert code(steady, **{"x-api-key": "emulator-key"}) == 1000
    assert code(steady, **{"x-api-key": steady.akool.client_secret}) == 1000
    assert code(steady, Authorization=f"Bearer {token(steady)['token']}") == 1000


def test_nothing_is_1102_and_a_wrong_one_1101(steady: Api) -> None:
    assert code(steady) == 1102
    assert code(steady, **{"x-api-key": "wrong"}) == 1101
    assert code(steady, Authorization="Bearer wrong") == 1101
    assert code(steady, Authorization="Bearer emulator-key") == 1101
    assert code(steady, Authorization=token(steady)["token"]) == 1101


def test_authorization_beats_the_key(steady: Api) -> None:
    stale = {"Authorization": "Bearer stale", "x-api-key": steady.akool.api_key}
    good = {"Authorization": f"Bearer {token(steady)['token']}", "x-api-key": "wrong"}
    assert code(steady, **stale) == 1101
    assert code(steady, **good) == 1000


def test_errors_come_with_http_200_and_no_data(steady: Api) -> None:
    answer = steady.raw("GET", "/api/open" + QUOTA, headers={})
    assert answer.status_code == 200
    assert set(answer.json()) == {"code", "msg"}


def test_credentials_are_checked_before_the_body(steady: Api) -> None:
    path = "/api/open/v3/talkingavatar/create"
    answer = steady.raw("POST", path, headers={}, data="not json")
    assert answer.json()["code"] == 1102


def test_the_token_stands_beside_the_code_and_is_a_jwt(steady: Api) -> None:
    answer = token(steady)
    assert set(answer) == {"code", "token"}
    claims = json.loads(base64.urlsafe_b64decode(answer["token"].split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 3600 * 86_400


@pytest.mark.parametrize(
    ("body", "expected"),
    [({"clientSecret": "wrong"}, 1101), ({"clientId": ""}, 1102), ({"clientSecret": ""}, 1102)],
)
def test_get_token_refuses(steady: Api, body: dict[str, str], expected: int) -> None:
    assert token(steady, **body)["code"] == expected


def test_a_forged_token_is_refused(steady: Api) -> None:
    head, claims, signature = token(steady)["token"].split(".")
    longer = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"exp": 9_999_999_999}
    forged = base64.urlsafe_b64encode(json.dumps(longer).encode()).decode().rstrip("=")
    assert code(steady, Authorization=f"Bearer {head}.{forged}.{signature}") == 1101


def test_a_token_expires(start) -> None:
    api: Api = start(token_life=1000)
    bearer = f"Bearer {token(api)['token']}"
    assert code(api, Authorization=bearer) == 1000
    api.akool.emulator.clock.advance(1001)
    assert code(api, Authorization=bearer) == 1101


def test_1109_for_a_wrong_key_when_switched(start) -> None:
    api: Api = start(key_error_code=1109)
    assert code(api, **{"x-api-key": "wrong"}) == 1109
    assert code(api) == 1102


def test_a_banned_account_is_refused_everywhere(start) -> None:
    api: Api = start()
    api.akool.emulator.configure(banned=True)
    assert api.get(QUOTA)["code"] == 1200
    assert token(api)["code"] == 1200
    assert code(api, **{"x-api-key": "wrong"}) == 1101


def test_real_http_statuses_when_switched(start) -> None:
    api: Api = start(real_http_statuses=True)
    answer = api.raw("GET", "/api/open" + QUOTA, headers={"x-api-key": "wrong"})
    assert (answer.status_code, answer.json()["code"]) == (401, 1101)


def test_too_many_requests_in_a_second_are_1005(start) -> None:
    api: Api = start(requests_per_second=3, speed=0.001)
    assert [api.get(QUOTA)["code"] for _ in range(5)] == [1000, 1000, 1000, 1005, 1005]
    api.akool.emulator.clock.advance(1)
    assert api.get(QUOTA)["code"] == 1000


@pytest.mark.parametrize(
    "path",
    [
        "/v3/user/info",
        "/v3/content/video/status/674900000000000000000001",
        "/v3/getvideostatus?task_id=674900000000000000000001",
        "/v3/talkingavatar/674900000000000000000001",
        "/v3/talkingavatar/videoinfo",
        "/v3/avatar/createVideoByText",
        "/v3/faceswap/quota/info/",
    ],
)
def test_unknown_paths_are_http_404(steady: Api, path: str) -> None:
    assert steady.raw("GET", "/api/open" + path).status_code == 404


def test_the_wrong_parameter_of_infobymodelid_is_1003(steady: Api) -> None:
    answer = steady.get("/v3/content/video/infobymodelid", _id="674900000000000000000001")
    assert answer["code"] == 1003
