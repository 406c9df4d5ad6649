import threading
import time

import pytest
import requests

from akool_dagster.emulator import EmulatorConfig, serve
from akool_dagster_tests.emulator.api import WAIT, Api


def admin(api: Api, method: str, name: str, **options) -> requests.Response:
    return requests.request(method, f"{api.akool.url}/emulator/{name}", timeout=WAIT, **options)


def test_stats_count_what_arrived_and_what_was_accepted(api: Api) -> None:
    video_id = api.video_id()
    api.video(avatar_from=9)
    api.tts()
    api.info(video_id)
    api.get("/v3/avatar/list")
    stats = admin(api, "GET", "stats").json()
    assert (stats["received"], stats["accepted"]["video"]) == ({"video": 2, "voice": 1}, 1)
    assert stats["polls"] == {video_id: 1}
    assert stats["refusals"] == {"1003": 1}
    assert stats["requests"]["GET /api/open/v3/avatar/list"] == 1
    assert stats["requests"]["POST /api/open/v3/talkingavatar/create"] == 2
    assert stats["credits"]["held"] > 10
    assert not [name for name in stats["requests"] if "emulator" in name]


def test_jobs_show_bodies_even_of_stuck_ones(api: Api) -> None:
    api.video_id(text="Hi [[video:stuck]]")
    view = admin(api, "GET", "jobs", params={"kind": "video"}).json()
    assert view["count"] == 1
    (job,) = view["jobs"]
    assert job["body"]["elements"][2]["input_text"] == "Hi [[video:stuck]]"
    assert (job["ended"], job["link"]) == (None, None)
    assert admin(api, "GET", "jobs", params={"kind": "cat"}).status_code == 400


def test_the_clock_is_moved(api: Api) -> None:
    video_id = api.video_id()
    before = admin(api, "GET", "clock").json()["now"]
    after = admin(api, "POST", "clock", json={"advance": 100}).json()["now"]
    assert after - before >= 100
    assert api.info(video_id)["video_status"] == 3
    assert admin(api, "POST", "clock", json={"advance": -1}).status_code == 400
    assert admin(api, "POST", "clock", json={}).status_code == 400


def test_faults_are_armed_listed_and_cleared(api: Api) -> None:
    admin(api, "POST", "faults", json=["status,next=1", {"kind": "busy", "next": 1}])
    codes = [api.raw("GET", "/api/open/v3/faceswap/quota/info").status_code for _ in range(3)]
    assert codes == [500, 429, 200]
    assert [item["hits"] for item in admin(api, "GET", "faults").json()] == [1, 1]
    assert admin(api, "DELETE", "faults").json() == []
    assert "banana" in admin(api, "POST", "faults", json="banana").json()["error"]


def test_credits_are_set(api: Api) -> None:
    admin(api, "POST", "credits", json={"available": 5})
    assert api.credits() == 5
    assert api.video()["code"] == 1006


def test_habits_are_changed_and_keys_neither_shown_nor_changed(api: Api) -> None:
    shown = admin(api, "GET", "config").json()
    assert "clients" not in shown
    assert "api_keys" not in shown
    changed = admin(api, "PATCH", "config", json={"slots": 9, "shapes": {"lists": "array"}}).json()
    assert (changed["slots"], changed["shapes"]["lists"]) == (9, "array")
    assert changed["shapes"]["details"] == "object"
    assert isinstance(api.get("/v3/avatar/list")["data"], list)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"colour": 1}, "colour"),
        ({"seed": 2}, "fixed"),
        ({"slots": 0}, "slots is 0"),
        ({"shapes": {"lists": "tree"}}, "lists is 'tree'"),
        ({"shapes": {"x": 1}}, "shapes"),
        ({"api_keys": ["x"]}, "api_keys"),
    ],
)
def test_wrong_habits_are_explained(steady: Api, change: dict, told: str) -> None:
    answer = admin(steady, "PATCH", "config", json=change)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


def test_the_page_for_people_is_safe_to_look_at(api: Api) -> None:
    api.video_id(text="<script>alert(1)</script>")
    page = requests.get(api.akool.url, timeout=WAIT).text
    assert "AKOOL emulator" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_many_clients_at_once_lose_nothing(start) -> None:
    api: Api = start(media="tiny", slots=3)

    def work() -> None:
        for _ in range(15):
            api.info(api.video_id())

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = api.akool.emulator.stats()
    assert stats.accepted["video"] == stats.received["video"] == 90
    assert len({job.id for job in api.akool.emulator.jobs("video")}) == 90
    api.akool.emulator.clock.advance(90 * 100)
    ended = api.akool.emulator.stats()
    assert ended.statuses["video"]["completed"] == 90
    assert (ended.credits["held"], ended.credits["spent"]) == (0, 90)


def test_only_this_machine_can_be_served() -> None:
    with pytest.raises(ValueError, match=r"0\.0\.0\.0"), serve(host="0.0.0.0"):
        pass


def test_a_taken_port_is_told() -> None:
    with serve() as akool:
        port = int(akool.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), serve(port=port):
            pass


def test_it_stops_while_a_connection_is_open() -> None:
    with requests.Session() as session:
        with serve() as akool:
            session.get(akool.url, timeout=WAIT)
            before = time.monotonic()
        assert time.monotonic() - before < 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"speed": 0}, "speed is 0"),
        ({"clients": ()}, "clients"),
        ({"clients": (("id", "short"),)}, "16, 24 or 32"),
        ({"media": "huge"}, "media is 'huge'"),
    ],
)
def test_a_wrong_configuration_is_explained(change: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        EmulatorConfig(**change)


def test_a_state_folder_that_is_a_file_is_told_and_leaves_nothing_open(tmp_path) -> None:
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(OSError, match="state"):  # noqa: SIM117
        with serve(EmulatorConfig(state_dir=str(tmp_path / "state"))):
            pass
