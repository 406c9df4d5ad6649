"""One row, several languages: where texts and voices come from, and what is never guessed."""

import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from upath import UPath

from akool_dagster.manifest import (
    Manifest,
    ManifestError,
    Problem,
    VoiceFiles,
    read_manifest,
    read_scripts,
)
from akool_dagster.manifest.values import read_languages

HEADER = "script_id,script,language,languages,voice_id,avatar_id,script_de,script_fr"
VOICES = "language,voice_id\nde,Anna\nfr,Camille\n"


class Desk:
    """A folder of a marketing person: a manifest and what goes with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.voices = VoiceFiles(
            mapping=folder / "voices.csv", catalog=folder / "catalogs" / "voices.parquet"
        )

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, text: str, *, texts: str | None = None, voices: str | None = VOICES) -> Manifest:
        if texts is not None:
            self.write("m.texts.csv", texts)
        if voices is not None:
            self.write("voices.csv", voices)
        return read_manifest(self.write("m.csv", text), voices=self.voices)

    def problems(self, text: str, **beside: str | None) -> list[Problem]:
        with pytest.raises(ManifestError) as caught:
            self.read(text, **beside)
        return list(caught.value.problems)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def _words(manifest: Manifest) -> str:
    return "\n".join(str(repair) for repair in manifest.repairs)


def test_a_row_becomes_one_script_for_each_language_in_its_place(desk: Desk) -> None:
    manifest = desk.read(
        f"{HEADER}\n"
        "first,Hi,,,Emma,Jane,,\n"
        'hello,Hello,en,"en, fr;de",Emma,Jane,Hallo,Bonjour\n'
        "last,Bye,,,Emma,Jane,,\n"
    )
    assert manifest.keys == ["m.first", "m.hello-en", "m.hello-fr", "m.hello-de", "m.last"]
    rows = list(manifest.rows())
    assert [row.line for row in rows] == [2, 3, 3, 3, 4]
    assert [row.script for row in rows] == ["Hi", "Hello", "Bonjour", "Hallo", "Bye"]
    assert [row.voice_id for row in rows] == ["Emma", "Emma", "Camille", "Anna", "Emma"]
    assert [row.language for row in rows] == [None, "en", "fr", "de", None]
    assert {row.avatar_id for row in rows} == {"Jane"}
    assert "script_de" not in manifest.table.columns
    assert "languages" not in manifest.table.columns
    assert len({row.video_hash for row in rows}) == 5


def test_scripts_of_several_languages_survive_the_checked_copy(desk: Desk) -> None:
    manifest = desk.read(f"{HEADER}\na,Hi,en,de fr en,Emma,Jane,Hallo,Salut\n")
    copy = UPath(desk.folder / "copy.parquet")
    copy.write_bytes(manifest.to_parquet_bytes())
    assert list(read_scripts(copy).rows()) == list(manifest.rows())
    assert manifest.row("a-fr").script == "Salut"


def test_without_a_language_everything_is_as_it_was(desk: Desk) -> None:
    plain = "script_id,script,voice_id,avatar_id,script_de\na,Hi,Emma,Jane,Hallo\n"
    before = list(desk.read(plain, voices=None).rows())
    assert before[0].extra == {"script_de": "Hallo"}
    emptied = plain.replace("script_de", "script_de,languages").replace("Hallo", "Hallo,")
    assert list(desk.read(emptied).rows()) == before


@pytest.mark.parametrize(
    "cell", ["de,fr", "de, fr", "DE;fr-FR", "de/fr", "de fr", "de|fr", "de\nfr", '["de", "fr"]',
             "de、fr", "de & fr", "de,fr,de-AT", ",de,,fr,"],
)  # fmt: skip
def test_languages_are_set_apart_as_people_like(desk: Desk, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    manifest = desk.read(f"{HEADER}\na,Hi,en,{quoted},Emma,Jane,Hallo,Salut\n")
    assert manifest.keys == ["m.a-de", "m.a-fr"]


@given(st.text("deFR,;/ ab-_x\n", max_size=20))
def test_any_cell_of_languages_gives_codes_or_says_what_is_wrong(cell: str) -> None:
    codes, faults = read_languages(cell)
    assert codes or faults
    assert len(set(codes)) == len(codes)
    assert all(len(code) == 2 and code.islower() for code in codes)


def test_a_list_of_languages_in_parquet(desk: Desk) -> None:
    columns = {
        "script_id": ["a", "b"],
        "script": ["Hi", "Ho"],
        "language": ["en", "en"],
        "languages": [["en", "de"], None],
        "script_de": ["Hallo", None],
        "voice_id": ["Emma", "Emma"],
        "avatar_id": ["Jane", "Jane"],
    }
    desk.write("voices.csv", VOICES)
    path = desk.folder / "m.parquet"
    parquet.write_table(pa.table(columns), path)
    manifest = read_manifest(path, voices=desk.voices)
    assert manifest.keys == ["m.a-en", "m.a-de", "m.b"]
    assert [row.line for row in manifest.rows()] == [1, 1, 2]


def test_texts_of_a_companion(desk: Desk) -> None:
    manifest = desk.read(
        "script_id,script,language,languages,voice_id,avatar_id,title,city\n"
        'Hello,Hello from {{city}},en,"en,de,ja",Emma,Jane,Greeting,Munich\n',
        texts=(
            "Script ID;Language;Script;Title;voice_id;city\n"
            "hello;DE;Hallo aus {{city}};Gruß;;München\n"
            "hello;ja;{{city}}からこんにちは;;Sakura;\n"
        ),
    )
    en, de, ja = manifest.rows()
    assert (en.script, en.title) == ("Hello from Munich", "Greeting")
    assert (de.script, de.title, de.voice_id) == ("Hallo aus München", "Gruß", "Anna")
    assert (ja.script, ja.title, ja.voice_id) == ("Munichからこんにちは", "Greeting", "Sakura")
    assert de.extra == {"city": "München"}
    assert 'm.texts.csv: column script_id: header "Script ID" read as script_id' in _words(manifest)


def test_a_companion_may_be_parquet_and_bring_variables_of_its_own(desk: Desk) -> None:
    texts = {
        "script_id": ["a"], "language": ["de"], "script": ["Nur {{price}}"], "price": ["9,90 €"]
    }  # fmt: skip
    parquet.write_table(pa.table(texts), desk.folder / "m.texts.parquet")
    manifest = desk.read(
        "script_id,language,languages,script,voice_id,avatar_id\na,en,en de,Hi,Emma,Jane\n"
    )
    assert manifest.row("a-de").script == "Nur 9,90 €"
    assert manifest.row("a-en").extra == {}


def test_what_comes_by_language_goes_before_what_the_row_says(desk: Desk) -> None:
    manifest = desk.read(
        "script_id,script,language,languages,voice_id,avatar_url,Avatar ID de,rate,rate-de,"
        "voice_id_fr,script_de,script_fr,voice_url_ja,script_en\n"
        'a,Hi,en,"en,de,fr,ja",Emma,https://h/p.png,Ada,90%,110%,Zoe,Hallo,Salut,'
        "https://h/ja.mp3,Hi there\n"
    )
    en, de, fr, ja = manifest.rows()
    assert (en.script, en.voice_id) == ("Hi there", "Emma")
    assert (de.avatar_id, de.avatar_url, de.rate_percent) == ("Ada", None, 110)
    assert (fr.avatar_url, fr.voice_id, fr.rate_percent) == ("https://h/p.png", "Zoe", 90)
    assert (ja.script, ja.voice_id, ja.voice_url) == (None, None, "https://h/ja.mp3")


def test_the_language_may_be_used_in_a_text(desk: Desk) -> None:
    manifest = desk.read(
        f'{HEADER}\na,In {{{{language}}}},en,"en,de",Emma,Jane,Auf {{{{Language}}}},\n'
    )
    assert [row.script for row in manifest.rows()] == ["In en", "Auf de"]


def test_voices_by_the_voice_of_the_row(desk: Desk) -> None:
    manifest = desk.read(
        f"{HEADER}\na,Hi,en,de,Emma,Jane,Hallo,\nb,Hi,en,de,James,Jane,Hallo,\n",
        voices="Language,Voice ID,from voice id,note\nde,Anna,,f\nde-DE,Felix,James,m\n",
    )
    assert [row.voice_id for row in manifest.rows()] == ["Anna", "Felix"]


def test_a_voice_of_ones_own_speaks_every_language(desk: Desk) -> None:
    manifest = desk.read(
        "script_id,languages,voice_sample_url,avatar_id,script_de,script_fr\n"
        '1,"de,fr",https://h/me.mp3,Jane,Hallo,Salut\n'
    )
    assert {row.voice_sample_url for row in manifest.rows()} == {"https://h/me.mp3"}
    assert {row.voice_id for row in manifest.rows()} == {None}


def test_indonesian_texts_do_not_stand_in_the_script_id(desk: Desk) -> None:
    rows = 'a,"id,de",Jane,Hallo,{}\n'
    header = "script_id,languages,avatar_id,script_de,{}\n"
    voices = "language,voice_id\nid,Budi\nde,Anna\n"
    named = header.format("script_id_ID") + rows.format("Halo")
    manifest = desk.read(named, voices=voices)
    assert [row.script for row in manifest.rows()] == ["Halo", "Hallo"]
    (problem,) = desk.problems(header.format("note") + rows.format("x"), voices=voices)
    assert problem.column == "script_id_ID"


# -- never guessed


def test_a_missing_text_is_an_error_and_the_own_text_is_not_spoken_in_its_place(desk: Desk) -> None:
    problems = desk.problems(
        f'{HEADER}\na,Hello,en,"de,fr",Emma,Jane,,Bonjour\nb,Hello,en,de,Emma,Jane,Hallo,\n'
    )
    (problem,) = problems
    assert (problem.file, problem.line, problem.column) == ("m.csv", 2, "script_de")
    assert problem.message == "the row has no text in de, and nothing is translated here"
    assert "fill script_de" in problem.fix
    assert "m.texts.csv (script_id a, language de)" in problem.fix
    assert "take de out of languages" in problem.fix


def test_a_language_without_any_text_is_said_once(desk: Desk) -> None:
    rows = "".join(f"r{n},Hello,en,ja,Emma,Jane\n" for n in range(30))
    text = "script_id,script,language,languages,voice_id,avatar_id\n" + rows
    text_problem, voice_problem = desk.problems(text)
    assert text_problem.message == (
        "no row has a text in ja (30 ask for it: lines 2, 3, 4 and 27 more)"
    )
    assert voice_problem.message == "no voice is given for ja (lines 2, 3, 4 and 27 more)"


def test_a_script_of_an_untold_language_is_not_taken_for_one_of_the_languages(desk: Desk) -> None:
    (problem,) = desk.problems(f'{HEADER}\na,Hallo,,"de,fr",Emma,Jane,,Salut\n')
    assert problem.line == 2
    assert "if script is in de, write de into the column language" in problem.fix


def test_a_missing_voice_is_an_error_that_names_the_fix(desk: Desk) -> None:
    (problem,) = desk.problems(f"{HEADER}\na,Hi,en,de,Emma,Jane,Hallo,\n", voices=None)
    assert (problem.line, problem.column, problem.value) == (2, "voice_id_de", '"Emma"')
    assert f"write the line de,VOICE_ID into {desk.folder / 'voices.csv'}" in problem.fix
    assert "or fill voice_id_de" in problem.fix


def test_voices_that_speak_the_language_are_suggested_from_the_catalog(desk: Desk) -> None:
    (desk.folder / "catalogs").mkdir()
    catalog = [
        ("Felix", "German", "male", False),
        ("Anna", "German (Germany)", "female", False),
        ("Emma", "English", "female", False),
        ("Mine", "de-DE", "male", True),
        ("Gerda", None, "female", False),
    ]
    columns = ["voice_id", "language", "gender", "is_own"]
    pd.DataFrame(catalog, columns=columns).to_parquet(desk.folder / "catalogs" / "voices.parquet")
    (problem,) = desk.problems(f"{HEADER}\na,Hi,en,de,Emma,Jane,Hallo,\n", voices=None)
    assert problem.fix.endswith("; your catalog has for de: Mine, Anna, Felix")
    assert "write the line de,Mine into" in problem.fix

    desk.voices.catalog.write_bytes(b"PAR1 and no more")
    (problem,) = desk.problems(f"{HEADER}\na,Hi,en,de,Emma,Jane,Hallo,\n", voices=None)
    assert "catalog" not in problem.fix


@pytest.mark.parametrize(
    ("cell", "value", "fix"),
    [("de german", '"german"', "write de"), ("xx", '"xx"', "two letters"), ("?", '"?"', "two")],
)
def test_a_word_that_is_no_language(desk: Desk, cell: str, value: str, fix: str) -> None:
    (problem,) = desk.problems(f"{HEADER}\na,Hi,en,{cell},Emma,Jane,Hallo,\n")
    assert (problem.line, problem.column, problem.value) == (2, "languages", value)
    assert fix in problem.fix


def test_several_languages_in_the_wrong_column(desk: Desk) -> None:
    (problem,) = desk.problems(
        'script_id,script,language,voice_id,avatar_id\na,Hi,"de, fr",Emma,Jane\n'
    )
    assert problem.column == "language"
    assert "column called languages" in problem.fix


def test_a_name_that_gets_too_long_or_is_taken(desk: Desk) -> None:
    long = "x" * 62
    problems = desk.problems(
        f"{HEADER}\n"
        f"{long},Hi,en,de,Emma,Jane,Hallo,\n"
        "A-DE,Plain,,,Emma,Jane,,\n"
        "a,Hi,en,de,Emma,Jane,Hallo,\n"
        'b,Hi,en,"de,fr",Emma,Jane,Hallo,Salut\n'
        "b-fr,Plain,,,Emma,Jane,,\n"
    )
    assert [(p.line, p.column) for p in problems] == [
        (2, "script_id"), (4, "script_id"), (6, "script_id")
    ]  # fmt: skip
    assert f"{long}-de, of 65 characters" in problems[0].message
    assert problems[0].fix == "shorten the script_id to 61 characters"
    assert problems[1].message == "the script_id a-de, made for de, is taken by line 3"
    assert problems[2].message == "the script_id is taken by line 5 in fr"


def test_a_doubled_row_is_said_once_and_not_for_each_language(desk: Desk) -> None:
    row = 'a,Hi,en,"de,fr",Emma,Jane,Hallo,Salut\n'
    (problem,) = desk.problems(f"{HEADER}\n{row}{row}")
    assert (problem.line, problem.column) == (3, "script_id")


def test_what_is_wrong_in_a_cell_is_said_once_and_of_the_cell_where_it_stands(desk: Desk) -> None:
    problems = desk.problems(
        "script_id,script,language,languages,voice_id,avatar_id,background,script_de,script_fr,"
        "name\n"
        'a,Hi,en,"en,de,fr",Emma,https://no,notacolour,Hallo {{nmae}},Salut {{name}},\n',
        voices="language,voice_id\nde,https://h/v\nfr,Camille\n",
    )
    places = [(p.file, p.line, p.column, p.value) for p in problems]
    assert sorted(places) == [
        ("m.csv", 2, "avatar_id", '"https://no"'),
        ("m.csv", 2, "background", '"notacolour"'),
        ("m.csv", 2, "script_de", '"{{nmae}}"'),
        ("m.csv", 2, "script_fr", '"{{name}}"'),
        ("voices.csv", 2, "voice_id", '"https://h/v"'),
    ]
    by_column = {p.column: p for p in problems}
    assert by_column["script_de"].fix == "write {{name}}"
    assert "name, which is empty in this row" in by_column["script_fr"].message
    assert by_column["voice_id"].message.endswith("(for line 2 of m.csv)")


def test_the_faults_of_a_companion_are_told_with_its_name_and_line(desk: Desk) -> None:
    text = f'{HEADER}\na,Hi,en,"de,fr",Emma,Jane,Hallo,\nb,Hi,en,fr,Emma,Jane,,\n'
    texts = (
        "script_id,language,script\n"
        "a,de,Noch einmal\n"  # there is script_de as well
        "a,fr,{{oops}}\n"
        "a,fr,Encore\n"
        ",fr,Qui\n"
        "b,french,Salut\n"
        "b,fr,Salut\n"
    )
    with pytest.raises(ManifestError) as caught:
        desk.read(text, texts=texts)
    assert [(p.file, p.line, p.column) for p in caught.value.problems] == [
        ("m.texts.csv", 2, "script"),
        ("m.texts.csv", 3, "script"),
        ("m.texts.csv", 4, "script_id"),
        ("m.texts.csv", 5, "script_id"),
        ("m.texts.csv", 6, "language"),
    ]
    first, template, twice, *_ = caught.value.problems
    assert "in script_de of m.csv, line 2" in first.message
    assert template.message.endswith("(for line 2 of m.csv)")
    assert twice.message == "this text in fr was given before, in line 3"
    assert "  m.texts.csv, line 3, column script: the script uses" in str(caught.value)
    assert "| m.texts.csv, line 3, column script |" in caught.value.to_markdown()


def test_a_text_under_a_misspelled_name_is_found(desk: Desk) -> None:
    problems = desk.problems(
        "script_id,script,language,languages,voice_id,avatar_id\n"
        "welcome,Hi,en,de,Emma,Jane\nother,Hi,en,de,Emma,Jane\n",
        texts="script_id,language,script\nwelcom,de,Hallo\nother,de,Hallo\n",
    )
    (problem,) = problems
    assert 'is "welcom" in m.texts.csv meant for it?' in problem.fix


def test_texts_that_nobody_asks_for_are_left_out_and_told(desk: Desk) -> None:
    manifest = desk.read(
        f"{HEADER}\na,Hi,en,de,Emma,Jane,Hallo,Salut\nb,Hi,en,fr,Emma,Jane,Idle,Salut\n",
        texts="script_id,language,script\na,ja,X\nzz,de,X\n",
    )
    assert manifest.keys == ["m.a-de", "m.b-fr"]
    told = _words(manifest)
    assert "m.texts.csv: texts that no row asks for left out (2 texts: lines 2, 3)" in told
    assert "column script_de: left out, because the row's languages do not name this one" in told
    assert "(1 cell: line 3)" in told


def test_a_companion_beside_rows_that_name_no_language(desk: Desk) -> None:
    (problem,) = desk.problems(
        "script_id,script,voice_id,avatar_id\na,Hi,Emma,Jane\n",
        texts="script_id,language,script\na,de,Hallo\n",
    )
    assert "m.texts.csv holds texts by language, and no row names a language" in problem.message
    assert "add the column languages" in problem.fix


def test_two_companions_are_one_too_many(desk: Desk) -> None:
    desk.write("m.texts.parquet", "x")
    (problem,) = desk.problems(
        f"{HEADER}\na,Hi,en,de,Emma,Jane,Hallo,\n", texts="script_id,language,script\na,de,X\n"
    )
    assert "m.texts.csv and m.texts.parquet would both hold its texts" in problem.message


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("", "the file is empty"),
        ("script_id,language,script\n", "the file has no rows"),
        ("a,b\n1,2\n", "no column of a file of texts"),
        ("script_id,script\na,Hallo\n", "the required column language is missing"),
        ("script_id,language\na,de\n", "the required column script or title or voice_id"),
    ],
)
def test_a_companion_that_cannot_be_read(desk: Desk, texts: str, message: str) -> None:
    problems = desk.problems(f"{HEADER}\na,Hi,en,de,Emma,Jane,Hallo,\n", texts=texts)
    assert any(p.file == "m.texts.csv" and message in p.message for p in problems)


@pytest.mark.parametrize(
    ("voices", "line", "message"),
    [
        ("language,voice_id\nde,Anna\nde,Felix\n", 3, "has a voice already"),
        ("language,voice_id\nde,\n", 2, "no voice_id"),
        ("language,voice_id\n,Anna\n", 2, "no language"),
        ("language,voice_id\ngerman,Anna\n", 2, "not a code"),
        ("language,voice\nde,Anna\n", 1, "voice_id is missing"),
        ("PK\x03\x04", None, "Excel workbook"),
    ],
)
def test_a_broken_mapping_of_voices(
    desk: Desk, voices: str, line: int | None, message: str
) -> None:
    problems = desk.problems(f"{HEADER}\na,Hi,en,de,Emma,Jane,Hallo,\n", voices=voices)
    (problem,) = [p for p in problems if p.file == "voices.csv"]
    assert problem.line == line
    assert message in problem.message


def test_the_companion_is_no_manifest_itself(desk: Desk) -> None:
    path = desk.write("m.texts.csv", "script_id,language,script\na,de,X\n")
    with pytest.raises(ManifestError, match=r"give m\.csv, beside which it belongs"):
        read_manifest(path)


def test_missing_avatar_and_bad_language_of_the_row_are_told_once(desk: Desk) -> None:
    problems = desk.problems(f'{HEADER}\na,Hi,engl,"de,fr",Emma,,Hallo,Salut\n')
    assert sorted((p.column or "", p.line) for p in problems) == [("avatar_id", 2), ("language", 2)]


def test_many_rows_of_several_languages_in_little_time(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    lines = "".join(
        f"r{n},Hello {{{{name}}}},en,en de fr,Emma,Jane,Hallo {{{{name}}}},Salut {n},N{n}\n"
        for n in range(10_000)
    )
    path.write_text(f"{HEADER},name\n{lines}")
    (tmp_path / "voices.csv").write_text(VOICES)
    voices = VoiceFiles(mapping=tmp_path / "voices.csv", catalog=tmp_path / "none.parquet")
    began = time.process_time()
    manifest = read_manifest(path, voices=voices)
    seconds = time.process_time() - began
    assert len(manifest) == 30_000
    assert manifest.row("r9999-de").script == "Hallo N9999"
    assert seconds < 3.0  # 100,000 scripts take less than that on an idle machine


def test_editing_one_translation_changes_that_script_alone(desk: Desk, tmp_path: Path) -> None:
    text = f'{HEADER}\na,Hi,en,"en,de,fr",Emma,Jane,Hallo,Salut\n'
    before = {row.key: row for row in desk.read(text).rows()}
    after = {row.key: row for row in desk.read(text.replace("Hallo", "Servus")).rows()}
    changed = {key for key in before if before[key].voice_hash != after[key].voice_hash}
    assert changed == {"m.a-de"}
    assert before["m.a-fr"] == after["m.a-fr"]
