"""Marked credentials leave no mark."""

from pathlib import Path

from akool_dagster_tests.reliability.secret_hunt import KEY, Hunt, hunt


def test_no_credential_is_left_anywhere_by_a_run_at_debug(tmp_path: Path) -> None:
    result = hunt(tmp_path, rows=1, seed=1)
    assert result.problems == []
    assert result.found == []
    assert result.log_lines > 50


def test_the_hunt_finds_what_is_there() -> None:
    result = Hunt()
    result.search("a file", f"x-api-key: {KEY}".encode())
    assert len(result.found) == 1
