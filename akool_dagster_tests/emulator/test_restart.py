import shutil
import subprocess
import sys
from pathlib import Path

import requests

from akool_dagster.emulator import EmulatorConfig, serve
from akool_dagster_tests.emulator.api import WAIT, Api, talking
from akool_dagster_tests.emulator.conftest import EXACT


def config(folder: Path, **changes) -> EmulatorConfig:
    return EmulatorConfig(times=EXACT, state_dir=str(folder), **{"slots": 1, **changes})


def test_jobs_credits_time_and_media_survive(tmp_path: Path) -> None:
    with serve(config(tmp_path, credits=500)) as akool:
        api = Api(akool)
        link = api.audio_link("Hello there, this is kept.")
        done = api.finished(api.video_id(audio=link))
        running, waiting = api.video_id(text="Second."), api.video_id(text="Third.")
        api.akool.emulator.clock.advance(10)
        assert api.info(running)["video_status"] == 2
        before = akool.emulator.stats()
        first = requests.get(done["video"], timeout=WAIT).content
        old_url, now = akool.url, akool.emulator.clock.now()

    with serve(config(tmp_path)) as akool:
        api = Api(akool)
        after = akool.emulator.stats()
        assert after.credits == before.credits
        assert after.accepted == before.accepted
        assert akool.emulator.clock.now() >= now
        assert (after.rendering, after.waiting) == (1, 1)
        assert api.info(done["_id"])["video"] == done["video"].replace(old_url, akool.url)
        again = requests.get(api.info(done["_id"])["video"], timeout=WAIT)
        assert again.content == first
        # A link that was handed out under the old address still names its speech.
        assert api.video(audio=link)["code"] == 1000
        akool.emulator.clock.advance(80)
        assert [api.info(i)["video_status"] for i in (running, waiting)] == [3, 2]


def test_credits_are_not_settled_twice(tmp_path: Path) -> None:
    with serve(config(tmp_path, credits=100)) as akool:
        video_id = Api(akool).video_id()
    with serve(config(tmp_path)) as akool:
        price = Api(akool).finished(video_id)["deduction_duration"]
        assert Api(akool).credits() == 100 - price
    for _ in range(2):
        with serve(config(tmp_path)) as akool:
            assert Api(akool).credits() == 100 - price
            assert akool.emulator.stats().credits["held"] == 0


def test_uploads_clones_and_deletions_survive(tmp_path: Path) -> None:
    with serve(config(tmp_path)) as akool:
        api = Api(akool)
        upload = {"url": "https://media.example/me.mp4", "avatar_id": "Me1", "type": 1}
        assert api.post("/v3/avatar/create", upload)["code"] == 1000
        sample = {"source_voice_file": "https://media.example/me.mp3"}
        ids = [api.post("/v4/voice/clone", sample)["data"]["_id"] for _ in range(2)]
        akool.emulator.clock.advance(100)
        api.post("/v4/voice/del", {"_ids": ids[:1]})
    with serve(config(tmp_path)) as akool:
        api = Api(akool)
        kept = api.get("/v4/voice/list", type=1)["data"]["result"]
        assert [row["_id"] for row in kept] == ids[1:]
        assert api.video(avatar_id="Me1", avatar_from=3)["code"] == 1000
        assert api.post("/v3/avatar/create", upload)["code"] == 1222


def test_a_lost_media_folder_is_made_again(tmp_path: Path) -> None:
    with serve(config(tmp_path)) as akool:
        video_id = Api(akool).video_id()
        first = requests.get(Api(akool).finished(video_id)["video"], timeout=WAIT).content
    shutil.rmtree(tmp_path / "media")
    with serve(config(tmp_path)) as akool:
        again = requests.get(Api(akool).info(video_id)["video"], timeout=WAIT).content
    assert (len(again), again[4:8]) == (len(first), b"ftyp")


def test_a_stuck_job_stays_stuck(tmp_path: Path) -> None:
    with serve(config(tmp_path)) as akool:
        video_id = Api(akool).video_id(text="[[video:stuck]]")
    with serve(config(tmp_path)) as akool:
        assert Api(akool).finished(video_id)["video_status"] == 2


def test_without_a_folder_nothing_is_left(tmp_path: Path, monkeypatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with serve(EmulatorConfig(times=EXACT)) as akool:
        link = Api(akool).finished(Api(akool).video_id())["video"]
        assert requests.get(link, timeout=WAIT).status_code == 200
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_got_its_slot_late_keeps_its_time(tmp_path: Path) -> None:
    with serve(config(tmp_path)) as akool:
        api = Api(akool)
        first, second = api.video_id(text="First."), api.video_id(text="Second.")
        akool.emulator.clock.advance(70)
        assert [api.info(i)["video_status"] for i in (first, second)] == [3, 2]
        started = [job.started for job in akool.emulator.jobs("video")]
    with serve(config(tmp_path)) as akool:
        assert [job.started for job in akool.emulator.jobs("video")] == started


def test_an_accepted_job_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "akool_dagster.emulator", "--port", "0"]
    command += ["--state-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        path = "/api/open/v3/talkingavatar/create"
        headers = {"x-api-key": "emulator-key"}
        answer = requests.post(url + path, json=talking(), headers=headers, timeout=WAIT).json()
        process.kill()
    with serve(config(tmp_path)) as akool:
        assert Api(akool).finished(answer["data"]["_id"])["video_status"] == 3
