"""Creating videos by the three pages, and their lives."""

import copy
from typing import Any

import pytest
import requests

from akool_dagster.emulator import RenderTimes
from akool_dagster_tests.emulator.api import Api, talking

AVATAR, AUDIO = 1, 2  # positions in talking()["elements"]


def scene(audio: str, **changes: Any) -> dict[str, Any]:
    avatar = {"id": "avatar", "type": "avatar", "avatar_id": "Jane_in_Blue_2024", "url": ""}
    one = {
        "width": 1920,
        "height": 1080,
        "duration": 18938.75,
        "voice": {"voice_url": audio},
        "elements": [avatar | {"scale_x": 1, "scale_y": 1, "offset_x": 960, "offset_y": 540}],
        "ratio": "16:9",
        "background": "#ffffff",
        "avatarFrom": 2,
        **changes,
    }
    return {"data": [one], "webhookUrl": ""}


def test_the_create_answer_has_three_ids_and_only_one_polls(api: Api) -> None:
    data = api.video()["data"]
    assert (data["video_status"], data["video"]) == (1, "")
    assert len({data["_id"], data["video_id"], data["task_id"]}) == 3
    assert api.info(data["_id"])["_id"] == data["_id"]
    for other in ("video_id", "task_id"):
        answer = api.get("/v3/content/video/infobymodelid", video_model_id=data[other])
        assert answer["code"] == 1008


def test_a_video_is_queued_then_rendered_then_completed(api: Api) -> None:
    video_id, clock = api.video_id(), api.akool.emulator.clock
    seen = [api.info(video_id)["video_status"]]
    for seconds in (2, 50, 10):
        clock.advance(seconds)
        seen.append(api.info(video_id)["video_status"])
    assert seen == [1, 2, 2, 3]
    assert api.info(video_id)["video"].endswith(f"{video_id}.mp4")
    assert api.akool.emulator.stats().polls[video_id] == 5


def test_longer_scripts_take_longer_to_render(start) -> None:
    api: Api = start(times=RenderTimes(sigma=0, video_per_second=2))
    short, long_ = api.video_id(text="Hi."), api.video_id(text="Hello you. " * 100)
    jobs = {job.id: job for job in api.akool.emulator.jobs("video")}
    assert jobs[long_].work > jobs[short].work + 60


def test_render_times_are_drawn_by_the_seed_and_the_script(start) -> None:
    def works(seed: int, texts: tuple[str, ...]) -> dict[str, float]:
        api = start(seed=seed, times=RenderTimes(), slots=9)
        ids = {text: api.video_id(text=text) for text in texts}
        jobs = {job.id: job.work for job in api.akool.emulator.jobs("video")}
        return {text: jobs[job_id] for text, job_id in ids.items()}

    first, again = works(1, ("One.", "Two.")), works(1, ("Two.", "One."))
    assert first == again
    assert first["One."] != first["Two."]
    assert works(2, ("One.",))["One."] != first["One."]


def test_beyond_the_slots_videos_wait_in_status_1(start) -> None:
    api: Api = start(slots=2)
    ids = [api.video_id(text=f"Number {n}.") for n in range(5)]
    clock = api.akool.emulator.clock
    clock.advance(30)
    assert [api.info(i)["video_status"] for i in ids] == [2, 2, 1, 1, 1]
    stats = api.akool.emulator.stats()
    assert (stats.rendering, stats.waiting) == (2, 3)
    clock.advance(61)
    assert [api.info(i)["video_status"] for i in ids] == [3, 3, 2, 2, 1]
    clock.advance(150)
    assert [api.info(i)["video_status"] for i in ids] == [3] * 5


def test_beyond_the_slots_1005_when_switched(start) -> None:
    api: Api = start(slots=1, refuse_beyond_slots=True)
    first = api.video_id()
    assert api.video()["code"] == 1005
    api.finished(first)
    assert api.video()["code"] == 1000


def broken(path: tuple, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(talking())
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return body


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("elements",), KeyError, 1003),
        (("elements",), [], 1003),
        (("elements",), ["avatar"], 1003),
        (("elements", AUDIO), KeyError, 1003),
        (("elements", AVATAR), KeyError, 1003),
        (("elements", AVATAR, "type"), "text", 1003),
        (("elements", AVATAR, "avatar_id"), "", 1003),
        (("elements", AVATAR, "avatar_id"), "Nobody", 1014),
        (("elements", AVATAR, "scale_x"), "wide", 1003),
        (("elements", AUDIO, "voice_id"), KeyError, 1003),
        (("elements", AUDIO, "input_text"), KeyError, 1003),
        (("elements", AUDIO, "input_text"), "   ", 1003),
        (("elements", AUDIO, "input_text"), "x" * 10_001, 1003),
        (("elements", AUDIO, "input_text"), "x" * 10_000, 1000),
        (("elements", AUDIO, "voice_id"), "nobody", 1014),
        (("elements", AUDIO, "url"), "not a link", 1003),
        (("elements", 0, "url"), "white", 1003),
        (("elements", 0), KeyError, 1000),
        (("avatar_from",), 4, 1003),
        (("avatar_from",), KeyError, 1003),
        (("avatar_from",), 7, 1000),
        (("width",), 1920, 1003),
        (("height",), KeyError, 1003),
        (("webhookUrl",), "hooks.example", 1003),
        (("webhookUrl",), "", 1000),
    ],
)
def test_validation(steady: Api, path: tuple, value: Any, expected: int) -> None:
    answer = steady.post("/v3/talkingavatar/create", broken(path, value))
    assert answer["code"] == expected, answer


def test_a_bare_url_needs_avatar_from_3(steady: Api) -> None:
    link = "https://media.example/me.png"
    assert steady.video(avatar_url=link, avatar_from=2)["code"] == 1003
    assert steady.video(avatar_url=link, avatar_from=3)["code"] == 1000


def test_no_json_is_1003(steady: Api) -> None:
    for data in ("nonsense", "[1]", ""):
        answer = steady.raw("POST", "/api/open/v3/talkingavatar/create", data=data)
        assert answer.json()["code"] == 1003


def test_other_sizes_and_ids_when_switched(start) -> None:
    api: Api = start(strict_sizes=False, accept_unknown_ids=True)
    answer = api.video(width=1080, height=1920, avatar_id="From_the_real_list", voice_id="abc")
    assert answer["code"] == 1000


def test_a_refused_create_makes_no_job(api: Api) -> None:
    assert api.video(avatar_from=4)["code"] == 1003
    stats = api.akool.emulator.stats()
    assert (stats.received["video"], stats.accepted["video"]) == (1, 0)
    assert stats.refusals == {1003: 1}
    assert stats.credits["available"] == 100_000


def test_the_older_page(api: Api) -> None:
    audio = api.audio_link()
    data = api.post("/v3/avatar/createVideo", scene(audio))["data"]
    assert (data["video_status"], data["video_sub_status"], data["type"]) == (1, 1, 4)
    assert data["deduction_lock_duration"] == 10
    assert data["source_data"]["data"][0]["voice"]["voice_url"] == audio
    assert api.finished(data["_id"])["video_status"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"voice": None},
        {"voice": {"voice_id": "Emma_en-US", "input_text": "Hi"}},
        {"elements": []},
        {"elements": [{"type": "image", "url": "#ffffff"}]},
        {"elements": [{"type": "avatar"}]},
        {"background": "white"},
        {"width": 0},
    ],
)
def test_the_older_page_refuses(steady: Api, change: dict) -> None:
    body = scene("http://127.0.0.1:9/a.mp3", **change)
    assert steady.post("/v3/avatar/createVideo", body)["code"] == 1003


def test_the_older_page_takes_one_scene(steady: Api) -> None:
    body = scene("http://127.0.0.1:9/a.mp3")
    answer = steady.post("/v3/avatar/createVideo", {"data": body["data"] * 2})
    assert answer["code"] == 1003
    assert "one scene" in answer["msg"]


def test_talking_photos(api: Api) -> None:
    body = {"talking_photo_url": "https://media.example/me.png", "audio_url": api.audio_link()}
    path = "/v3/content/video/createbytalkingphoto"
    video_id = api.post(path, body)["data"]["_id"]
    assert api.finished(video_id)["video_status"] == 3
    assert api.post(path, body | {"audio_url": ""})["code"] == 1003
    assert api.post(path, body | {"resolution": "4k"})["code"] == 1003


def test_a_marker_for_the_video_travels_with_the_audio(api: Api) -> None:
    audio = api.audio_link("Hello [[video:failed 1205 create video error]]")
    for video_id in (
        api.video_id(audio=audio),
        api.post("/v3/avatar/createVideo", scene(audio))["data"]["_id"],
    ):
        done = api.finished(video_id)
        assert (done["video_status"], done["video"]) == (4, "")
        assert (done["error_code"], done["error_reason"]) == (1205, "create video error")


def test_a_bare_failure_tells_no_reason(api: Api) -> None:
    done = api.finished(api.video_id(text="Hi [[video:failed]]"))
    assert done["video_status"] == 4
    assert not {"error_code", "error_reason", "faceswap_fail_reason"} & set(done)


def test_where_the_reason_stands(start) -> None:
    api: Api = start()
    text = "Hi [[video:failed 1205 why]]"
    api.akool.emulator.configure(shapes={"failure": "faceswap_fail_reason"})
    done = api.finished(api.video_id(text=text))
    assert done["faceswap_fail_reason"] == "why"
    assert "error_reason" not in done
    api.akool.emulator.configure(shapes={"failure": "none"})
    assert not [name for name in api.info(done["_id"]) if "reason" in name or "error" in name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[[video:1003]]", 1003), ("[[voice:1201]]", 1201), ("[[video:1006]]", 1006)],
)
def test_a_marker_refuses_the_create(steady: Api, text: str, expected: int) -> None:
    assert steady.video(text=f"Hi {text}")["code"] == expected


def test_a_marker_in_the_avatars_link(steady: Api) -> None:
    answer = steady.video(avatar_url="https://media.example/[[video:1014]].png")
    assert answer["code"] == 1014


def test_a_marker_for_the_first_creates_only(api: Api) -> None:
    codes = [api.video(text="Hi [[video:1015 x2]]")["code"] for _ in range(3)]
    assert codes == [1015, 1015, 1000]
    assert api.video(text="Another [[video:1015 x2]]")["code"] == 1015


def test_stuck_and_slow(api: Api) -> None:
    stuck = api.video_id(text="Hi [[video:stuck]]")
    slow = api.video_id(text="Hi [[video:slow 600]]")
    api.akool.emulator.clock.advance(600)
    assert [api.info(i)["video_status"] for i in (stuck, slow)] == [2, 2]
    api.akool.emulator.clock.advance(100)
    assert [api.info(i)["video_status"] for i in (stuck, slow)] == [2, 3]
    api.akool.emulator.clock.advance(1e7)
    assert api.info(stuck)["video_status"] == 2


def test_a_lost_answer_leaves_the_job(api: Api) -> None:
    with pytest.raises(requests.ConnectionError):
        api.video(text="Hi [[video:lost]]")
    (job,) = api.akool.emulator.jobs("video")
    assert job.body["elements"][AUDIO]["input_text"] == "Hi [[video:lost]]"
    assert api.finished(job.id)["video_status"] == 3


def test_the_rehearsal_avatars_behave_as_they_are_named(api: Api) -> None:
    assert api.video(avatar_id="Rehearsal_refused_1003")["code"] == 1003
    assert api.video(avatar_id="Rehearsal_refused_1006")["code"] == 1006
    once = [api.video(avatar_id="Rehearsal_refused_1015_once")["code"] for _ in range(2)]
    assert once == [1015, 1000]
    with pytest.raises(requests.ConnectionError):
        api.video(avatar_id="Rehearsal_lost_answer")
    names = ("Rehearsal_failed", "Rehearsal_failed_1205", "Rehearsal_slow", "Rehearsal_stuck")
    ids = [api.video_id(avatar_id=name) for name in names]
    api.akool.emulator.clock.advance(600)
    found = [api.info(video_id) for video_id in ids]
    assert [data["video_status"] for data in found] == [4, 4, 2, 2]
    assert found[1]["error_code"] == 1205


def test_late_links_and_blank_first_polls(start) -> None:
    api: Api = start()
    api.akool.emulator.configure(shapes={"late_video_polls": 2, "blank_polls": 1})
    video_id = api.video_id()
    assert api.info(video_id) == {}
    assert api.info(video_id)["video_status"] == 1
    api.akool.emulator.clock.advance(100)
    links = [api.info(video_id)["video"] for _ in range(3)]
    assert links[:2] == ["", ""]
    assert links[2]


def test_blank_polls_with_a_code(start) -> None:
    api: Api = start()
    api.akool.emulator.configure(shapes={"blank_polls": 1, "blank_poll_code": 1008})
    video_id = api.video_id()
    answer = api.get("/v3/content/video/infobymodelid", video_model_id=video_id)
    assert answer["code"] == 1008
    assert api.info(video_id)["video_status"] == 1
