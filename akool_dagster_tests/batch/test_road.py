"""The whole road of rows, against the emulator over real HTTP."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from akool_dagster.batch.catalogs.avatar_book import AvatarBook, KnownAvatar
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.row_status import row_statuses
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.standing import Standing
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.emulator import (
    EmulatorConfig,
    Fault,
    RenderTimes,
    RunningEmulator,
    Shapes,
    serve,
)
from akool_dagster.ledger import Kind, Limits, State
from akool_dagster.manifest import ScriptRow
from akool_dagster.media import probe
from akool_dagster_tests.support import (
    csv_line,
    opened_tools,
    plain_line,
    quick_rules,
)

RowsOf = Callable[..., list[ScriptRow]]


def walk(
    tools: Tools, rows: Sequence[ScriptRow], *stages: Stage, run_id: str = "run"
) -> list[Outcome]:
    return list(Walk(tools, run_id=run_id).outcomes(rows, stages=stages or STAGES))


def by_key(outcomes: Sequence[Outcome], stage: Stage) -> dict[str, Outcome]:
    return {outcome.key: outcome for outcome in outcomes if outcome.stage is stage}


def created(akool: RunningEmulator) -> int:
    return sum(akool.emulator.stats().accepted.values())


def only(outcomes: Sequence[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


@pytest.mark.parametrize("video_api", ["talkingavatar", "avatar"])
@pytest.mark.parametrize("voice_api", ["v4", "v3"])
@pytest.mark.parametrize(
    "shapes",
    [
        Shapes(lists="result", details="object"),
        Shapes(lists="array", details="array", late_video_polls=1, blank_polls=1),
    ],
    ids=["objects", "arrays"],
)
def test_every_api_and_shape_makes_verified_videos(
    video_api: str, voice_api: str, shapes: Shapes, tmp_path: Path, rows_of: RowsOf
) -> None:
    config = EmulatorConfig(speed=120.0, shapes=shapes, times=RenderTimes(video=20.0, sigma=0.2))
    with serve(config) as akool:
        media = f"{akool.url}/media"
        rows = rows_of(
            plain_line("tts"),
            csv_line(
                "cloned", script="Spoken in the voice of a sample.",
                voice_sample_url=f"{media}/voices/George_en-GB.mp3",
                avatar_url=f"{media}/avatars/Omar_in_Green_2024.png",
            ),
            csv_line(
                "given", voice_url=f"{media}/voices/Olivia_en-GB.mp3",
                avatar_url=f"{media}/avatars/Mei_in_Red_2024.mp4",
            ),
        )  # fmt: skip
        rules = quick_rules(video_api=video_api, voice_api=voice_api)
        with opened_tools(akool, tmp_path, rules=rules) as tools:
            outcomes = walk(tools, rows)
            assert [outcome.report for outcome in outcomes if not outcome.ok] == []
            assert len(outcomes) == 9
            for row in rows:
                video = probe(tools.storage.video_path(row.key))
                (voice,) = (tmp_path / "voices" / "m").glob(f"{row.script_id}.*")
                assert video.duration_seconds == pytest.approx(
                    probe(voice).duration_seconds, rel=0.1
                )
            saved = by_key(outcomes, Stage.DOWNLOAD)["m.tts"]
            content = tools.storage.video_path("m.tts").read_bytes()
            assert saved.facts["sha256"] == hashlib.sha256(content).hexdigest()
            assert saved.facts["size_bytes"] == len(content)
            assert saved.facts["credits_spent"] > 0
            assert saved.poster is not None
            assert saved.poster.startswith("data:image/")
        clones = 1 if voice_api == "v4" else 0
        assert created(akool) == clones + 2 + 3


def test_walking_again_sends_nothing(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a"), plain_line("b"))
    assert all(outcome.ok for outcome in walk(tools, rows))
    before = dict(emulator.emulator.stats().received)

    again = walk(tools, rows, run_id="again")
    assert len(again) == 6
    assert all(outcome.ok for outcome in again)
    assert dict(emulator.emulator.stats().received) == before


def test_a_row_that_fails_at_any_stage_holds_back_no_other(tools: Tools, rows_of: RowsOf) -> None:
    rows = rows_of(
        plain_line("good-1"),
        plain_line("bad-voice", "[[voice:1003]]"),
        plain_line("bad-request", "[[video:1003]]"),
        plain_line("bad-render", "[[video:failed 1205 create video error]]"),
        plain_line("silent-failure", "[[video:failed]]"),
        csv_line(
            "bad-avatar", script="Hello.", voice_id="Emma_en-US", avatar_id="Jane_in_Blu_2024"
        ),
        plain_line("good-2"),
    )
    outcomes = walk(tools, rows)
    failed = {outcome.key: outcome for outcome in outcomes if not outcome.ok}
    saved = {key for key, out in by_key(outcomes, Stage.DOWNLOAD).items() if out.ok}
    assert saved == {"m.good-1", "m.good-2"}
    assert {key: (out.stage, out.code) for key, out in failed.items()} == {
        "m.bad-voice": (Stage.VOICE, 1003),
        "m.bad-request": (Stage.VIDEO, 1003),
        "m.bad-render": (Stage.DOWNLOAD, 1205),
        "m.silent-failure": (Stage.DOWNLOAD, None),
        "m.bad-avatar": (Stage.VOICE, None),
    }
    assert "create video error" in failed["m.bad-render"].text
    assert "Jane_in_Blue_2024" in failed["m.bad-avatar"].text
    assert failed["m.bad-request"].cost == "Not charged."


def test_try_again_later_is_asked_three_times_each_as_an_attempt_of_its_own(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a", "[[video:1205]]"))
    outcome = walk(tools, rows)[-1]
    assert (outcome.stage, outcome.code, outcome.trouble) == (Stage.VIDEO, 1205, Trouble.LATER)
    attempt = tools.ledger.attempts.latest(kind=Kind.VIDEO, content_hash=rows[0].video_hash)
    assert attempt is not None
    assert attempt.number == 3
    assert emulator.emulator.stats().received["video"] == 3


def test_other_refusals_are_asked_once(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    outcome = walk(tools, rows_of(plain_line("a", "[[video:1110]]")))[-1]
    assert (outcome.code, outcome.trouble) == (1110, Trouble.ROW)
    assert emulator.emulator.stats().received["video"] == 1


def test_a_schedule_believes_try_again_later_for_three_nights(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a", "[[video:1205]]"))
    for night in range(1, 4):
        walk(tools, rows, run_id=f"night-{night}")
        (status,) = row_statuses(tools.ledger, rows)
        assert status.may_be_asked_again is (night < 3)


def test_a_lost_answer_is_in_doubt_and_never_sent_again(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a"))
    emulator.emulator.faults.add(Fault(kind="drop", on="POST */talkingavatar/create", next=1))
    for run_id in ("first", "second"):
        outcome = walk(tools, rows, run_id=run_id)[-1]
        assert (outcome.stage, outcome.trouble) == (Stage.VIDEO, Trouble.DOUBT)
        assert "akool-dagster resolve m.a" in outcome.advice
        assert "10 credits may have been charged" in outcome.cost
    assert emulator.emulator.stats().received["video"] == 1
    (status,) = row_statuses(tools.ledger, rows)
    assert status.standing is Standing.IN_DOUBT
    assert not status.may_be_asked_again


def test_a_person_settles_a_doubt_with_the_id(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a"))
    emulator.emulator.faults.add(Fault(kind="drop", on="POST */talkingavatar/create", next=1))
    walk(tools, rows)
    doubt = tools.ledger.attempts.latest(kind=Kind.VIDEO, content_hash=rows[0].video_hash)
    assert doubt is not None
    (job,) = (j for j in emulator.emulator.jobs() if j.kind == "video")
    tools.ledger.attempts.accept(doubt.id, remote_id=job.id, next_look_at=0.0)

    assert all(outcome.ok for outcome in walk(tools, rows, run_id="later"))
    assert emulator.emulator.stats().received["video"] == 1


def test_an_account_code_stops_all_sending(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(*(plain_line(f"r{number}") for number in range(30)))
    emulator.emulator.set_credits(0.01)
    outcomes = walk(tools, rows)
    assert {outcome.trouble for outcome in outcomes} == {Trouble.ACCOUNT}
    assert all(status.may_be_asked_again for status in row_statuses(tools.ledger, rows))
    assert emulator.emulator.stats().received["voice"] <= 16  # those under way at that moment
    blocked = [outcome for outcome in outcomes if outcome.trouble is Trouble.ACCOUNT]
    assert all(outcome.cost == "Nothing was sent for this row." for outcome in blocked)
    assert {out.code for out in blocked} == {1006}


def test_a_topped_up_account_goes_on_with_the_next_run(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a"), plain_line("b"))
    emulator.emulator.set_credits(0.0)
    walk(tools, rows)
    assert all(outcome.trouble is Trouble.ACCOUNT for outcome in walk(tools, rows, run_id="broke"))

    emulator.emulator.set_credits(1000.0)
    assert all(outcome.ok for outcome in walk(tools, rows, run_id="rich"))
    assert tools.ledger.account.open_stop() is None


def test_the_slots_of_the_account_are_respected(tmp_path: Path, rows_of: RowsOf) -> None:
    rows = rows_of(*(plain_line(f"r{number}") for number in range(9)))
    config = EmulatorConfig(
        speed=120.0, media="tiny", slots=3, refuse_beyond_slots=True, times=RenderTimes(video=30.0)
    )
    with serve(config) as akool:
        rules = quick_rules(limits=Limits(max_in_flight=3))
        with opened_tools(akool, tmp_path, rules=rules) as tools:
            requested = walk(tools, rows, Stage.VOICE, Stage.VIDEO)
            assert all(outcome.ok for outcome in requested)
        assert 1005 not in akool.emulator.stats().refusals


def test_too_frequent_slows_down_and_loses_no_row(tmp_path: Path, rows_of: RowsOf) -> None:
    rows = rows_of(*(plain_line(f"r{number}") for number in range(6)))
    config = EmulatorConfig(
        speed=120.0, media="tiny", slots=2, refuse_beyond_slots=True, times=RenderTimes(video=30.0)
    )
    with serve(config) as akool, opened_tools(akool, tmp_path) as tools:
        assert all(outcome.ok for outcome in walk(tools, rows))
        assert akool.emulator.stats().refusals[1005] > 0
        assert akool.emulator.stats().accepted["video"] == 6


def test_an_expired_voice_link_is_explained_before_anything_is_spent(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a"))
    assert only(walk(tools, rows, Stage.VOICE)).ok
    emulator.emulator.clock.advance(8 * 86_400)
    later = Tools(
        client=tools.client, ledger=tools.ledger, storage=tools.storage,
        downloader=tools.downloader, avatars=tools.avatars, rules=tools.rules,
        clock=lambda: tools.clock() + 8 * 86_400,
    )  # fmt: skip
    outcome = only(walk(later, rows, Stage.VIDEO))
    assert "dead or about to die" in outcome.text
    assert "voices/m/a.mp3" in outcome.advice
    assert "video" not in emulator.emulator.stats().received


def test_a_voice_that_was_never_made_is_asked_for_first(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    outcome = only(walk(tools, rows_of(plain_line("a")), Stage.VIDEO))
    assert "Materialize voice_files" in outcome.advice
    assert dict(emulator.emulator.stats().received) == {}


def test_a_failed_render_is_asked_for_again_only_by_a_later_run(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a", "[[video:failed 1205 no]]"))
    assert not walk(tools, rows)[-1].ok
    assert emulator.emulator.stats().accepted["video"] == 1
    (status,) = row_statuses(tools.ledger, rows)
    assert status.standing is Standing.FAILED
    assert not status.may_be_asked_again

    assert not walk(tools, rows, run_id="by hand")[-1].ok
    assert emulator.emulator.stats().accepted["video"] == 2


def test_rows_of_one_content_share_one_payment_and_get_a_file_each(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    same = {"script": "The same.", "voice_id": "Emma_en-US", "avatar_id": "Jane_in_Blue_2024"}
    rows = rows_of(*(csv_line(f"twin-{number}", **same) for number in range(5)))
    assert all(outcome.ok for outcome in walk(tools, rows))
    assert created(emulator) == 2
    files = {tools.storage.video_path(row.key).read_bytes() for row in rows}
    assert len(files) == 1


def test_a_file_that_was_deleted_is_fetched_again_for_nothing(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(plain_line("a"))
    walk(tools, rows)
    tools.storage.video_path("m.a").unlink()
    assert only(walk(tools, rows, Stage.DOWNLOAD)).ok
    assert tools.storage.video_path("m.a").exists()
    assert emulator.emulator.stats().accepted["video"] == 1


def test_a_video_that_takes_too_long_is_left_to_the_sensor(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf, tmp_path: Path
) -> None:
    rows = rows_of(plain_line("a"))
    with opened_tools(
        emulator, tmp_path, rules=quick_rules(render_deadline_seconds=0.05, poll_seconds=0.02)
    ) as impatient:
        assert all(outcome.ok for outcome in walk(tools, rows, Stage.VOICE))
        outcome = walk(impatient, rows, Stage.VIDEO, Stage.DOWNLOAD)[-1]
    assert (outcome.trouble, outcome.stage) == (Trouble.LATER, Stage.DOWNLOAD)
    assert "not lost" in outcome.text
    assert walk(tools, rows, Stage.DOWNLOAD)[-1].ok


def test_a_bug_in_one_row_is_that_rows_trouble(tools: Tools, rows_of: RowsOf) -> None:
    rows = rows_of(plain_line("a"), plain_line("b"))

    class Broken(AvatarBook):
        def find(self, avatar_id: str) -> KnownAvatar | None:
            raise RuntimeError("boom")

    broken = Tools(
        client=tools.client, ledger=tools.ledger, storage=tools.storage,
        downloader=tools.downloader, avatars=Broken(saved={}, fetch=list), rules=tools.rules,
    )  # fmt: skip
    failed = [outcome for outcome in walk(broken, rows) if not outcome.ok]
    assert {outcome.key for outcome in failed} == {"m.a", "m.b"}
    assert all("boom" in outcome.text for outcome in failed)


def test_an_interrupted_walk_writes_down_what_was_sent(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    rows = rows_of(*(plain_line(f"r{number}") for number in range(6)))
    outcomes = Walk(tools, run_id="run").outcomes(rows, stages=STAGES)
    next(outcomes)
    outcomes.close()
    assert tools.ledger.attempts.in_states(kind=Kind.VIDEO, states=[State.SENDING]) == []
    assert tools.ledger.attempts.in_states(kind=Kind.VOICE, states=[State.SENDING]) == []
    assert all(outcome.ok for outcome in walk(tools, rows, run_id="again"))
    assert created(emulator) == 12
