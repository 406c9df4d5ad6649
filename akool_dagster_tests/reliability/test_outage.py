"""A month with two outages, and an alarm in time."""

from pathlib import Path

from akool_dagster_tests.reliability.outage import live_through_a_month


def test_no_finished_video_is_lost_in_a_month_with_outages(tmp_path: Path) -> None:
    month = live_through_a_month(tmp_path, rows_a_night=1, pause=6 * 3600.0, seed=1)
    assert month.problems == []
    assert (month.rows, month.saved, month.lost) == (30, 30, 0)
    assert month.least_notice_hours >= 48
