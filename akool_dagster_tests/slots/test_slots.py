"""Slots stay full and status calls few: the simulation of ``benchmarks.slots`` at small size.

The first videos of an account are watched without a history, which weighs more in 300 videos than
in 10,000; so the bounds are a little wider here than the targets there.
"""

import pytest

from akool_dagster_tests.slots.slot_world import Findings, Setting, simulate

ROWS = 300


def made(**changes: object) -> Findings:
    setting = Setting(**{"rows": ROWS, "slots": 10, **changes})  # type: ignore[arg-type]
    found = simulate(setting)
    assert found.saved == setting.rows
    assert found.calls_after_end == 0
    return found


def test_polling_keeps_the_slots_busy_with_few_calls() -> None:
    found = made()
    assert found.utilisation >= 0.94
    assert found.status_calls <= 8.5
    assert found.hours < 1.1 * found.least_hours


def test_looks_follow_the_length_of_the_speech_where_render_times_do() -> None:
    found = made(by_speech=True, slots=4, rows=100)
    assert found.utilisation >= 0.95
    assert found.status_calls <= 8.5


def test_callbacks_keep_the_slots_busier_with_fewer_calls() -> None:
    found = made(webhooks=True, rows=200)
    assert found.utilisation >= 0.98
    assert found.status_calls <= 2.0


def test_lost_callbacks_are_made_up_for_by_looks() -> None:
    found = made(webhooks=True, lost_callbacks=0.1, rows=100)
    assert found.utilisation >= 0.9
    assert found.status_calls <= 3.0


def test_webhooks_that_never_arrive_are_polled_like_none() -> None:
    found = made(webhooks=True, lost_callbacks=1.0, slots=4, rows=100)
    assert found.utilisation >= 0.9
    assert found.status_calls <= 9.0


@pytest.mark.parametrize("ours", [1, 5])
def test_an_account_that_refuses_is_kept_as_busy(ours: int) -> None:
    found = made(beyond="refuses", ours=ours, slots=4, rows=60)
    assert found.utilisation >= 0.9
    assert found.refused <= 0.3 * 60


def test_two_runs_share_slots_and_ledger() -> None:
    found = made(walks=2, rows=80)
    assert found.utilisation >= 0.9
    assert found.status_calls <= 9.0


def test_the_same_seed_gives_the_same_batch() -> None:
    once, again = made(rows=15, slots=4), made(rows=15, slots=4)
    assert once == again
    assert made(rows=15, slots=4, seed=2) != once
