import contextlib
import json
import socket
import time

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.emulator import Fault, parse_fault, serve
from akool_dagster.emulator.faults import FaultPlan
from akool_dagster_tests.emulator.api import WAIT, Api, talking

CREATE = "POST */talkingavatar/create"
PATH = "/api/open/v3/talkingavatar/create"


def arm(api: Api, line: str) -> None:
    api.akool.emulator.faults.add(parse_fault(line))


def counts(api: Api) -> tuple[int, int]:
    stats = api.akool.emulator.stats()
    return stats.received["video"], stats.accepted["video"]


def create(api: Api) -> requests.Response:
    return api.raw("POST", PATH, json=talking())


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_a_dropped_connection_before_and_after_the_effect(
    api: Api, kind: str, when: str, accepted: int
) -> None:
    arm(api, f"{kind},on={CREATE},when={when},next=1")
    with pytest.raises(requests.ConnectionError) as error:
        create(api)
    closed = "Remote end closed" if kind == "drop" else "reset by peer"
    assert closed in str(error.value)
    assert counts(api) == (1, accepted)
    assert create(api).json()["code"] == 1000
    assert counts(api) == (2, accepted + 1)


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize(
    ("kind", "status"), [("status,status=503", 503), ("gateway", 502), ("busy,seconds=3", 429)]
)
def test_http_errors_before_and_after_the_effect(
    api: Api, kind: str, status: int, when: str, accepted: int
) -> None:
    arm(api, f"{kind},on={CREATE},when={when},next=1")
    answer = create(api)
    assert answer.status_code == status
    assert counts(api) == (1, accepted)
    assert answer.headers.get("retry-after") == ("3" if status == 429 else None)
    is_page = answer.headers["content-type"] == "text/html"
    assert is_page == (status == 502)
    assert not is_page or "502 Bad Gateway" in answer.text


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
def test_a_truncated_body_is_whole_for_http_and_broken_for_json(
    api: Api, when: str, accepted: int
) -> None:
    arm(api, f"truncate,on={CREATE},when={when},next=1")
    answer = create(api)
    assert answer.status_code == 200
    assert answer.text.startswith('{"code":')
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert counts(api) == (1, accepted)


def test_a_cut_answer_ends_in_the_middle(api: Api) -> None:
    link = api.finished(api.video_id())["video"]
    arm(api, "cut,on=GET /media/videos/*,next=1")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        requests.get(link, timeout=WAIT)
    assert requests.get(link, timeout=WAIT).status_code == 200


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
def test_a_delay_outlasts_an_impatient_client(api: Api, when: str, accepted: int) -> None:
    arm(api, f"delay,on={CREATE},when={when},next=1,seconds=0.6")
    with pytest.raises(requests.ReadTimeout):
        requests.post(api.akool.url + PATH, json=talking(), headers=api.headers, timeout=(1, 0.2))
    assert counts(api) == (1, accepted)


def test_a_delayed_answer_arrives(api: Api) -> None:
    arm(api, "delay,next=1,seconds=0.2")
    before = time.monotonic()
    assert create(api).json()["code"] == 1000
    assert time.monotonic() - before > 0.2


def test_only_the_named_endpoint_is_hit_and_never_the_admin(api: Api) -> None:
    arm(api, f"status,on={CREATE}")
    assert api.get("/v3/faceswap/quota/info")["code"] == 1000
    arm(api, "status")
    assert requests.get(api.akool.url + "/emulator/stats", timeout=WAIT).status_code == 200
    assert requests.get(api.akool.url + "/", timeout=WAIT).status_code == 200
    assert create(api).status_code == 500


def test_a_probability_hits_its_share_the_same_with_the_same_seed() -> None:
    def hits(seed: int) -> list[bool]:
        plan = FaultPlan(seed=seed, faults=[Fault(kind="drop", probability=0.3)])
        return [plan.pick("GET /x", content="x") is not None for _ in range(2_000)]

    assert hits(1) == hits(1) != hits(2)
    assert 0.25 < sum(hits(1)) / 2_000 < 0.35


def test_the_first_fault_that_hits_decides_and_spent_ones_are_passed_over() -> None:
    first, second = Fault(kind="drop", next=1), Fault(kind="busy", next=2)
    plan = FaultPlan(seed=0, faults=[first, second])
    assert [plan.pick("GET /x", content="x") for _ in range(4)] == [first, second, second, None]
    assert [item["spent"] for item in plan.listing()] == [True, True]
    plan.clear()
    assert plan.listing() == []


def test_a_line_says_everything() -> None:
    line = "delay,on=GET */x,when=before,probability=0.5,next=3,seconds=2.5"
    assert parse_fault(line) == Fault(
        kind="delay", on="GET */x", when="before", probability=0.5, next=3, seconds=2.5
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("explode", "explode"),
        ("drop,when=never", "never"),
        ("drop,next=0", "next is 0"),
        ("drop,next=many", "next='many'"),
        ("drop,probability=2", "probability is 2"),
        ("drop,colour=red", "colour=red"),
        ("drop,status=200", "status is 200"),
        ("delay,seconds=-1", "seconds is -1"),
        ("drip,seconds=inf", "seconds is inf"),
    ],
)
def test_a_wrong_line_is_explained(line: str, told: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_fault(line)
    assert told in str(error.value)


@given(st.text())
def test_any_line_is_a_fault_or_a_value_error(line: str) -> None:
    try:
        assert parse_fault(line).kind
    except ValueError:
        return


def raw_answer(api: Api, path: str, *, until: float) -> list[tuple[float, bytes]]:
    """All pieces that come back on a kept connection, with their seconds since the request."""
    address = api.akool.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=until) as line:
        key = f"x-api-key: {api.akool.api_key}"
        line.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n{key}\r\n\r\n".encode())
        began, pieces = time.monotonic(), []
        line.settimeout(0.02)
        while time.monotonic() - began < until:
            with contextlib.suppress(TimeoutError):
                piece = line.recv(65_536)
                if not piece:
                    break
                pieces.append((time.monotonic() - began, piece))
    return pieces


QUOTA = "/api/open/v3/faceswap/quota/info"


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
def test_a_length_beyond_the_body_leaves_the_client_waiting(
    api: Api, when: str, accepted: int
) -> None:
    arm(api, f"long-length,on={CREATE},when={when},next=1,seconds=0.3")
    began = time.monotonic()
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="1 more expected"):
        create(api)
    assert time.monotonic() - began > 0.3
    assert counts(api) == (1, accepted)


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
def test_a_length_below_the_body_hides_the_rest(api: Api, when: str, accepted: int) -> None:
    arm(api, f"short-length,on={CREATE},when={when},next=1")
    answer = create(api)
    assert answer.headers["content-length"] == str(len(answer.content))
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert counts(api) == (1, accepted)


def test_what_exceeds_a_short_length_spills_into_the_connection(api: Api) -> None:
    arm(api, "short-length,next=1")
    whole = b"".join(piece for _, piece in raw_answer(api, QUOTA, until=0.3))
    headers, _, body = whole.partition(b"\r\n\r\n")
    assert json.loads(body) == {"code": 1000, "msg": "OK", "data": {"credit": 100_000}}
    assert f"content-length: {len(body) // 2}".encode() in headers


def test_a_client_with_a_session_survives_what_was_spilled(api: Api) -> None:
    arm(api, "short-length,next=1")
    with requests.Session() as session:
        answers = [
            session.get(api.akool.url + QUOTA, headers=api.headers, timeout=WAIT) for _ in range(2)
        ]
    assert answers[1].json()["data"] == {"credit": 100_000}


@pytest.mark.parametrize(("when", "code", "accepted"), [("before", 2001, 0), ("after", 1000, 1)])
def test_a_drip_is_slow_and_whole(api: Api, when: str, code: int, accepted: int) -> None:
    arm(api, f"drip,on={CREATE},when={when},next=1,seconds=0.3")
    began = time.monotonic()
    assert create(api).json()["code"] == code
    assert 0.3 <= time.monotonic() - began < 5
    assert counts(api) == (1, accepted)


def test_a_drip_comes_evenly_and_byte_by_byte(api: Api) -> None:
    arm(api, "drip,next=1,seconds=0.6")
    pieces = raw_answer(api, QUOTA, until=1)
    body = b"".join(piece for _, piece in pieces).partition(b"\r\n\r\n")[2]
    assert json.loads(body)["code"] == 1000
    assert len(pieces) > 10
    middle = pieces[len(pieces) // 2][0]
    assert 0.15 < middle < 0.5


def test_a_drip_into_a_closed_connection_ends(caplog) -> None:
    with serve() as akool:
        api = Api(akool)
        arm(api, "drip,seconds=60")
        with requests.get(akool.url + QUOTA, headers=api.headers, timeout=WAIT, stream=True):
            pass
    assert not caplog.text  # the server would tell that it had to cancel something


def test_downloads_are_hit(api: Api) -> None:
    link = api.finished(api.video_id())["video"]
    whole = requests.get(link, timeout=WAIT).content
    media = "on=GET /media/videos/*,next=1"

    arm(api, f"drip,{media},seconds=0.3")
    began = time.monotonic()
    assert requests.get(link, timeout=WAIT).content == whole
    assert time.monotonic() - began > 0.3

    arm(api, f"short-length,{media}")
    assert requests.get(link, timeout=WAIT).content == whole[: len(whole) // 2]

    arm(api, f"truncate,{media}")
    assert requests.get(link, timeout=WAIT).content == whole[: len(whole) // 2]

    for line in ("long-length,seconds=0", "cut"):
        arm(api, f"{line},{media}")
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            requests.get(link, timeout=WAIT)

    arm(api, f"gateway,{media},when=before")
    assert requests.get(link, timeout=WAIT).headers["content-type"] == "text/html"
    assert requests.get(link, timeout=WAIT).content == whole
    assert [fault["hits"] for fault in api.akool.emulator.stats().faults] == [1] * 6


def test_a_request_with_a_body_is_carried_out_when_no_fault_hits_it(api: Api) -> None:
    arm(api, "drop,probability=0")
    assert create(api).json()["code"] == 1000
    assert counts(api) == (1, 1)
