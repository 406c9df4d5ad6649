import re
import signal
import socket
import subprocess
import sys
from typing import get_args

import pytest
import requests
from click.testing import CliRunner

from akool_dagster.emulator import EmulatorConfig, RenderTimes, Shapes, WebhookHabits, command
from akool_dagster.emulator.command import emulator
from akool_dagster.emulator.faults import FaultKind
from akool_dagster_tests.emulator.api import WAIT


def test_help_teaches_markers_faults_and_shapes() -> None:
    result = CliRunner().invoke(emulator, ["--help"])
    assert result.exit_code == 0
    for word in ("[[video:failed", "truncate", "faceswap_fail_reason", "--state-dir", "127.0.0.1"):
        assert word in result.output
    for kind in get_args(FaultKind):
        assert re.search(rf"^ +{kind} +\w", result.output, re.MULTILINE), kind


def test_a_wrong_fault_is_explained_without_a_traceback() -> None:
    result = CliRunner().invoke(emulator, ["--fault", "explode"])
    assert result.exit_code == 1
    assert "explode" in result.output
    assert "Traceback" not in result.output


def test_a_real_process_serves_and_stops_on_ctrl_c(tmp_path) -> None:
    options = ["--port", "0", "--speed", "60", "--seed", "7", "--slots", "2", "--any-size"]
    options += ["--fault", "status,on=GET */avatar/list", "--state-dir", str(tmp_path / "state")]
    command = [sys.executable, "-u", "-m", "akool_dagster.emulator", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            lines = [process.stdout.readline() for _ in range(6)]
            printed = dict(re.findall(r"(AKOOL_\w+)=(\S+)", "".join(lines)))
            url, key = printed["AKOOL_BASE_URL"], printed["AKOOL_API_KEY"]
            headers = {"x-api-key": key}
            quota = requests.get(
                f"{url}/api/open/v3/faceswap/quota/info", headers=headers, timeout=WAIT
            )
            broken = requests.get(f"{url}/api/open/v3/avatar/list", headers=headers, timeout=WAIT)
        finally:
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=20)
    assert key == "emulator-key"
    assert quota.json()["data"]["credit"] == 100_000
    assert broken.status_code == 500
    assert (process.returncode, rest.strip(), errors) == (0, "Stopped.", "")
    assert (tmp_path / "state" / "account.sqlite").exists()


def test_importing_the_emulator_loads_no_media_libraries() -> None:
    code = (
        "import sys, akool_dagster.emulator\n"
        "heavy = {'av', 'numpy', 'PIL', 'cryptography', 'uvicorn', 'requests', 'dagster'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def started_config(monkeypatch, *options: str) -> EmulatorConfig:
    """The configuration with which the command would serve."""
    seen: list[EmulatorConfig] = []

    def refuse(config: EmulatorConfig, **_where: object) -> None:
        seen.append(config)
        raise OSError("not served")

    monkeypatch.setattr(command, "serve", refuse)
    result = CliRunner().invoke(emulator, options)
    assert "not served" in result.output
    return seen[0]


def test_without_options_it_is_the_default(monkeypatch) -> None:
    assert started_config(monkeypatch) == EmulatorConfig()


def test_flags_reach_their_settings(monkeypatch) -> None:
    options = "--speed 5 --seed 3 --credits 9 --render-seconds 7 --failing-renders 0.5"
    options += " --clock-skew -60 --webhook-late 30 --webhook-lost 0.2 --webhook-forged"
    options += " --webhook-reorder --webhook-copies 2 --lists array --any-size --tiny-media"
    config = started_config(monkeypatch, *options.split())
    assert config == EmulatorConfig(
        speed=5,
        seed=3,
        credits=9,
        times=RenderTimes(video=7),
        failing_renders=0.5,
        clock_skew=-60,
        webhooks=WebhookHabits(late=30, lost=0.2, forged=True, reorder=True, copies=2),
        shapes=Shapes(lists="array"),
        strict_sizes=False,
        media="tiny",
    )


def test_flags_override_a_scenario_even_with_their_default(monkeypatch, tmp_path) -> None:
    path = tmp_path / "night.toml"
    path.write_text(
        "seed = 5\nspeed = 9.0\nslots = 2\n[webhooks]\nlate = 60.0\ncopies = 2\n"
        "[[faults]]\nkind = 'cut'\n"
    )
    options = ["--scenario", str(path), "--speed", "1", "--webhook-copies", "3"]
    config = started_config(monkeypatch, *options, "--fault", "drop,next=1")
    assert (config.seed, config.speed, config.slots) == (5, 1.0, 2)
    assert config.webhooks == WebhookHabits(late=60.0, copies=3)
    assert [fault.kind for fault in config.faults] == ["drop", "cut"]


@pytest.mark.parametrize(
    ("text", "told"), [("sped = 3", "did you mean 'speed'"), ("speed = 0", "speed is 0")]
)
def test_a_wrong_scenario_is_explained_without_a_traceback(tmp_path, text: str, told: str) -> None:
    path = tmp_path / "night.toml"
    path.write_text(text)
    result = CliRunner().invoke(emulator, ["--scenario", str(path)])
    assert result.exit_code == 1
    assert told in result.output
    assert str(path) in result.output
    assert "Traceback" not in result.output


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = CliRunner().invoke(emulator, ["--port", str(port)])
    assert result.exit_code == 2
    assert f"Port {port} of this machine is taken" in result.output
