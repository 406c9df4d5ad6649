import pytest

from akool_dagster_tests.emulator.api import Api

BODY = {"input_text": "Hello.", "voice_id": "Emma_en-US", "rate": "100%", "webhookUrl": ""}


def info(api: Api, job_id: str) -> dict:
    return api.get("/v3/audio/infobymodelid", audio_model_id=job_id)["data"]


def test_voices_by_source(api: Api) -> None:
    official = api.get("/v3/voice/list", **{"from": 3})["data"]
    assert {"Emma_en-US", "Anna_de-DE", "Sakura_ja-JP"} <= {row["voice_id"] for row in official}
    assert {row["gender"] for row in official} == {"Female", "Male"}
    assert api.get("/v3/voice/list", **{"from": 4})["data"] == []
    assert len(api.get("/v3/voice/list")["data"]) == len(official)


def test_speech_is_queued_then_done_with_its_link_in_url(api: Api) -> None:
    made = api.post("/v3/audio/create", BODY)["data"]
    assert (made["status"], made["url"], made["rate"]) == (1, "", "100%")
    assert made["voice_model_id"]
    api.akool.emulator.clock.advance(2)
    assert info(api, made["_id"])["status"] == 2
    api.akool.emulator.clock.advance(8)
    done = info(api, made["_id"])
    assert done["status"] == 3
    assert done["url"].endswith(f"/media/audio/{made['_id']}.mp3")


def test_failed_speech_has_no_link_but_a_reason(api: Api) -> None:
    body = BODY | {"input_text": "Hi [[voice:failed 1201 no such sound]]"}
    made = api.post("/v3/audio/create", body)["data"]
    api.akool.emulator.clock.advance(100)
    done = info(api, made["_id"])
    assert (done["status"], done["url"]) == (4, "")
    assert (done["error_code"], done["error_reason"]) == (1201, "no such sound")


def test_the_record_id_of_a_voice_is_taken_too(api: Api) -> None:
    record = api.get("/v3/voice/list")["data"][0]["_id"]
    assert api.post("/v3/audio/create", BODY | {"voice_id": record})["code"] == 1000


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"input_text": ""}, 1003),
        ({"input_text": "x" * 10_001}, 1003),
        ({"voice_id": None}, 1003),
        ({"voice_id": "nobody"}, 1014),
        ({"rate": "150%"}, 1003),
        ({"rate": "fast"}, 1003),
        ({"webhookUrl": "ftp://x"}, 1003),
        ({"input_text": "Hi [[voice:1201]]"}, 1201),
        ({"input_text": "Hi [[voice:banana]]"}, 1003),
    ],
)
def test_refusals(steady: Api, change: dict, expected: int) -> None:
    assert steady.post("/v3/audio/create", BODY | change)["code"] == expected


def test_clone_speaks_by_a_sample_and_needs_a_rate(steady: Api) -> None:
    sample = {"voice_url": "https://media.example/me.mp3"}
    body = {"input_text": "Hello.", "rate": "100%", **sample}
    assert steady.post("/v3/audio/clone", body)["code"] == 1000
    assert steady.post("/v3/audio/clone", body | {"rate": None})["code"] == 1003
    assert steady.post("/v3/audio/clone", body | {"voice_url": ""})["code"] == 1003


def test_unknown_audio_is_1008_and_a_video_is_no_audio(api: Api) -> None:
    video_id = api.video_id()
    for job_id in ("65f800000000000000000001", video_id):
        answer = api.get("/v3/audio/infobymodelid", audio_model_id=job_id)
        assert answer["code"] == 1008


def test_a_lower_rate_takes_longer(api: Api) -> None:
    text = {"input_text": "This is a sentence of some length, to be said slowly or fast."}
    for rate in ("100%", "50%"):
        api.post("/v3/audio/create", BODY | text | {"rate": rate})
    normal, slow = (job.seconds for job in api.akool.emulator.jobs("voice"))
    assert slow > 1.6 * normal
