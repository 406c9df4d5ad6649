"""Two emulators with the same seed live through the same; another seed, something else."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.emulator import EmulatorConfig, Fault, serve
from akool_dagster.emulator.fingerprints import fingerprint, steady
from akool_dagster_tests.emulator.api import OPEN, Api, talking

FAULTS = (
    Fault(kind="drop", on="POST *", when="before", probability=0.2),
    Fault(kind="gateway", on="POST *", probability=0.2),
    Fault(kind="status", on="GET *", probability=0.3),
    Fault(kind="truncate", on="GET /media/*", probability=0.5),
)
CREATE = f"{OPEN}/v3/talkingavatar/create"
INFO = f"{OPEN}/v3/content/video/infobymodelid"


def night(seed: int, **changes: Any) -> EmulatorConfig:
    config = {"faults": FAULTS, "failing_renders": 0.3, "media": "tiny", "slots": 100, **changes}
    return EmulatorConfig(seed=seed, **config)


def ask(api: Api, method: str, path: str, **options: Any) -> str:
    try:
        return str(api.raw(method, path, **options).status_code)
    except requests.RequestException as error:
        return type(error).__name__


def lived(
    config: EmulatorConfig, *, threads: int = 1, shuffled: int = 0, count: int = 40
) -> dict[str, Any]:
    """What happens to some creates, three polls of each job, and a download of each."""
    texts = [f"Number {number}." for number in range(count)]
    random.Random(shuffled).shuffle(texts)
    with serve(config) as akool, ThreadPoolExecutor(threads) as workers:
        api = Api(akool)
        # The webhook's address has a port and a token, which differ in each run.
        hook = f"http://127.0.0.1:9/{random.random()}"

        def create(text: str) -> str:
            return ask(api, "POST", CREATE, json=talking(text=text, webhookUrl=hook))

        def poll(job_id: str) -> list[str]:
            polls = [ask(api, "GET", INFO, params={"video_model_id": job_id}) for _ in range(3)]
            return [*polls, ask(api, "GET", f"/media/videos/{job_id}.mp4")]

        akool.emulator.configure(webhooks={"send": False})
        creates = dict(zip(texts, workers.map(create, texts), strict=True))
        jobs = {job.body["elements"][2]["input_text"]: job for job in akool.emulator.jobs("video")}
        akool.emulator.clock.advance(100_000)
        polls = dict(zip(jobs, workers.map(poll, [job.id for job in jobs.values()]), strict=True))
        return {
            "creates": creates,
            "polls": polls,
            "works": {text: job.work for text, job in jobs.items()},
            "fails": {text: job.fails for text, job in jobs.items()},
            "ids": {text: job.id for text, job in jobs.items()},
            "video_ids": {text: job.details["video_id"] for text, job in jobs.items()},
            "hits": [fault["hits"] for fault in akool.emulator.stats().faults],
        }


@pytest.fixture(scope="module")
def first() -> dict[str, Any]:
    return lived(night(5, start=1.8e9))


def test_the_night_is_a_bad_one(first: dict[str, Any]) -> None:
    assert set(first["creates"].values()) == {"200", "502", "ConnectionError"}
    assert {status for polls in first["polls"].values() for status in polls} == {"200", "500"} | (
        {"403"} if any(first["fails"].values()) else set()
    )
    assert all(first["hits"])
    assert {True, False} == set(first["fails"].values())


def test_the_same_seed_and_requests_give_the_same_outcome(first: dict[str, Any]) -> None:
    assert lived(night(5, start=1.8e9)) == first


def test_neither_threads_nor_order_change_anything(first: dict[str, Any]) -> None:
    assert lived(night(5, start=1.8e9), threads=8, shuffled=1) == first


def test_the_time_changes_only_the_beginning_of_ids(first: dict[str, Any]) -> None:
    again = lived(night(5, start=1.9e9))
    for name in ("creates", "polls", "works", "fails", "hits"):
        assert again[name] == first[name], name
    for text, job_id in first["ids"].items():
        assert again["ids"][text][8:] == job_id[8:]
        assert again["ids"][text][:8] == f"{1_900_000_000:x}"
        assert job_id[:8] == f"{1_800_000_000:x}"


def test_another_seed_gives_another_night(first: dict[str, Any]) -> None:
    other = lived(night(6, start=1.8e9))
    for name in ("creates", "polls", "works", "fails", "ids", "hits"):
        assert other[name] != first[name], name


def test_a_repeated_request_is_drawn_anew_and_its_job_named_anew() -> None:
    with serve(night(5, faults=FAULTS[1:2])) as akool:
        api = Api(akool)
        ends = Counter(ask(api, "POST", CREATE, json=talking()) for _ in range(40))
        jobs = akool.emulator.jobs("video")
    assert 0 < ends["502"] < 20
    assert len({job.id for job in jobs}) == len({job.details["task_id"] for job in jobs}) == 40
    assert 3 < sum(job.fails for job in jobs) < 25


def test_a_failing_render_says_so_and_costs_nothing() -> None:
    with serve(EmulatorConfig(failing_renders=1, media="tiny", credits=100)) as akool:
        api = Api(akool)
        done = api.finished(api.video_id())
        assert (done["video_status"], done["error_code"], done["video"]) == (4, 1205, "")
        assert api.credits() == 100


def test_cloned_voices_get_ids_of_their_own_whenever_they_are_made() -> None:
    def clones(pause: float) -> list[tuple[str, str]]:
        with serve(EmulatorConfig(seed=3, start=1.8e9)) as akool:
            sample = {"source_voice_file": "https://media.example/me.mp3"}
            for _ in range(2):
                Api(akool).post("/v4/voice/clone", sample)
                akool.emulator.clock.advance(pause)
            return [(job.id, job.details["voice_id"]) for job in akool.emulator.jobs("clone")]

    names = clones(0)
    assert len({name for pair in names for name in pair}) == 4
    assert clones(1_000) == names


def test_callbacks_are_lost_the_same(site) -> None:
    def told(seed: int, *, start: float) -> set[str]:
        with serve(night(seed, faults=(), start=start)) as akool:
            akool.emulator.configure(webhooks={"lost": 0.5, "attempts": 1})
            api = Api(akool)
            for number in range(20):
                api.video_id(text=f"Number {number}.", webhookUrl=site.url)
            akool.emulator.clock.advance(10_000)
            expected = 20 - akool.emulator.stats().webhooks["lost"]
            site.wait_for(already + expected)
            while akool.emulator.stats().webhooks.get("delivered", 0) < expected:
                time.sleep(0.01)
            return {entry.job_id[8:] for entry in list(akool.emulator.webhooks.log)}

    already = 0
    nights = []
    for seed, start in ((1, 1.8e9), (1, 1.9e9), (2, 1.8e9)):
        nights.append(told(seed, start=start))
        already = len(site.bodies)
    assert nights[0] == nights[1] != nights[2]


def test_what_differs_between_two_runs_does_not_count() -> None:
    def marked(port: int, second: str, token: str, *, text: str = "Hi.") -> str:
        link = f"http://127.0.0.1:{port}/media/audio/{second}0123456789abcdef.mp3"
        body = f'{{"text": "{text}", "webhookUrl": "http://x/{token}", "url": "{link}"}}'
        return fingerprint(
            endpoint="POST /x", query=f"id={second}0123456789abcdef", body=body.encode()
        )

    first = marked(80, "6b033af7", "a")
    assert marked(81, "6b033b00", "b") == first
    assert marked(80, "6b033af7", "a", text="Ho.") != first


def test_other_hosts_and_other_ids_count() -> None:
    assert steady("https://media.example/a.mp3") == "https://media.example/a.mp3"
    assert steady("/x/0123456789abcdef01234567") != steady("/x/0123456789abcdef01234568")


@given(body=st.binary(), query=st.text())
def test_any_request_has_a_fingerprint(body: bytes, query: str) -> None:
    one = fingerprint(endpoint="POST /x", query=query, body=body)
    assert one == fingerprint(endpoint="POST /x", query=query, body=body)
    assert one != fingerprint(endpoint="GET /x", query=query, body=body)
