"""What ``akool-dagster dev`` starts; how it runs is tested in ``akool_dagster_tests/ui``."""

from pathlib import Path

import pytest
from dagster._core.workspace.load_target import WorkspaceFileTarget

from akool_dagster.cli import dev as dev_module
from akool_dagster_tests.cli.conftest import Shell

ROOT = Path(__file__).parents[2]


def test_the_code_location_has_the_name_that_it_has_everywhere(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(dev_module, "_run", lambda command: started.append(command) or 0)
    assert shell("dev").exit_code == 0
    (command,) = started
    mine = Path(command[command.index("-w") + 1])
    assert [names_in(mine), names_in(ROOT / "workspace.yaml")] == [["akool_dagster"]] * 2


def names_in(workspace: Path) -> list[str]:
    origins = WorkspaceFileTarget(paths=[str(workspace)]).create_origins()
    return [origin.location_name for origin in origins]
