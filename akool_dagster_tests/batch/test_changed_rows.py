"""A row is edited after its video was made: what is made anew, and what stays until it is there."""

from collections.abc import Callable, Iterator, Sequence

import pytest

from akool_dagster.batch.outcomes import Outcome
from akool_dagster.batch.row_status import row_statuses
from akool_dagster.batch.stages import STAGES
from akool_dagster.batch.standing import Standing
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.emulator import EmulatorConfig, Fault, RenderTimes, RunningEmulator, serve
from akool_dagster.ledger import Kind
from akool_dagster.manifest import ScriptRow
from akool_dagster.media import probe
from akool_dagster_tests.support import plain_line

RowsOf = Callable[..., list[ScriptRow]]

LONG = "These words are many more than before and so the video is a good deal longer as well."


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    """Its videos are real ones, which differ."""
    with serve(EmulatorConfig(speed=240.0, times=RenderTimes(video=20.0, sigma=0.0))) as running:
        yield running


def walk(tools: Tools, rows: Sequence[ScriptRow], *, run_id: str) -> list[Outcome]:
    return list(Walk(tools, run_id=run_id).outcomes(rows, stages=STAGES))


def made(tools: Tools, rows: Sequence[ScriptRow], *, run_id: str) -> None:
    assert [outcome.report for outcome in walk(tools, rows, run_id=run_id) if not outcome.ok] == []


def sent(akool: RunningEmulator) -> dict[str, int]:
    return dict(akool.emulator.stats().received)


def standings(tools: Tools, rows: Sequence[ScriptRow]) -> dict[str, Standing]:
    return {s.row.script_id: s.standing for s in row_statuses(tools.ledger, rows)}


def test_an_edited_text_makes_voice_and_video_anew_an_edited_avatar_the_video_alone(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    made(tools, rows_of(plain_line("text"), plain_line("look"), plain_line("same")), run_id="1")
    before = sent(emulator)
    rows = rows_of(
        plain_line("text", LONG),
        plain_line("look").replace("Jane_in_Blue_2024", "Omar_in_Green_2024"),
        plain_line("same"),
    )
    assert standings(tools, rows) == {
        "text": Standing.NEW, "look": Standing.VOICE_READY, "same": Standing.SAVED
    }  # fmt: skip
    made(tools, rows, run_id="2")
    added = {name: count - before.get(name, 0) for name, count in sent(emulator).items()}
    assert sum(added.values()) == 3
    assert sorted(filter(None, added.values())) == [1, 2]  # one voice, two videos
    assert set(standings(tools, rows).values()) == {Standing.SAVED}


def test_the_old_video_stays_until_the_new_one_is_verified(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    made(tools, rows_of(plain_line("a")), run_id="1")
    path = tools.storage.video_path("m.a")
    old = path.read_bytes()
    edited = rows_of(plain_line("a", LONG))
    emulator.emulator.faults.add(Fault(kind="truncate", on="GET /media/videos/*"))
    (failed,) = [outcome for outcome in walk(tools, edited, run_id="2") if not outcome.ok]
    assert "could not be saved" in failed.text
    assert path.read_bytes() == old
    assert standings(tools, edited) == {"a": Standing.FINISHED}

    emulator.emulator.faults.clear()
    before = sent(emulator)
    made(tools, edited, run_id="3")
    assert sent(emulator) == before
    assert path.read_bytes() != old
    assert probe(path).duration_seconds > 1.0


def test_a_row_that_is_edited_back_gets_its_first_video_again_and_pays_nothing(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    first, second = rows_of(plain_line("a")), rows_of(plain_line("a", LONG))
    made(tools, first, run_id="1")
    path = tools.storage.video_path("m.a")
    old = path.read_bytes()
    made(tools, second, run_id="2")
    assert path.read_bytes() != old
    before = sent(emulator)

    # The file in the row's place is the second one: the first must not be said to be there.
    assert standings(tools, first) == {"a": Standing.FINISHED}
    (waiting,) = tools.ledger.deliveries.waiting(now=tools.clock())
    assert waiting.delivery.content_hash == first[0].video_hash
    made(tools, first, run_id="3")
    assert path.read_bytes() == old
    assert standings(tools, first) == {"a": Standing.SAVED}
    assert standings(tools, second) == {"a": Standing.FINISHED}
    assert sent(emulator) == before


def test_a_row_never_gets_the_file_that_took_the_place_of_the_one_it_shares(
    tools: Tools, emulator: RunningEmulator, rows_of: RowsOf
) -> None:
    first = rows_of(plain_line("a"))
    made(tools, first, run_id="1")
    shared = tools.storage.video_path("m.a").read_bytes()
    made(tools, rows_of(plain_line("a", LONG)), run_id="2")
    before = sent(emulator)

    twin = rows_of(plain_line("a").replace("a,", "twin,", 1))
    assert twin[0].video_hash == first[0].video_hash
    made(tools, twin, run_id="3")
    assert tools.storage.video_path("m.twin").read_bytes() == shared
    voice = tools.ledger.deliveries.find(
        script_key="m.twin", kind=Kind.VOICE, content_hash=twin[0].voice_hash
    )
    assert voice is not None
    spoken = tools.storage.path(voice.path or "")
    video = tools.storage.video_path("m.twin")
    assert probe(spoken).duration_seconds == pytest.approx(probe(video).duration_seconds, rel=0.15)
    assert sent(emulator) == before
