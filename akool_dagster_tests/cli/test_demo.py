import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

from akool_dagster.batch.row_status import RowStatus, row_statuses
from akool_dagster.batch.standing import Standing
from akool_dagster.cli.rehearsal import PORT, SPEED, emulator_for
from akool_dagster.ledger import Ledger
from akool_dagster.manifest import read_scripts
from akool_dagster.media import probe
from akool_dagster.settings import Settings
from akool_dagster_tests.cli.conftest import COMMAND, Shell

_PATIENCE = 2.0


def test_demo_twice_in_an_empty_folder_and_once_beside_another(tmp_path: Path) -> None:
    _wait_for_the_port()
    first = _demo(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    rows = _rows(tmp_path / "data")
    assert {row.row.manifest for row in rows} == {"welcome", "product-tour"}
    bad = [row for row in rows if row.standing is not Standing.SAVED]
    assert [row.row.key for row in bad] == ["welcome.rehearsal-of-a-failure"]
    assert [(row.standing, row.video and row.video.code) for row in bad] == [
        (Standing.FAILED, 1205)
    ]
    assert "AKOOL code 1205: The video failed: create video error." in first.stdout
    assert "are meant to fail; all others are there." in first.stdout
    assert "run welcome --failed" not in first.stdout  # with a key it would cost credits
    for row in rows:
        if row.standing is Standing.SAVED:
            _is_as_long_as_its_voice(tmp_path / "data", row)
    assert list((tmp_path / "home").iterdir()) == []
    assert list((tmp_path / "theirs").iterdir()) == []
    assert (tmp_path / "data" / "dagster_home" / "emulator" / "dagster.yaml").exists()
    assert f"DAGSTER_HOME={tmp_path / 'theirs'} was left alone." in first.stdout
    noise = re.compile(r"STEP_|RUN_|dagster - |DEBUG|INFO|Traceback|Warning")
    assert not noise.search(first.stdout + first.stderr), first.stdout + first.stderr

    attempts = _attempts(tmp_path / "data")
    second = _demo(tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Nothing is left to ask for: nothing was sent and nothing was spent." in second.stdout
    assert _attempts(tmp_path / "data") == attempts

    with socket.create_server(("127.0.0.1", PORT)):
        third = _demo(tmp_path)
    assert (third.returncode, third.stdout) == (2, "")
    assert f"Port {PORT} of this machine is taken" in third.stderr


def test_a_taken_port_is_told(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = shell("dev", "--emulator-port", str(port), AKOOL_API_KEY=None, AKOOL_BASE_URL=None)
    assert result.exit_code == 2, result.output
    assert f"Port {port} of this machine is taken" in result.stderr
    assert "stop it, then try again" in result.stderr
    assert not (shell.data / "manifests").exists()


def test_an_impossible_speed_is_bad_input(shell: Shell) -> None:
    result = shell("demo", "--speed", "0")
    assert result.exit_code == 2
    assert "--speed" in result.stderr


def test_a_scenario_is_not_for_a_real_account(shell: Shell) -> None:
    scenario = _scenario(shell.folder, "seed = 7\n")
    result = shell("dev", "--scenario", str(scenario))
    assert result.exit_code == 2
    assert f"--scenario {scenario} is for the emulator, and a key is set" in result.stderr


@pytest.mark.parametrize("command", ["demo", "dev"])
def test_a_bad_scenario_is_told_before_anything_starts(shell: Shell, command: str) -> None:
    scenario = _scenario(shell.folder, "sped = 7.0\n")
    result = shell(command, "--scenario", str(scenario), AKOOL_API_KEY=None, AKOOL_BASE_URL=None)
    assert result.exit_code == 2, result.output
    assert "there is no key 'sped' (value 7.0); did you mean 'speed'?" in result.stderr
    assert not (shell.data / "manifests").exists()


@pytest.mark.parametrize(
    ("text", "speed", "runs_at"),
    [("seed = 7\n", None, SPEED), ("speed = 9.0\n", None, 9.0), ("speed = 9.0\n", 3.0, 3.0)],
)
def test_the_emulator_has_the_habits_of_the_scenario(
    shell: Shell, text: str, speed: float | None, runs_at: float
) -> None:
    scenario = _scenario(shell.folder, text + "slots = 3\n")
    settings = Settings(data=str(shell.data))
    with emulator_for(settings, speed=speed, port=0, scenario=str(scenario)) as akool:
        config = akool.emulator.config
    assert (config.speed, config.slots) == (runs_at, 3)
    assert config.state_dir == str(shell.data / "emulator")


def _scenario(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text)
    return path


def _demo(folder: Path) -> "subprocess.CompletedProcess[str]":
    home = folder / "home"
    theirs = folder / "theirs"
    for made in (home, theirs):
        made.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    return subprocess.run(
        [COMMAND, "demo", "--speed", "1000"],
        check=False,
        cwd=folder,
        env={
            **kept,
            "HOME": str(home),
            "AKOOL_POLL_SECONDS": "0.1",
            "DAGSTER_HOME": str(theirs),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def _wait_for_the_port() -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_server(("127.0.0.1", PORT)).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.skip(f"port {PORT} of this machine is taken by another program")


def _rows(data: Path) -> list[RowStatus]:
    with Ledger.open(f"sqlite:///{data / 'ledger.sqlite'}", service="emulator") as ledger:
        return [
            status
            for path in sorted((data / "scripts").glob("*.parquet"))
            for status in row_statuses(ledger, read_scripts(path).rows())
        ]


def _attempts(data: Path) -> list[tuple[int | None, ...]]:
    return [
        (row.voice and row.voice.id, row.video and row.video.id, row.video and row.video.number)
        for row in _rows(data)
    ]


def _is_as_long_as_its_voice(data: Path, row: RowStatus) -> None:
    assert row.voice_file is not None
    assert row.video_file is not None
    voice = probe(data / (row.voice_file.path or ""))
    video = probe(data / (row.video_file.path or ""))
    assert video.duration_seconds > 0
    assert video.duration_seconds == pytest.approx(voice.duration_seconds, rel=0.1), row.row.key
