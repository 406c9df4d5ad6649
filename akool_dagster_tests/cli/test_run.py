import json
import re
from pathlib import Path

import pandas as pd

from akool_dagster.media import probe
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import csv_line, plain_line, write_manifest

_NOISE = re.compile(r"STEP_|RUN_|ENGINE_EVENT|dagster - |DEBUG|INFO|WARNING|Traceback")


def test_all_good_then_again_sends_nothing_and_says_so(shell: Shell) -> None:
    path = shell.write("m", plain_line("a"), plain_line("b"))
    first = shell("run", str(path))
    assert first.exit_code == 0, first.output
    assert first.stderr == f"Copied {path} to {shell.data / 'manifests' / 'm.csv'}.\n"
    assert f"2 of 2 videos are in {shell.data / 'videos'}" in first.stdout
    assert f"The results are in {shell.data / 'results' / 'm.csv'}" in first.stdout
    assert not _NOISE.search(first.output)
    for name in ("a", "b"):
        assert f"videos/m/{name}.mp4" in first.stdout
        assert probe(shell.data / "videos" / "m" / f"{name}.mp4").duration_seconds > 0
    results = pd.read_csv(shell.data / "results" / "m.csv")
    assert results["status"].tolist() == ["saved", "saved"]
    assert shell.sent == 4

    for word in ("m", str(path)):
        again = shell("run", word)
        assert again.exit_code == 0
        assert "Nothing is left to ask for: nothing was sent and nothing was spent." in again.stdout
    assert shell.sent == 4


def test_a_failing_row_is_told_with_its_code_and_asked_again_only_on_a_persons_word(
    shell: Shell,
) -> None:
    shell.put("m", plain_line("good"), plain_line("bad", "[[video:1003 x1]]"))
    first = shell("run", "m")
    assert first.exit_code == 1
    assert "AKOOL code 1003: The video was refused" in _line_of(first.stdout, "m.bad")
    assert "akool-dagster run m --failed" in first.stdout
    assert shell.standings("m") == {"good": "saved", "bad": "refused"}
    sent = shell.sent

    again = shell("run", "m")
    assert again.exit_code == 1
    assert "nothing was sent" in again.stdout
    assert shell.sent == sent

    failed = shell("run", "m", "--failed")
    assert failed.exit_code == 0, failed.output
    assert shell.sent == sent + 1
    assert "--failed" not in failed.stdout


def test_a_cause_that_the_ledger_does_not_know_is_told(shell: Shell) -> None:
    root = shell.folder / "films [final]"  # brackets, which are no markup
    line = csv_line("x", script="Hello.", voice_id="Emma_en-US", avatar_id="Jane_in_Blu_2024")
    write_manifest(root / "manifests", "m", line)
    result = shell("run", "m", AKOOL_DATA=str(root))
    assert result.exit_code == 1
    assert "Jane_in_Blue_2024" in _line_of(result.stdout, "m.x")
    assert f"0 of 1 videos are in {root / 'videos'}" in result.stdout


def test_an_invalid_manifest_sends_nothing_and_touches_nothing(shell: Shell) -> None:
    path = shell.write("m", plain_line("a"), plain_line("a"))
    result = shell("run", str(path))
    assert result.exit_code == 2
    assert "the script_id is taken by line 2" in result.stderr
    assert result.stderr.rstrip().endswith("Nothing was asked for and nothing was spent.")
    assert shell.sent == 0
    assert not shell.data.exists()


def test_an_empty_account_stops_and_a_filled_one_goes_on(shell: Shell) -> None:
    shell.akool.emulator.set_credits(0.0)
    shell.put("m", *(plain_line(f"r{number}") for number in range(18)))
    stopped = shell("run", "m")
    assert stopped.exit_code == 3
    assert "AKOOL has stopped this account since " in stopped.stdout
    assert stopped.stdout.count("Top up the account at akool.com") >= 1
    assert shell.sent < 18

    shell.akool.emulator.set_credits(10_000.0)
    filled = shell("run", "m", "--failed")
    assert filled.exit_code == 0, filled.output
    assert set(shell.standings("m").values()) == {"saved"}


def test_a_dropped_answer_is_doubt_and_stays_so(shell: Shell) -> None:
    shell.put("m", plain_line("lost", "[[video:lost]]"), plain_line("good"))
    first = shell("run", "m")
    assert first.exit_code == 4
    line = _line_of(first.stdout, "m.lost")
    assert "It is not known whether AKOOL accepted the video" in line
    assert "akool-dagster resolve m.lost" in line
    sent = shell.sent
    again = shell("run", "m", "--failed")
    assert again.exit_code == 4
    assert "nothing was sent" in again.stdout
    assert shell.sent == sent


def test_json_alone_is_on_standard_output_of_a_silent_process(shell: Shell) -> None:
    shell.put("m", plain_line("a"), plain_line("b", "[[video:failed 1205 create video error]]"))
    done = shell.finish("run", "m", "--json", DAGSTER_HOME="")
    assert done.returncode == 1, done.stderr
    data = json.loads(done.stdout)
    assert data["manifest"] == "m"
    assert data["counts"] == {"saved": 1, "failed": 1}
    (bad,) = data["not_made"]
    assert (bad["key"], bad["status"], bad["akool_code"]) == ("m.b", "failed", 1205)
    assert Path(data["results"]).exists()
    assert (shell.data / "dagster_home" / "emulator" / "dagster.yaml").exists()
    assert "\x1b" not in done.stderr
    assert not _NOISE.search(done.stderr), done.stderr


def test_without_a_credential_nothing_is_begun(shell: Shell) -> None:
    shell.put("m", plain_line("a"))
    result = shell("run", "m", AKOOL_API_KEY=None)
    assert result.exit_code == 3
    assert "Set AKOOL_API_KEY" in result.stderr
    assert "akool-dagster demo" in result.stderr
    assert result.stdout == ""
    assert {path.name for path in shell.data.iterdir()} == {"manifests"}


def test_a_file_never_overwrites_another_manifest_of_its_name(shell: Shell) -> None:
    there = shell.put("m", plain_line("a"))
    before = there.read_bytes()
    write_manifest(shell.folder, "m", plain_line("b"))
    result = shell("run", "m.csv")
    assert result.exit_code == 2
    assert f"{there} has the name of m.csv and another content" in result.stderr
    assert there.read_bytes() == before
    assert shell.sent == 0


def test_of_an_edited_manifest_only_what_changed_is_asked_for(shell: Shell) -> None:
    shell.put("m", plain_line("a"), plain_line("b"))
    assert shell("run", "m").exit_code == 0
    shell.put("m", plain_line("a"), plain_line("b", "And something new."), plain_line("c"))
    result = shell("run", "m")
    assert result.exit_code == 0
    assert "3 of 3 videos" in result.stdout
    assert shell.sent == 4 + 4


def test_results_that_cannot_be_written_are_not_claimed(shell: Shell) -> None:
    shell.put("m", plain_line("a"))
    (shell.data / "results").write_text("a file where the folder should be")
    result = shell("run", "m")
    assert result.exit_code == 1
    assert "The results of m could not be written" in result.stderr
    assert "The results are in" not in result.stdout
    assert shell.standings("m") == {"a": "saved"}


def _line_of(text: str, key: str) -> str:
    """The cells of a table's row, with what was folded put together again."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"│ {key} "))
    cells = [line.split("│")[4].strip() for line in lines[start:] if line.count("│") == 5]
    first_cells = [line.split("│")[1].strip() for line in lines[start:] if line.count("│") == 5]
    end = next((n for n, cell in enumerate(first_cells) if n and cell), len(cells))
    return " ".join(cells[:end])
