"""``kill -9`` at every boundary of the paid way, the download and the callback."""

import signal
from pathlib import Path

from akool_dagster.emulator import serve
from akool_dagster_tests.reliability.killing import (
    QUICKEST,
    deaths_of_a_walk,
    kill,
    kill_webhook_servers,
    look_after_all,
)


def test_a_walk_killed_at_any_boundary_pays_once_and_ends_well(tmp_path: Path) -> None:
    with serve(QUICKEST) as akool:
        deaths = deaths_of_a_walk(akool, tmp_path)
        assert [told["signal"] for told in kill(deaths)] == [signal.SIGKILL] * len(deaths)
        ends = look_after_all(akool, deaths)
    assert {end.name: end.problems for end in ends if end.problems} == {}


def test_a_webhook_server_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    ends = kill_webhook_servers(tmp_path)
    assert len(ends) == 3
    assert {end.name: end.problems for end in ends if end.problems} == {}
