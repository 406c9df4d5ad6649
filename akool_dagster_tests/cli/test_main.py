import os
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from akool_dagster.cli import main
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import plain_line

COMMANDS = ("demo", "dev", "plan", "run", "status", "resolve", "avatars", "emulator")


def said(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), prog_name="akool-dagster")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_each_command_and_each_exit_code(option: str) -> None:
    result = said(option)
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout
    for code in ("0 all done", "1 some rows failed", "2 bad input", "3", "4", "130"):
        assert code in " ".join(result.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_of_its_own(command: str) -> None:
    result = said(command, "--help")
    assert result.exit_code == 0
    assert f"Usage: akool-dagster {command}" in result.stdout


def test_version() -> None:
    result = said("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("akool-dagster, version 0.")


def test_an_unknown_command_is_bad_input() -> None:
    result = said("paln")
    assert result.exit_code == 2
    assert "No such command 'paln'" in result.stderr


def test_the_emulator_is_one_of_the_commands() -> None:
    result = said("emulator", "--help")
    assert "[[video:lost]]" in result.stdout
    assert "--state-dir" in result.stdout


@pytest.mark.parametrize("command", ["plan", "run", "status"])
def test_a_wrong_setting_is_named_without_a_trace(shell: Shell, command: str) -> None:
    shell.put("m", plain_line("a"))
    result = shell(command, "m", AKOOL_MAX_IN_FLIGHT="many")
    assert result.exit_code == 2
    assert "AKOOL_MAX_IN_FLIGHT" in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_a_data_root_that_cannot_be_opened_is_named_without_a_trace(shell: Shell) -> None:
    result = shell("plan", "m", AKOOL_DATA="nonsense://bucket")
    assert result.exit_code == 2
    assert "nonsense://" in result.stderr
    shell.data.write_text("a file where the folder should be")
    result = shell("run", str(shell.write("m", plain_line("a"))))
    assert result.exit_code == 2, result.output
    assert str(shell.data) in result.stderr
    assert shell.sent == 0


def test_looking_commands_start_without_dagster(shell: Shell) -> None:
    shell.walked("m", plain_line("a", "[[video:lost]]"))
    code = (
        "import sys, click\n"
        "from akool_dagster.cli import main\n"
        "for words in (['plan', 'm'], ['status'], ['resolve', 'm.a', '--not-created']):\n"
        "    try: main.main(words, standalone_mode=False)\n"
        "    except SystemExit: pass\n"
        "    assert 'dagster' not in sys.modules, words\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={**os.environ, **shell.env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "is settled as not created" in done.stdout


def test_a_process_without_a_terminal_prints_no_colour(shell: Shell) -> None:
    shell.walked("m", plain_line("a"), plain_line("b", "[[video:failed 1205 create video error]]"))
    done = shell.finish("status", "m", TERM="xterm-256color")
    assert (done.returncode, done.stderr) == (1, "")
    assert "1 saved, 1 failed" in done.stdout
    assert "\x1b" not in done.stdout
