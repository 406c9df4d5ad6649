"""Nights over real HTTP on which answers get lost."""

from pathlib import Path

from akool_dagster_tests.reliability.over_http import polling_night, webhook_night


def test_without_callbacks_every_unclear_create_stays_in_doubt(tmp_path: Path) -> None:
    night = polling_night(tmp_path, rows=40, seed=1)
    assert night.problems == []
    assert night.spoilt > 5


def test_with_callbacks_the_doubts_settle_by_themselves_and_forged_ones_settle_none(
    tmp_path: Path,
) -> None:
    night = webhook_night(tmp_path, rows=30, seed=1)
    assert night.problems == []
    assert (night.doubts > 5, night.open_doubts, night.saved) == (True, 0, 30)
