import time

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.emulator import Fault, parse_fault
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
    assert answer.text.startswith('{"code":1000')
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
        return [plan.pick("GET /x") is not None for _ in range(2_000)]

    assert hits(1) == hits(1) != hits(2)
    assert 0.25 < sum(hits(1)) / 2_000 < 0.35


def test_the_first_fault_that_hits_decides_and_spent_ones_are_passed_over() -> None:
    first, second = Fault(kind="drop", next=1), Fault(kind="busy", next=2)
    plan = FaultPlan(seed=0, faults=[first, second])
    assert [plan.pick("GET /x") for _ in range(4)] == [first, second, second, None]
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
