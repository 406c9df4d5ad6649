import os
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from akool_dagster.batch.tools import Tools
from akool_dagster.definitions import build_definitions
from akool_dagster.emulator import RunningEmulator, serve
from akool_dagster.manifest import ScriptRow, read_manifest
from akool_dagster_tests.dagster_place import Place, emulator_settings
from akool_dagster_tests.support import QUICK, opened_tools, write_manifest

# How fast a machine is says nothing about whether a property holds.
hypothesis_settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        # A worker of pytest-xdist has a width of its own.
        if name.startswith(("AKOOL_", "DAGSTER_")) or name == "COLUMNS":
            monkeypatch.delenv(name)


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    with serve(QUICK) as running:
        yield running


@pytest.fixture
def tools(emulator: RunningEmulator, tmp_path: Path) -> Iterator[Tools]:
    with opened_tools(emulator, tmp_path) as opened:
        yield opened


@pytest.fixture
def rows_of(tmp_path: Path) -> Callable[..., list[ScriptRow]]:
    def make(*lines: str, name: str = "m") -> list[ScriptRow]:
        return list(read_manifest(write_manifest(tmp_path / "manifests", name, *lines)).rows())

    return make


@pytest.fixture
def place(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A deployment on a real instance with SQLite storage."""
    monkeypatch.setenv("AKOOL_API_KEY", emulator.api_key)
    settings = emulator_settings(emulator, tmp_path / "data")
    with dg.instance_for_test() as instance:
        yield Place(
            definitions=build_definitions(settings),
            instance=instance,
            settings=settings,
            data=tmp_path / "data",
            akool=emulator,
        )
