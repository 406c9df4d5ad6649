from collections.abc import Callable

import pytest
import requests

from akool_dagster_tests.emulator.api import WAIT, Api
from akool_dagster_tests.emulator.conftest import Site


def resource(api: Api, job_id: str) -> dict:
    return api.get(f"/v4/voice/resource/detail/{job_id}")["data"]["result"]


def clone(api: Api, **fields: str) -> dict:
    body = {"source_voice_file": "https://media.example/me.mp3", "name": "Me", **fields}
    return api.post("/v4/voice/clone", body)


def test_voices_need_a_type_and_come_in_pages(steady: Api) -> None:
    assert steady.get("/v4/voice/list")["code"] == 1003
    first = steady.get("/v4/voice/list", type=2)["data"]
    assert (len(first["result"]), first["page"], first["size"]) == (10, 1, 10)
    last = steady.get("/v4/voice/list", type=2, page=3)["data"]["result"]
    assert len(last) == first["count"] - 20


def test_filters(steady: Api) -> None:
    women = steady.get("/v4/voice/list", type=2, size=100, gender="female")["data"]["result"]
    assert {voice["gender"] for voice in women} == {"Female"}
    assert steady.get("/v4/voice/list", type=2, name="emm")["data"]["count"] == 1
    assert steady.get("/v4/voice/list", type=2, support_stream=1)["data"]["count"] == 0


def test_previews_speak(steady: Api) -> None:
    voice = steady.get("/v4/voice/list", type=2)["data"]["result"][0]
    answer = requests.get(voice["preview"], timeout=WAIT)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert len(answer.content) > 5_000


def test_speech_is_nested_under_result_with_preview_and_milliseconds(api: Api) -> None:
    made = api.tts("Hello, how are you today? I hope that you are fine.")["data"]
    assert (made["status"], made["preview"], made["duration"]) == (1, None, 0)
    api.akool.emulator.clock.advance(10)
    done = resource(api, made["_id"])
    assert done["status"] == 3
    assert done["preview"].endswith(".mp3")
    assert 1_500 < done["duration"] < 6_000


def test_many_results_at_once_newest_first(api: Api) -> None:
    ids = [api.tts(f"Text {n}")["data"]["_id"] for n in range(3)]
    data = api.get("/v4/voice/resource/list", type=1, size=2)["data"]
    assert [row["_id"] for row in data["result"]] == ids[:0:-1]
    assert data["count"] == 3
    assert api.get("/v4/voice/resource/list", type=2)["data"]["count"] == 0
    assert api.get("/v4/voice/resource/list")["code"] == 1003


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"voice_options": {"speed": 1.3}}, 1003),
        ({"voice_options": "fast"}, 1003),
        ({"extra_options": {"audio_setting": {"format": "ogg"}}}, 1003),
        ({"extra_options": {"audio_setting": {"sample_rate": 1}}}, 1003),
        ({"voice_options": {"speed": 0.7}}, 1000),
        ({"text": "x" * 10_001}, 1003),
        ({"text": "[[voice:1201]]"}, 1201),
        ({"voice_id": "nobody"}, 1014),
    ],
)
def test_options_are_checked(steady: Api, change: dict, expected: int) -> None:
    assert steady.tts(**change)["code"] == expected


def test_speed_changes_the_length(api: Api) -> None:
    text = "This is a sentence of some length, to be said slowly or fast."
    for speed in (1.2, 0.7):
        api.tts(text, voice_options={"speed": speed})
    fast, slow = (job.seconds for job in api.akool.emulator.jobs("voice"))
    assert slow > 1.4 * fast


def test_a_clone_gets_its_voice_id_when_it_is_done_and_then_speaks(api: Api) -> None:
    made = clone(api)["data"]
    assert (made["status"], made["voice_id"]) == (1, None)
    api.akool.emulator.clock.advance(60)
    done = api.get(f"/v4/voice/detail/{made['_id']}")["data"]
    assert done["status"] == 3
    assert api.tts(voice_id=done["voice_id"])["code"] == 1000
    listed = api.get("/v4/voice/list", type=1)["data"]["result"]
    assert [row["voice_id"] for row in listed] == [done["voice_id"]]
    assert requests.get(done["preview"], timeout=WAIT).status_code == 200


def test_deleted_voices_are_gone_and_foreign_ones_are_named(api: Api) -> None:
    record = clone(api)["data"]["_id"]
    official = api.get("/v4/voice/list", type=2)["data"]["result"][0]["_id"]
    api.akool.emulator.clock.advance(60)
    voice_id = api.get(f"/v4/voice/detail/{record}")["data"]["voice_id"]
    data = api.post("/v4/voice/del", {"_ids": [record, official]})["data"]
    assert data["successIds"] == [record]
    assert [row["_id"] for row in data["noPermissionVoices"]] == [official]
    assert api.get("/v4/voice/list", type=1)["data"]["count"] == 0
    assert api.tts(voice_id=voice_id)["code"] == 1014
    assert api.post("/v4/voice/del", {"_ids": []})["code"] == 1003


def test_clones_are_checked_and_rehearsed(steady: Api) -> None:
    assert clone(steady, source_voice_file="")["code"] == 1003
    assert clone(steady, voice_model_name="Akool Multilingual 2")["code"] == 1003
    assert clone(steady, name="[[clone:1003]]")["code"] == 1003
    assert clone(steady, name="[[clone:1112]]")["code"] == 1112


def test_official_voices_have_details(steady: Api) -> None:
    voice = steady.get("/v4/voice/list", type=2)["data"]["result"][0]
    assert steady.get(f"/v4/voice/detail/{voice['_id']}")["data"] == voice
    assert steady.get("/v4/voice/detail/000000000000000000000000")["code"] == 1008


@pytest.mark.parametrize(("habit", "code", "status"), [("refuse", 1112, None), ("fail", 1000, 4)])
def test_a_sample_on_this_machine_is_read(
    habit: str, code: int, status: int | None, start: Callable[..., Api], site: Site
) -> None:
    api = start(unreachable_media=habit)
    site.files = {"/me.mp3": b"sound", "/large.mp3": bytes(30 * 1024 * 1024 + 1)}
    assert clone(api, source_voice_file=f"{site.url}/me.mp3")["code"] == 1000
    assert clone(api, source_voice_file=f"{site.url}/large.mp3")["code"] == 1003
    dead = clone(api, source_voice_file=f"{site.url}/dead.mp3")
    assert dead["code"] == code
    if status is not None:
        api.akool.emulator.clock.advance(600)
        assert api.get(f"/v4/voice/detail/{dead['data']['_id']}")["data"]["status"] == status
