"""The rows that wait: many of them may wait for one and the same answer of AKOOL."""

import time
from pathlib import Path

import pytest

from akool_dagster.batch.outcomes import Later
from akool_dagster.batch.stages import STAGES
from akool_dagster.batch.watching.lanes import Lanes
from akool_dagster.ledger import Attempt, Kind, Ledger
from akool_dagster_tests.slots.slot_world import script_row


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", service="akool.test") as ledger:
        return ledger.attempts.open_next(
            kind=Kind.VIDEO, content_hash="one", api="v4", after=0, media_seconds=1.0
        )


def parked_lanes(rows: int, attempt: Attempt) -> Lanes:
    """Rows that all wait for one attempt; the last of them is due first."""
    row = script_row(0)
    lanes = Lanes([row] * rows, stages=STAGES, ahead=rows)
    while walker := lanes.take_new():
        lanes.park(walker, Later(at=float(rows - walker.number), waits_for=attempt))
    return lanes


def test_rows_that_wait_for_one_attempt_leave_one_by_one_and_all_wake(attempt: Attempt) -> None:
    lanes = parked_lanes(5, attempt)
    first = lanes.take_due(1.0)
    assert first is not None
    assert first.number == 4
    assert lanes.waits_for_akool
    lanes.wake([attempt.id], now=0.5)
    woken = [walker for _ in range(4) if (walker := lanes.take_due(0.5)) is not None]
    assert [walker.number for walker in woken] == [0, 1, 2, 3]
    assert all(walker.is_woken for walker in woken)
    assert not first.is_woken
    assert (len(lanes), lanes.waits_for_akool) == (0, False)


def test_thousands_that_wait_for_one_attempt_do_not_slow_each_other(attempt: Attempt) -> None:
    rows = 20_000
    lanes = parked_lanes(rows, attempt)
    began = time.process_time()
    taken = [walker.number for _ in range(rows) if (walker := lanes.take_due(float(rows)))]
    assert taken == list(reversed(range(rows)))
    assert time.process_time() - began < 1.0  # 2 s and more when each is looked for in a list
