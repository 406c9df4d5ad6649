"""How a walk notices what it did not do itself, and whom it serves first."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from akool_dagster.batch.outcomes import Later, Outcome
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.batch.watching.lanes import Lanes, Walker
from akool_dagster.emulator import EmulatorConfig, RenderTimes, RunningEmulator, serve
from akool_dagster.ledger import Attempt, Kind, Limits, State
from akool_dagster.manifest import ScriptRow
from akool_dagster_tests.support import opened_tools, plain_line, quick_rules

RowsOf = Callable[..., list[ScriptRow]]


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[tuple[RunningEmulator, Tools]]:
    """Rules that look seldom, on an AKOOL that is quick."""
    config = EmulatorConfig(speed=120.0, media="tiny", times=RenderTimes(video=60.0, sigma=0.2))
    rules = quick_rules(
        poll_seconds=30.0, webhook_url="http://hooks.test", limits=Limits(max_in_flight=1)
    )
    with serve(config) as akool, opened_tools(akool, tmp_path, rules=rules) as tools:
        yield akool, tools


def accepted(tools: Tools, kind: Kind) -> Attempt:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found = tools.ledger.attempts.in_states(kind=kind, states=[State.ACCEPTED])
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"no {kind.value} was accepted")


def call_back(tools: Tools, attempt: Attempt) -> None:
    tools.ledger.callbacks.record(
        token=attempt.webhook_token,
        remote_id=attempt.remote_id or "",
        status=3,
        body_sha256="0" * 64,
    )


def test_a_callback_wakes_a_row_and_frees_its_slot_within_a_second_or_so(
    patient: tuple[RunningEmulator, Tools], rows_of: RowsOf
) -> None:
    _, tools = patient
    rows = rows_of(plain_line("a"), plain_line("b"))
    outcomes: list[Outcome] = []
    walk = Walk(tools, run_id="run")
    thread = threading.Thread(
        target=lambda: outcomes.extend(walk.outcomes(rows, stages=STAGES)), daemon=True
    )
    began = time.monotonic()
    thread.start()
    for kind in (Kind.VOICE, Kind.VOICE, Kind.VIDEO, Kind.VIDEO):
        attempt = accepted(tools, kind)
        assert (attempt.next_look_at or 0.0) - time.time() > 60
        time.sleep(1.5)  # AKOOL needs at most so long at this speed
        call_back(tools, attempt)
        told = time.monotonic()
        while tools.ledger.attempts.get(attempt.id).state is State.ACCEPTED:
            assert time.monotonic() - told < 2.5
            time.sleep(0.02)
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - began < 30
    assert [outcome.report for outcome in outcomes if not outcome.ok] == []
    assert len(outcomes) == 6


# -- the lanes ---------------------------------------------------------------------------


def lanes_of(rows: list[ScriptRow], *, ahead: int = 100) -> Lanes:
    return Lanes(rows, stages=[Stage.VIDEO], ahead=ahead)


def taken(lanes: Lanes) -> list[Walker]:
    return list(iter(lanes.take_new, None))


def due(lanes: Lanes, now: float) -> list[str]:
    return [walker.row.script_id for walker in iter(lambda: lanes.take_due(now), None)]


def test_slots_go_to_the_first_rows_whoever_asked_first(rows_of: RowsOf) -> None:
    lanes = lanes_of(rows_of(*(plain_line(f"r{number}") for number in range(5))))
    for walker in reversed(taken(lanes)):
        lanes.park(walker, Later(at=0.0, wants_slot=True))
    assert lanes.take_due(1e9) is None
    lanes.give_slots(2, now=10.0)
    first = [lanes.take_due(10.0), lanes.take_due(10.0), lanes.take_due(10.0)]
    assert [walker and walker.row.script_id for walker in first] == ["r0", "r1", None]
    # Both tried in vain: they keep their places.
    for walker in first[:2]:
        assert walker is not None
        lanes.park(walker, Later(at=0.0, wants_slot=True))
    lanes.give_slots(9, now=11.0)
    assert due(lanes, 11.0) == ["r0", "r1", "r2", "r3", "r4"]
    assert len(lanes) == 0


def test_no_row_is_begun_while_many_wait_for_a_slot(rows_of: RowsOf) -> None:
    lanes = lanes_of(rows_of(*(plain_line(f"r{number}") for number in range(5))), ahead=2)
    begun = [lanes.take_new() for _ in range(2)]
    for walker in begun:
        assert walker is not None
        lanes.park(walker, Later(at=0.0, wants_slot=True))
    assert lanes.take_new() is None
    lanes.give_slots(1, now=5.0)
    assert lanes.take_new() is not None


def test_news_wakes_a_row_once_and_is_not_lost_on_one_that_is_at_work(
    tools: Tools, rows_of: RowsOf
) -> None:
    first, second = (
        tools.ledger.attempts.open_next(
            kind=Kind.VIDEO, content_hash=name, api="v4", after=0, media_seconds=1.0
        )
        for name in ("one", "two")
    )
    lanes = lanes_of(rows_of(plain_line("a"), plain_line("b")))
    a, b = taken(lanes)
    lanes.park(a, Later(at=500.0, waits_for=first))
    lanes.wake([first.id, second.id], now=10.0)
    assert lanes.take_due(10.0) is a
    assert a.is_woken
    assert lanes.take_due(1000.0) is None
    # The news of the second attempt came while its row was at work.
    lanes.park(b, Later(at=500.0, waits_for=second))
    assert lanes.take_due(10.0) is b
    assert b.is_woken
    lanes.park(a, Later(at=500.0, waits_for=first))
    assert not a.is_woken
    assert lanes.take_due(499.0) is None
    assert lanes.next_at() == 500.0
    assert isinstance(a.left, deque)
