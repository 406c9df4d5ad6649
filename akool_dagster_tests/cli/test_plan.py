import gc
import json

import pytest
from pyarrow import parquet

from akool_dagster.cli.plan import collecting_no_garbage
from akool_dagster.ledger import Kind
from akool_dagster.ledger.tables import attempts
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import csv_line, plain_line, write_manifest


def test_a_valid_manifest_by_name_and_by_path(shell: Shell) -> None:
    by_path = shell("plan", str(shell.write("m", plain_line("a"), plain_line("b"))))
    assert by_path.exit_code == 0
    assert "m: valid, 2 scripts" in by_path.stdout
    assert "new               2        20  never asked for" in by_path.stdout
    assert "A run would ask for 2 scripts: about " in by_path.stdout
    assert "a guess: AKOOL publishes no price" in " ".join(by_path.stdout.split())
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
    assert data["removed"] == []
    groups = data["groups"]
    assert groups["new"]["estimated_credits"] + groups["changed_voice"][
        "estimated_credits"
    ] == pytest.approx(data["estimated_credits"], abs=0.02)
    assert groups["done"]["estimated_credits"] == 0
    assert groups["failed"]["to_request"] == 0
    assert groups["failed"]["credits_left"] >= 10
    assert groups["in_doubt"]["credits_left"] >= 10
    text = shell("plan", "m").stdout
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert "A run would ask for 2 scripts" in words
    assert "with akool-dagster run m --failed, costs about 1" in words
    assert "What is in doubt may have cost 1" in words
    assert "akool-dagster resolve" in words
    assert shell.sent == sent


def test_nothing_left_to_ask_for(shell: Shell) -> None:
    shell.walked("m", plain_line("a"))
    assert "A run would ask for nothing and spend nothing." in shell("plan", "m").stdout


def test_repairs_and_rows_with_audio_of_their_own_are_told(shell: Shell) -> None:
    audio = f"{shell.akool.url}/media/voices/Olivia_en-GB.mp3"
    given = csv_line("own", voice_url=audio, avatar_id="Priya_in_Teal_2024")
    text = shell("plan", str(shell.write("m", plain_line("a", " "), given))).stdout
    assert "not counting the 1 script with audio of their own" in " ".join(text.split())
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


def test_rows_that_changed_are_told_apart_by_what_they_cost_and_removed_ones_are_named(
    shell: Shell,
) -> None:
    shell.walked("m", plain_line("text"), plain_line("look"), plain_line("gone"))
    shell.put(
        "m", plain_line("text", "Other words."),
        plain_line("look").replace("Jane_in_Blue_2024", "Omar_in_Green_2024"),
    )  # fmt: skip
    lines = shell("plan", "m").stdout.splitlines()
    assert lines[:5] == [
        "m: valid, 2 scripts",
        "              scripts   credits",
        "  new voice         1        10  text or voice changed: voice and video again",
        "  new video         1        10  avatar or layout changed: the voice is kept",
        "  removed           1         -  no longer in the file; nothing of theirs is deleted",
    ]
    assert lines[5].strip() == "(gone)"
    data = json.loads(shell("plan", "m", "--json").stdout)
    assert (data["changed"], data["changed_voice"], data["changed_video"]) == (2, 1, 1)
    assert data["removed"] == ["m.gone"]
    assert data["groups"]["changed_video"]["estimated_credits"] == 10.0
    assert data["groups"]["changed_voice"]["estimated_credits"] > 10.0


def test_rows_that_share_a_content_are_priced_once(shell: Shell) -> None:
    same = {"script": "The same words.", "voice_id": "Emma_en-US", "avatar_id": "Jane_in_Blue_2024"}
    lines = [csv_line(name, **same) for name in ("a", "b", "c")]
    lines.append(csv_line("d", **{**same, "avatar_id": "Omar_in_Green_2024"}))
    path = str(shell.write("m", *lines))
    data = json.loads(shell("plan", path, "--json").stdout)
    assert data["to_request"] == 4
    assert data["estimated_credits"] == pytest.approx(20, abs=1)
    assert data["shared"] == {"videos": 2, "voices": 1, "credits_saved": pytest.approx(20, abs=1)}
    words = " ".join(shell("plan", path).stdout.split())
    assert (
        "Shared: 2 scripts with another script's video, 1 script with another script's voice; 20"
        in words
    )


def test_scripts_in_several_languages(shell: Shell) -> None:
    sheet = shell.folder / "sheets" / "m.csv"
    sheet.parent.mkdir()
    sheet.write_text(
        "script_id,script,language,languages,voice_id,avatar_id\n"
        'a,Hello,en,"en,de",Emma_en-US,Jane_in_Blue_2024\n'
        'b,Bye,en,"en,de",Emma_en-US,Jane_in_Blue_2024\n'
    )
    texts = sheet.with_name("m.texts.csv")
    texts.write_text("script_id,language,script\na,de,Hallo\n")
    shell.data.mkdir()
    (shell.data / "voices.csv").write_text("language,voice_id\nde,Anna_de-DE\n")
    missing = shell("plan", str(sheet))
    assert missing.exit_code == 2
    assert "line 3, column script_de: the row has no text in de" in missing.stderr

    texts.write_text(texts.read_text() + "b,de,Servus\n")
    text = shell("plan", str(sheet)).stdout
    assert text.startswith("m: valid, 4 scripts of 2 rows (en 2, de 2)\n")
    data = json.loads(shell("plan", str(sheet), "--json").stdout)
    assert data["languages"] == {"en": 2, "de": 2}
    assert shell.sent == 0


def refreshed(shell: Shell, *words: str) -> dict:
    return json.loads(shell("plan", *words, "--refresh", "--json").stdout)


def test_without_saved_lists_it_is_said_that_nothing_was_looked_up(shell: Shell) -> None:
    path = str(shell.write("m", csv_line("a", script="x", voice_id="Ema", avatar_id="Jane")))
    result = shell("plan", path)
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert "Not looked up: avatars and voices, of which no list of AKOOL's is saved" in words
    assert f"akool-dagster plan {path} --refresh reads them, at no cost" in words
    data = json.loads(shell("plan", path, "--json").stdout)
    assert data["catalogs"] == {"avatars_read_at": None, "voices_read_at": None}
    assert data["catalog_problems"] == []


def test_voices_and_avatars_that_do_not_exist_are_told_with_line_and_fix(shell: Shell) -> None:
    typo = csv_line("b", script="x", voice_id="Ema_en-US", avatar_id="Jane_in_Blu_2024")
    path = str(shell.write("m", plain_line("a"), typo, typo.replace("b,x", "c,y")))
    result = shell("plan", path, "--refresh")
    assert result.exit_code == 1
    assert max(map(len, result.stdout.replace(path, "").splitlines())) <= 80
    words = " ".join(result.stdout.split())
    assert "2 scripts would fail, before anything is spent on them:" in words
    assert "0 minutes old" in words
    assert "lines 3, 4: avatar_id 'Jane_in_Blu_2024' is not among the" in words
    assert "Did you mean Jane_in_Blue_2024" in words
    assert "fix: correct the avatar_id in m.csv" in words
    assert words.index("fix: ") < words.index("A run would ask for")

    data = json.loads(shell("plan", path, "--json").stdout)  # of the saved lists: asks nobody
    told = [(each["key"], each["line"]) for each in data["catalog_problems"]]
    assert told == [("m.b", 3), ("m.b", 3), ("m.c", 4), ("m.c", 4)]
    assert data["catalogs"]["avatars_read_at"] is not None
    assert shell.sent == 0

    good = shell("plan", str(shell.write("n", plain_line("a"))))
    assert good.exit_code == 0
    assert "all that is asked for exists." in " ".join(good.stdout.split())


def test_many_different_problems_are_counted(shell: Shell) -> None:
    lines = [
        csv_line(
            f"r{number}", script="x", voice_id=f"Nobody{number}", avatar_id="Jane_in_Blue_2024"
        )
        for number in range(23)
    ]
    result = shell("plan", str(shell.write("m", *lines)), "--refresh")
    assert result.exit_code == 1
    assert result.stdout.count("fix: ") == 20
    assert "  ... and 3 more" in result.stdout.splitlines()


def test_scripts_that_a_run_would_not_ask_for_are_not_looked_up(shell: Shell) -> None:
    rows = [plain_line("a"), plain_line("refused", "[[video:1003]]")]
    shell.walked("m", *rows)
    shell("plan", "m", "--refresh")
    path = shell.data / "catalogs" / "avatars.parquet"
    catalog = parquet.ParquetFile(path).read()
    kept = [avatar_id != "Jane_in_Blue_2024" for avatar_id in catalog["avatar_id"].to_pylist()]
    parquet.write_table(catalog.filter(kept), path)
    assert json.loads(shell("plan", "m", "--json").stdout)["catalog_problems"] == []
    shell.put("m", *rows, plain_line("b"))
    (problem,) = json.loads(shell("plan", "m", "--json").stdout)["catalog_problems"]
    assert problem["key"] == "m.b"


def test_an_own_avatar_is_a_problem_until_it_is_uploaded(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "avatars.csv").write_text("avatar_id,url\nKim01,https://media.example/k.mp4\n")
    path = str(
        shell.write("m", csv_line("a", script="x", voice_id="Emma_en-US", avatar_id="Kim01"))
    )
    (problem,) = refreshed(shell, path)["catalog_problems"]
    assert problem["fix"] == "upload it: akool-dagster avatars --upload Kim01"
    assert shell("avatars", "--upload").exit_code == 0
    # The list that was saved is older than the upload; a run waits for what AKOOL works on.
    after = shell("plan", path)
    assert after.exit_code == 0, after.stdout
    impatient = json.loads(shell("plan", path, "--json", AKOOL_AVATAR_NOT_READY="fail").stdout)
    (pending,) = impatient["catalog_problems"]
    assert "AKOOL still works on" in pending["problem"]


def test_lists_that_cannot_be_read_are_told_and_nothing_more(shell: Shell) -> None:
    path = str(shell.write("m", plain_line("a")))
    no_key = shell("plan", path, "--refresh", AKOOL_API_KEY=None)
    assert no_key.exit_code == 3
    assert "Set AKOOL_API_KEY" in no_key.stderr.replace("set AKOOL", "Set AKOOL")
    wrong = shell("plan", path, "--refresh", AKOOL_API_KEY="wrong")
    assert wrong.exit_code == 1
    assert "could not be read" in wrong.stderr
    assert wrong.stdout == ""


def test_one_credit_is_one(shell: Shell) -> None:
    words = "The same words for both rows in the same voice. " * 5
    rows = [
        csv_line(name, script=words, voice_id="Emma_en-US", avatar_id=avatar)
        for name, avatar in (("a", "Jane_in_Blue_2024"), ("b", "Omar_in_Green_2024"))
    ]
    text = " ".join(shell("plan", str(shell.write("m", *rows))).stdout.split())
    assert "Shared: 1 script with another script's voice; 1 credit saved." in text
    more = [row.replace(words, words * 2) for row in rows]
    assert "; 2 credits saved." in shell("plan", str(shell.write("n", *more))).stdout


def test_uploads_of_own_avatars_that_scripts_need_are_told_with_their_price(shell: Shell) -> None:
    shell.data.mkdir()
    clip = "https://media.example/k.mp4"
    lines = [f"{name},{clip}" for name in ("Kim01", "Lee02", "Unused03")]
    (shell.data / "avatars.csv").write_text("\n".join(["avatar_id,url", *lines]) + "\n")
    path = str(
        shell.write("m", plain_line("x"), *map(_of_avatar, ("Kim01", "Lee02", "Kim01"), "abc"))
    )
    uploads = json.loads(shell("plan", path, "--json").stdout)["avatar_uploads"]
    assert uploads == {"avatar_ids": ["Kim01", "Lee02"], "estimated_credits": None}
    text = " ".join(shell("plan", path).stdout.split())
    assert "Not counted: 2 uploads of own avatars that these scripts need first" in text
    assert "(Kim01, Lee02), at a price that nobody knows before" in text

    assert shell("avatars", "--upload", "Kim01").exit_code == 0
    _tell_price_of_uploads(shell, 12.0)
    uploads = json.loads(shell("plan", path, "--json").stdout)["avatar_uploads"]
    assert uploads == {"avatar_ids": ["Lee02"], "estimated_credits": 12.0}
    text = shell("plan", path).stdout
    assert max(map(len, text.replace(path, "").splitlines())) <= 80
    words = " ".join(text.split())
    assert (
        "Not counted: 1 upload of own avatars that these scripts need first (Lee02), for" in words
    )
    assert "for about 12 credits, going by the dearest one so far" in words


def test_own_avatars_that_no_script_needs_are_not_told(shell: Shell) -> None:
    shell.data.mkdir()
    (shell.data / "avatars.csv").write_text("avatar_id,url\nKim01,https://media.example/k.mp4\n")
    path = str(shell.write("m", plain_line("a")))
    assert "upload" not in shell("plan", path).stdout
    uploads = json.loads(shell("plan", path, "--json").stdout)["avatar_uploads"]
    assert uploads["avatar_ids"] == []


def test_garbage_is_collected_again_after_a_plan() -> None:
    assert gc.isenabled()
    with pytest.raises(SystemExit), collecting_no_garbage():
        assert not gc.isenabled()
        raise SystemExit(2)
    assert gc.isenabled()
    gc.disable()
    try:
        with collecting_no_garbage():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def _of_avatar(avatar_id: str, script_id: str) -> str:
    return csv_line(script_id, script=f"I am {script_id}.", voice_id="v", avatar_id=avatar_id)


def _tell_price_of_uploads(shell: Shell, price: float) -> None:
    with shell.ledger() as ledger, ledger._database.writing() as connection:
        connection.execute(
            attempts.update()
            .where(attempts.c.kind == Kind.AVATAR.value)
            .values(spent_credits=price)
        )
