import json

from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import csv_line, plain_line, write_manifest


def test_a_valid_manifest_by_name_and_by_path(shell: Shell) -> None:
    by_path = shell("plan", str(shell.write("m", plain_line("a"), plain_line("b"))))
    assert by_path.exit_code == 0
    assert "m: valid, 2 scripts" in by_path.stdout
    assert "new             2  never asked for" in by_path.stdout
    assert "A run would ask for 2 scripts: about " in by_path.stdout
    assert "a guess: AKOOL publishes no price" in by_path.stdout
    assert not (shell.data / "manifests").exists()

    shell.put("m", plain_line("a"))
    for word in ("m", "m.csv"):
        by_name = shell("plan", word)
        assert by_name.exit_code == 0
        assert "m: valid, 1 script\n" in by_name.stdout
    assert shell.sent == 0


def test_a_path_is_that_file_even_when_the_data_root_has_one_of_the_name(shell: Shell) -> None:
    shell.put("m", plain_line("a"))
    write_manifest(shell.folder, "m", plain_line("a"), plain_line("b"))
    assert "m: valid, 2 scripts" in shell("plan", "m.csv").stdout
    assert "m: valid, 1 script\n" in shell("plan", "m").stdout


def test_an_invalid_manifest_is_reported_whole_and_nothing_is_sent(shell: Shell) -> None:
    path = shell.write("m", plain_line("a"), plain_line("a"), plain_line("not good"), "x,y")
    result = shell("plan", str(path))
    assert result.exit_code == 2
    assert result.stdout == ""
    for text in ("line 3", "line 4", "line 5", '"not good"', "fix: write not-good"):
        assert text in result.stderr
    assert result.stderr.rstrip().endswith("Nothing was asked for and nothing was spent.")
    assert shell.sent == 0

    data = json.loads(shell("plan", str(path), "--json").stdout)
    assert data["valid"] is False
    assert {problem["line"] for problem in data["problems"]} == {3, 4, 5}


def test_counts_of_new_changed_done_failed_and_doubtful_rows(shell: Shell) -> None:
    failing = plain_line("failed", "[[video:failed]]")
    lost = plain_line("lost", "[[video:lost]]")
    shell.walked("m", plain_line("done"), plain_line("changed"), failing, lost)
    sent = shell.sent
    shell.put(
        "m", plain_line("done"), plain_line("changed", "Other words."), failing, lost,
        plain_line("new"),
    )  # fmt: skip
    data = json.loads(shell("plan", "m", "--json").stdout)
    assert data["valid"] is True
    counts = ("rows", "new", "changed", "done", "failed", "in_doubt", "under_way", "to_request")
    assert [data[name] for name in counts] == [5, 1, 1, 1, 1, 1, 0, 2]
    assert data["estimated_credits"] >= 20
    text = shell("plan", "m").stdout
    assert "A run would ask for 2 scripts" in text
    assert "akool-dagster run --failed" in text
    assert "akool-dagster resolve" in text
    assert shell.sent == sent


def test_nothing_left_to_ask_for(shell: Shell) -> None:
    shell.walked("m", plain_line("a"))
    assert "A run would ask for nothing and spend nothing." in shell("plan", "m").stdout


def test_repairs_and_rows_with_audio_of_their_own_are_told(shell: Shell) -> None:
    audio = f"{shell.akool.url}/media/voices/Olivia_en-GB.mp3"
    given = csv_line("own", voice_url=audio, avatar_id="Priya_in_Teal_2024")
    text = shell("plan", str(shell.write("m", plain_line("a", " "), given))).stdout
    assert "not counting the 1 script with audio of their own" in text
    assert "Repaired while reading:\n  column script: spaces at the ends removed" in text


def test_an_account_stop_in_force_is_shown(shell: Shell) -> None:
    shell.akool.emulator.set_credits(0.0)
    shell.walked("m", plain_line("a"))
    text = shell("plan", "m").stdout
    assert "AKOOL has stopped this account since " in text
    assert "(code 1006): Your quota is not enough" in text
    assert "Top up the account at akool.com" in text
    assert json.loads(shell("plan", "m", "--json").stdout)["account_stop"]["code"] == 1006


def test_a_word_that_is_no_manifest(shell: Shell) -> None:
    shell.put("real", plain_line("a"))
    result = shell("plan", "raal")
    assert result.exit_code == 2
    assert "There is no manifest 'raal'" in result.stderr
    assert "(real)" in result.stderr
    (shell.folder / "notes.txt").write_text("x")
    assert "must end in .csv or .parquet" in shell("plan", "notes.txt").stderr
    assert "is a folder" in _stderr_of_folder(shell)


def _stderr_of_folder(shell: Shell) -> str:
    (shell.folder / "folder.csv").mkdir()
    return shell("plan", "folder.csv").stderr


def test_two_files_of_one_name_are_refused(shell: Shell) -> None:
    path = shell.put("m", plain_line("a"))
    path.with_suffix(".parquet").write_bytes(b"")
    result = shell("plan", "m")
    assert result.exit_code == 2
    assert "m.csv and m.parquet would both be the manifest 'm'" in result.stderr
