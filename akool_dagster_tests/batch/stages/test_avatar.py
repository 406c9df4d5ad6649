"""Uploads of own avatars, against the emulator over real HTTP."""

import dataclasses
import time
from pathlib import Path

from akool_dagster.akool import AvatarSource, AvatarUpload
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.stages.avatar import newest_upload, settle_avatar_doubts, upload_avatars
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.watching.looking import settle_due
from akool_dagster.emulator import Fault, RunningEmulator
from akool_dagster.ledger import Attempt, Kind, Limits, State
from akool_dagster.manifest.avatars_file import OwnAvatar
from akool_dagster_tests.support import opened_tools, quick_rules

CREATE = "POST */avatar/create"


def own(avatar_id: str = "Kim01", **changes: object) -> OwnAvatar:
    values = {
        "avatar_id": avatar_id, "name": "Kim", "url": "https://media.example/kim.mp4",
        "is_streaming": False, "is_platform_link": False, "line": 2,
    }  # fmt: skip
    return OwnAvatar(**{**values, **changes})  # type: ignore[arg-type]


def upload(tools: Tools, *avatars: OwnAvatar, **options: object) -> list[Outcome]:
    return list(upload_avatars(tools, avatars, run_id="run", **options))  # type: ignore[arg-type]


def followed(tools: Tools, akool: RunningEmulator, avatar_id: str = "Kim01") -> Attempt:
    """Lets AKOOL finish and asks as the sensor does."""
    akool.emulator.clock.advance(3600)
    later = dataclasses.replace(tools, clock=lambda: time.time() + 3600)
    settle_due(later, kind=Kind.AVATAR, limit=10, until=float("inf"))
    attempt = newest_upload(tools, avatar_id)
    assert attempt is not None
    return attempt


def received(akool: RunningEmulator) -> int:
    return akool.emulator.stats().received.get("avatar", 0)


def test_an_upload_is_sent_once_and_followed_until_it_is_ready(
    tools: Tools, emulator: RunningEmulator
) -> None:
    streaming = own("Lee02", is_streaming=True, is_platform_link=True, url="https://youtu.be/x")
    outcomes = upload(tools, own(), streaming)
    assert [(out.key, out.stage, out.ok) for out in outcomes] == [
        ("Kim01", Stage.AVATAR, True), ("Lee02", Stage.AVATAR, True),
    ]  # fmt: skip
    assert "works on it" in outcomes[0].text
    bodies = [job.body for job in emulator.emulator.jobs("avatar")]
    assert [(body["type"], body["url_from"]) for body in bodies] == [(1, 1), (2, 2)]

    assert followed(tools, emulator).state is State.COMPLETED
    again = upload(tools, own(name="Another name"), streaming)
    assert all("ready" in out.text for out in again)
    assert received(emulator) == 2


def test_a_failed_avatar_says_why_and_is_not_sent_again_under_its_id(
    tools: Tools, emulator: RunningEmulator
) -> None:
    bad = own(name="Kim [[avatar:failed 1220 no face was found]]")
    assert upload(tools, bad)[0].ok
    failed = followed(tools, emulator)
    assert (failed.state, failed.code) == (State.FAILED, 1220)
    shown = upload(tools, bad, may_send=False)[0]
    assert "no face was found" in shown.report
    assert "another avatar_id" in shown.report

    # AKOOL keeps the id of what it could not make, so a better video needs another one.
    better = own(url="https://media.example/better.mp4")
    refused = upload(tools, better)[0]
    assert (refused.code, refused.trouble) == (1222, Trouble.ROW)
    assert "choose another avatar_id" in refused.advice
    assert refused.cost == "Not charged."
    assert tools.ledger.account.open_stop() is None


def test_an_id_that_akool_has_already_is_taken_over(
    tools: Tools, emulator: RunningEmulator
) -> None:
    made = tools.client.create_avatar(
        AvatarUpload(url="https://media.example/by-hand.mp4", avatar_id="Kim01", name="By hand")
    )
    outcome = upload(tools, own())[0]
    assert outcome.ok
    assert "AKOOL had this avatar before" in outcome.text
    assert outcome.facts["akool_id"] == made.record_id
    done = followed(tools, emulator)
    assert (done.state, done.spent_credits) == (State.COMPLETED, 0.0)
    assert upload(tools, own())[0].ok
    assert received(emulator) == 2


def test_a_failed_avatar_of_somebody_elses_making_is_not_taken_over(
    tools: Tools, emulator: RunningEmulator
) -> None:
    url = "https://media.example/by-hand.mp4"
    tools.client.create_avatar(AvatarUpload(url=url, avatar_id="Kim01", name="[[avatar:failed]]"))
    emulator.emulator.clock.advance(3600)
    refused = upload(tools, own())[0]
    assert (refused.code, refused.cost) == (1222, "Not charged.")
    assert "choose another avatar_id" in refused.advice


def test_an_id_whose_owner_cannot_be_looked_up_is_refused_and_charged_nothing(
    tools: Tools, emulator: RunningEmulator
) -> None:
    tools.client.create_avatar(
        AvatarUpload(url="https://media.example/by-hand.mp4", avatar_id="Kim01", name="By hand")
    )
    emulator.emulator.faults.add(Fault(kind="status", on="GET */avatar/detail", status=403, next=1))
    refused = upload(tools, own())[0]
    assert (refused.code, refused.cost) == (1222, "Not charged.")
    assert upload(tools, own())[0].ok


def test_another_video_under_the_same_id_is_never_sent(
    tools: Tools, emulator: RunningEmulator
) -> None:
    upload(tools, own())
    other = upload(tools, own(url="https://media.example/other.mp4"))[0]
    assert other.trouble is Trouble.ROW
    assert "cannot replace it. Nothing was sent." in other.text
    assert received(emulator) == 1


def test_a_lost_answer_is_found_by_the_avatars_id_and_nothing_is_sent_again(
    tools: Tools, emulator: RunningEmulator
) -> None:
    emulator.emulator.faults.add(Fault(kind="drop", on=CREATE, next=1))
    lost = upload(tools, own())[0]
    assert lost.trouble is Trouble.DOUBT
    assert "akool-dagster resolve Kim01 --avatar" in lost.advice
    assert settle_avatar_doubts(tools) == 1
    found = newest_upload(tools, "Kim01")
    assert found is not None
    assert found.state is State.ACCEPTED
    assert upload(tools, own())[0].ok
    assert received(emulator) == 1


def test_a_lost_request_stays_in_doubt(tools: Tools, emulator: RunningEmulator) -> None:
    emulator.emulator.faults.add(Fault(kind="drop", on=CREATE, next=1, when="before"))
    for _ in range(2):
        assert upload(tools, own())[0].trouble is Trouble.DOUBT
    assert settle_avatar_doubts(tools) == 0
    assert received(emulator) == 1


def test_the_sensor_reads_the_list_once_for_all_doubts_and_never_without_one(
    tools: Tools, emulator: RunningEmulator
) -> None:
    def listings() -> int:
        return emulator.emulator.stats().requests.get("GET /api/open/v3/avatar/list", 0)

    assert settle_avatar_doubts(tools) == 0
    assert listings() == 0
    emulator.emulator.faults.add(Fault(kind="drop", on=CREATE, next=3))
    upload(tools, own("A1"), own("B2"), own("C3"))
    before = listings()
    assert settle_avatar_doubts(tools) == 3
    assert listings() == before + 1


def test_too_many_avatars_stop_no_videos(tools: Tools) -> None:
    outcome = upload(tools, own(name="Kim [[avatar:1223]]"))[0]
    assert (outcome.code, outcome.trouble) == (1223, Trouble.ROW)
    assert "Delete an avatar" in outcome.advice
    assert tools.ledger.account.open_stop() is None


def test_an_account_stop_and_the_cap_send_nothing_more(
    tools: Tools, emulator: RunningEmulator, tmp_path: Path
) -> None:
    rules = quick_rules(limits=Limits(max_in_flight=10, max_credits=15.0))
    with opened_tools(emulator, tmp_path, rules=rules) as capped:
        troubles = [out.trouble for out in upload(capped, own("A1"), own("B2"))]
    assert troubles == [None, Trouble.ACCOUNT]
    stopped = upload(tools, own("C3", name="[[avatar:1104]]"), own("D4"))
    assert [out.code for out in stopped] == [1104, 1104]
    assert stopped[1].trouble is Trouble.ACCOUNT
    assert received(emulator) == 2


def test_akool_is_asked_less_and_less_often(tools: Tools, emulator: RunningEmulator) -> None:
    now = [time.time()]
    slow = dataclasses.replace(tools, clock=lambda: now[0], rules=quick_rules(poll_seconds=10.0))
    upload(slow, own(name="Kim [[avatar:stuck]]"))
    looks: list[float] = []
    while len(looks) < 20:
        attempt = newest_upload(slow, "Kim01")
        assert attempt is not None
        looks.append((attempt.next_look_at or 0.0) - now[0])
        now[0] = attempt.next_look_at or 0.0
        settle_due(slow, kind=Kind.AVATAR, limit=10, until=float("inf"))
    assert 20 < looks[0] < 40
    assert all(250 < pause < 340 for pause in looks[-3:])
    assert looks[0] < looks[4] < looks[8]
    assert tools.client.list_avatars(source=AvatarSource.OWN)[0].avatar_id == "Kim01"


def test_a_bug_in_one_avatar_is_that_avatars_trouble(tools: Tools) -> None:
    class Broken(OwnAvatar):
        @property
        def content_hash(self) -> str:
            raise RuntimeError("boom")

    broken = Broken(**{name: getattr(own(), name) for name in OwnAvatar.__slots__})
    first, second = upload(tools, broken, own("Lee02"))
    assert (first.trouble, second.ok) == (Trouble.LATER, True)
    assert "boom" in first.text
