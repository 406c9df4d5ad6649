import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from akool_dagster.batch.row_status import RowStatus, row_statuses
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.walk import Walk
from akool_dagster.cli import main
from akool_dagster.emulator import EmulatorConfig, RenderTimes, RunningEmulator, serve
from akool_dagster.ledger import Ledger
from akool_dagster.manifest import read_manifest, read_scripts, write_scripts
from akool_dagster_tests.support import opened_tools, quick_rules, write_manifest

COMMAND = str(Path(sys.executable).parent / "akool-dagster")


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A person at a terminal: a folder, an environment, and the command."""

    folder: Path
    data: Path
    akool: RunningEmulator
    env: Mapping[str, str]

    def __call__(self, *words: str, input: str | None = None, **env: str | None) -> Result:  # noqa: A002
        """Runs the command in this process."""
        return CliRunner().invoke(
            main,
            list(words),
            input=input,
            env={**self.env, **env},
            prog_name="akool-dagster",
        )

    def start(self, *words: str, **env: str) -> "subprocess.Popen[str]":
        """Starts the command as a process of its own."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AKOOL_", "DAGSTER_"))}
        return subprocess.Popen(
            [COMMAND, *words],
            cwd=self.folder,
            env={**clean, **self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Runs the command as a process of its own."""
        with self.start(*words, **env) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def write(self, name: str, *lines: str) -> Path:
        """Writes a manifest somewhere on this machine."""
        return write_manifest(self.folder / "sheets", name, *lines)

    def put(self, name: str, *lines: str) -> Path:
        """Writes a manifest into the data root."""
        return write_manifest(self.data / "manifests", name, *lines)

    def walked(self, name: str, *lines: str, stages: Sequence[Stage] = STAGES) -> None:
        """Puts a manifest in and has it made, without Dagster."""
        manifest = read_manifest(self.put(name, *lines))
        write_scripts(manifest, self.data / "scripts" / f"{name}.parquet")
        with opened_tools(self.akool, self.data, rules=quick_rules(poll_seconds=0.05)) as tools:
            list(Walk(tools, run_id=f"made-{name}").outcomes(manifest.rows(), stages=stages))

    @contextmanager
    def ledger(self, *, actor: str | None = None) -> Iterator[Ledger]:
        url = f"sqlite:///{self.data / 'ledger.sqlite'}"
        with Ledger.open(url, service="emulator", actor=actor) as ledger:
            yield ledger

    def standings(self, name: str) -> dict[str, str]:
        return {row.row.script_id: row.standing.value for row in self.rows(name)}

    def rows(self, name: str) -> list[RowStatus]:
        scripts = read_scripts(self.data / "scripts" / f"{name}.parquet")
        with self.ledger() as ledger:
            return row_statuses(ledger, scripts.rows())

    @property
    def sent(self) -> int:
        """Paid creates that reached AKOOL."""
        return sum(self.akool.emulator.stats().received.values())


@pytest.fixture
def emulator() -> Iterator[RunningEmulator]:
    """Voices and videos are there at once, unless a marker slows them down."""
    config = EmulatorConfig(speed=600.0, media="tiny", times=RenderTimes(sigma=0.0))
    with serve(config) as running:
        yield running


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DAGSTER_HOME with its databases, which take a second to make."""
    home = tmp_path_factory.mktemp("dagster_home")
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("manifests", [])
        assert instance.get_runs_count() == 0
    return home


@pytest.fixture
def shell(
    emulator: RunningEmulator, made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made_home, tmp_path / "dagster_home")
    before = dict(os.environ)
    yield Shell(
        folder=tmp_path,
        data=tmp_path / "root",
        akool=emulator,
        env={
            "AKOOL_BASE_URL": emulator.url,
            "AKOOL_API_KEY": emulator.api_key,
            "AKOOL_DATA": str(tmp_path / "root"),
            "AKOOL_POLL_SECONDS": "0.05",
            "DAGSTER_HOME": str(tmp_path / "dagster_home"),
        },
    )
    # A command may name DAGSTER_HOME for the rest of its process, which here is the tests' own.
    os.environ.clear()
    os.environ.update(before)
