"""What is forgiven, what is kept, and what is reported when a manifest is read."""

from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from upath import UPath

from akool_dagster.manifest import COLUMNS, Manifest, ManifestError, Repair, read_manifest

HEADER = "script_id,script,voice_id,avatar_id"


@pytest.fixture
def read(tmp_path: Path):
    def read_text(content: str | bytes, **options: Any) -> Manifest:
        path = tmp_path / "batch.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_manifest(path, **options)

    return read_text


@pytest.fixture
def read_table(tmp_path: Path):
    def read_columns(**columns: Any) -> Manifest:
        path = tmp_path / "batch.parquet"
        parquet.write_table(pa.table(columns), path)
        return read_manifest(path)

    return read_columns


def _words(manifest: Manifest) -> str:
    return "\n".join(str(repair) for repair in manifest.repairs)


def test_a_good_file_is_read_as_it_is(read):
    manifest = read(
        "script_id,script,voice_id,voice_sample_url,voice_url,avatar_id,avatar_url,title,language,"
        "rate,background,width,height,Customer\n"
        "a1,Hello {{Customer}}!,v1,,,x1,,First,en,95%,#ffffff,1280,720,Ada\n"
        "a2,,,,https://h.example/a.mp3?sig=1,,https://h.example/a.mov,,,,,,,\n"
    )
    first, second = manifest.rows()
    assert manifest.name == "batch"
    assert manifest.repairs == ()
    assert len(manifest) == 2
    assert manifest.keys == ["batch.a1", "batch.a2"]
    assert list(manifest.table.columns) == [*COLUMNS, "Customer"]
    assert (first.manifest, first.script_id, first.key, first.line) == (
        "batch",
        "a1",
        "batch.a1",
        2,
    )
    assert first.script == "Hello Ada!"
    assert (first.voice_id, first.avatar_id, first.title) == ("v1", "x1", "First")
    assert (first.language, first.rate_percent) == ("en", 95)
    assert (first.background, first.width, first.height) == ("#ffffff", 1280, 720)
    assert first.extra == {"Customer": "Ada"}
    assert (second.script, second.voice_id, second.avatar_id) == (None, None, None)
    assert second.voice_url == "https://h.example/a.mp3?sig=1"
    assert second.avatar_url == "https://h.example/a.mov"
    assert (second.rate_percent, second.width, second.extra) == (None, None, {})
    assert manifest.row("a2") == second
    with pytest.raises(KeyError, match="no row 'a3'"):
        manifest.row("a3")


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "read as UTF-16"),
        ("utf-32", "read as UTF-32"),
        ("cp1252", "read as Windows-1252, first in line 3"),
    ],
)
def test_encodings(read, encoding: str, words: str):
    text = f"{HEADER},city\na,Hello,v,x,\nb,Grüße aus {{{{city}}}},v,x,Köln\n"
    manifest = read(text.encode(encoding))
    assert manifest.row("b").script == "Grüße aus Köln"
    assert words in _words(manifest)
    assert bool(manifest.repairs) == bool(words)


def test_a_broken_character_between_two_blocks_is_found_in_its_place(read):
    head = f"{HEADER}\na,"
    filler = "x" * 4000
    cells = "".join(f"{filler},v,x\nr{n}," for n in range(1000))[: (1 << 20) - 1 - len(head)]
    manifest = read((head + cells).encode() + b"\xe9t\xe9,v,x\n")
    line = cells.count("\n") + 2
    assert f"read as Windows-1252, first in line {line}:" in _words(manifest)


def test_a_late_byte_that_is_not_utf8_is_found(read):
    filler = "".join(f"r{n},{'x' * 500},v,x\n" for n in range(3000))
    manifest = read((HEADER + "\n" + filler).encode() + "late,Gr\xfc\xdfe,v,x\n".encode("latin-1"))
    assert "first in line 3002" in _words(manifest)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_delimiters(read, delimiter: str):
    text = f"{HEADER}\na,'Hello; dear, all\t|',v,x\n".replace(",", delimiter).replace("'", '"')
    manifest = read(text)
    assert manifest.row("a").script == f"Hello; dear{delimiter} all\t|".replace(",", delimiter)
    assert "read with the delimiter" in _words(manifest)


def test_the_delimiter_is_the_one_that_makes_a_known_header(read):
    manifest = read(f"{HEADER},tags;of;our;own;old;system\na,Hi,v,x,1;2;3;4;5;6\n")
    assert manifest.row("a").extra == {"tags;of;our;own;old;system": "1;2;3;4;5;6"}


def test_the_delimiter_hint_of_excel(read):
    manifest = read("sep=;\r\n" + HEADER.replace(",", ";") + "\r\na;Hello;v;x\r\n")
    assert manifest.row("a").line == 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_numbers_are_those_of_an_editor(read, end: str):
    lines = [HEADER, 'a,"one', "", 'two ""quoted""",v,x', "", "b,plain,v,x", "  ", "c,last,v,x", ""]
    manifest = read(end.join(["", *lines, ""]))
    assert [row.line for row in manifest.rows()] == [3, 7, 9]
    assert manifest.row("a").script == 'one\n\ntwo "quoted"'
    changed = "line breaks of Windows or old Macs" in _words(manifest)
    assert changed is (end != "\n")
    assert Repair(6, None, "empty rows left out (3 rows: lines 6, 8, 10)") in manifest.repairs


def test_quotes_after_a_space_are_quotes(read):
    manifest = read(f'{HEADER}\na, "Hello, all", v, "x"\n')
    assert manifest.row("a").script == "Hello, all"
    assert manifest.row("a").voice_id == "v"


def test_quotes_inside_an_unquoted_cell_are_text(read):
    assert read(f'{HEADER}\na,He said "Hi",v,x\n').row("a").script == 'He said "Hi"'


def test_headers_are_matched_forgivingly(read):
    manifest = read("\ufeffScript ID,SCRIPT,voice-id,avatarid,My Column \na,Hi,v,x,y\n")
    row = manifest.row("a")
    assert (row.script, row.voice_id, row.avatar_id) == ("Hi", "v", "x")
    assert row.extra == {"My Column": "y"}
    assert {repair.column for repair in manifest.repairs} == {
        "script_id",
        "script",
        "voice_id",
        "avatar_id",
        "My Column",
    }
    assert 'header "avatarid" read as avatar_id' in _words(manifest)


def test_unknown_columns_stay_even_when_they_look_like_a_typo(read):
    manifest = read(f"{HEADER},tittle,line,key\na,Hi,v,x,T,L,K\n")
    assert manifest.row("a").extra == {"tittle": "T", "line": "L", "key": "K"}
    assert manifest.row("a").title is None


def test_nameless_empty_columns_and_surplus_empty_cells_are_dropped(read):
    manifest = read(f"{HEADER},,\na,Hi,v,x,,\nb,Hi,v,x,,,,\n")
    assert list(manifest.table.columns) == list(COLUMNS)
    assert "column 5 has neither name nor values" in _words(manifest)
    assert "surplus empty cells left out (1 row: line 3)" in _words(manifest)


def test_spaces_are_stripped_and_reported_per_column(read):
    rows = "".join(f"r{n}, Hi ,v,x\n" for n in range(5)) + "q,Hi,v\u00a0,x\n"
    manifest = read(f"{HEADER}\n{rows}")
    assert {row.script for row in manifest.rows()} == {"Hi"}
    assert manifest.row("q").voice_id == "v"
    assert manifest.repairs == (
        Repair(2, "script", "spaces at the ends removed (5 cells: lines 2, 3, 4 and 2 more)"),
        Repair(7, "voice_id", "spaces at the ends removed (1 cell: line 7)"),
    )


def test_control_characters_become_spaces(read):
    manifest = read(f"{HEADER}\na,soft\x0bbreak\x85and\x07bell\tor tab,v,x\n")
    assert manifest.row("a").script == "soft break and bell\tor tab"
    assert "control characters replaced by spaces (1 cell: line 2)" in _words(manifest)


@pytest.mark.parametrize("word", ["NA", "null", "None", "nan", "N/A", "true", "1.0", "007"])
def test_words_for_nothing_are_text_in_a_script(read, word: str):
    manifest = read(f"{HEADER},note\n001,{word},v,x,{word}\n")
    assert manifest.row("001").script == word
    assert manifest.row("001").extra == {"note": word}


@pytest.mark.parametrize(
    ("given", "voice_api", "percent", "reported"),
    [
        ("100%", "v4", 100, False),
        ("95", "v4", 95, False),
        ("95.0 %", "v4", 95, False),
        ("0.95", "v4", 95, True),
        ('"1,2"', "v4", 120, True),
        ("1", "v4", 100, True),
        ("1%", "v3", 1, False),
        ("70%", "v4", 70, False),
        ("120%", "v4", 120, False),
        ("0.3", "v3", 30, True),
    ],
)
def test_rates(read, given: str, voice_api: str, percent: int, reported: bool):
    manifest = read(f"{HEADER},rate\na,Hi,v,x,{given}\n", voice_api=voice_api)
    assert manifest.row("a").rate_percent == percent
    assert ("brought into normal form" in _words(manifest)) is reported


@pytest.mark.parametrize(
    ("given", "code"),
    [("de", "de"), ("DE", "de"), ("de-DE", "de"), ("zh_Hans_CN", "zh"), ("pt-br", "pt")],
)
def test_languages(read, given: str, code: str):
    manifest = read(f"{HEADER},language\na,Hi,v,x,{given}\nb,Hi,v,x,\nc,Hi,v,x,FR\n")
    assert manifest.row("a").language == code
    assert manifest.row("b").language is None
    assert manifest.row("c").language == "fr"
    assert (f'such as "{given}" to {code}' in _words(manifest)) is (given != code)


@pytest.mark.parametrize(
    ("given", "background"),
    [
        ("#FFF", "#ffffff"),
        ("#a1B2c3", "#a1b2c3"),
        ("ffffff", "#ffffff"),
        ("https://h.example/wall.JPG?x=1", "https://h.example/wall.JPG?x=1"),
        ("https://h.example/wall", "https://h.example/wall"),
    ],
)
def test_backgrounds(read, given: str, background: str):
    assert read(f"{HEADER},background\na,Hi,v,x,{given}\n").row("a").background == background


def test_sizes(read):
    row = read(f"{HEADER},width,height\na,Hi,v,x,1080.0,1920 px\n").row("a")
    assert (row.width, row.height) == (1080, 1920)


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:8790/media/a.mp3",
        "https://h.example/a",
        "https://h.example",
        "https://h.example/v1.2/speech?name=a.flac&sig=%2B==",
        "HTTPS://H.Example:8443/a.MP3",
        "https://[::1]:80/a.ogg",
        "https://münchen.example/größe.wav",
        "https://h.example/@me/a.m4a#t=1",
    ],
)
def test_good_links_are_kept_as_they_are(read, link: str):
    assert read(f"script_id,voice_url,avatar_id\na,{link},x\n").row("a").voice_url == link


def test_a_rate_beside_existing_speech_is_ignored_and_reported(read):
    manifest = read("script_id,voice_url,avatar_id,rate\na,https://h.example/a.mp3,x,90%\n")
    assert manifest.row("a").rate_percent is None
    assert "ignored beside voice_url" in _words(manifest)


@pytest.mark.parametrize("script", ["你好", "Привет", "नमस्ते", "٣", "🎉 ok"])
def test_scripts_without_a_latin_letter_speak(read, script: str):
    assert read(f"{HEADER}\na,{script},v,x\n").row("a").script == script


def test_templates_are_filled_once_and_only_where_they_name_a_column(read):
    manifest = read(
        f"{HEADER},title,First Name\n"
        'a,"{{ first_name }}: {{title}} {{FirstName}} {} {{}} {x} {{ }} }}{{",v,x,{{title}},{{a}}\n'
        "b,{{script_id}} & {{voice_id}},v,x,,\n"
    )
    assert manifest.row("a").script == "{{a}}: {{title}} {{a}} {} {{}} {x} {{ }} }}{{"
    assert manifest.row("b").script == "b & v"


def test_the_length_is_that_of_the_filled_script(read):
    text = "x" * 4990 + "{{name}}"
    assert len(read(f"{HEADER},name\na,{text},v,x,{'y' * 10}\n").row("a").script) == 5000
    with pytest.raises(ManifestError, match="5,001 characters"):
        read(f"{HEADER},name\na,{text},v,x,{'y' * 11}\n")


def test_parquet_types_become_text(read_table):
    manifest = read_table(
        script_id=pa.array([7, 8], pa.int64()),
        script=pa.array(["Hi {{price}}", "Ho {{price}}"]).dictionary_encode(),
        voice_id=pa.array([b"v", b"w"]),
        avatar_id=pa.array(["x", "y"], pa.large_string()),
        rate=pa.array([0.95, None], pa.float32()),
        width=pa.array([1280.0, float("nan")]),
        height=pa.array([720, None], pa.int16()),
        price=pa.array([Decimal("9.90"), Decimal("10.00")]),
        vip=pa.array([True, None]),
        day=pa.array([date(2026, 1, 5), None]),
        tags=pa.array([["a", "b"], None]),
        nothing=pa.nulls(2),
    )
    first, second = manifest.rows()
    assert (first.key, first.line, first.voice_id) == ("batch.7", 1, "v")
    assert (first.script, second.script) == ("Hi 9.9", "Ho 10")
    assert (first.rate_percent, first.width, first.height) == (95, 1280, 720)
    assert first.extra == {"price": "9.9", "vip": "true", "day": "2026-01-05", "tags": '["a", "b"]'}
    assert second.extra == {"price": "10"}
    assert "1.0 as 1 (1 cell: row 1)" in _words(manifest)


def test_empty_rows_of_a_parquet_file_are_left_out(read_table):
    cells = {name: ["a", " ", None, "b"] for name in HEADER.split(",")}
    manifest = read_table(**cells)
    assert [(row.script_id, row.line) for row in manifest.rows()] == [("a", 1), ("b", 4)]
    assert "empty rows left out (2 rows: rows 2, 3)" in _words(manifest)


def test_an_index_of_pandas_is_left_out_and_float_ids_are_repaired(tmp_path: Path):
    frame = pd.DataFrame(
        {"script_id": [1.0, 2.0], "script": "Hi", "voice_id": "v", "avatar_id": "x"}, index=[5, 9]
    )
    frame.to_parquet(tmp_path / "frame.parquet")
    manifest = read_manifest(tmp_path / "frame.parquet")
    assert manifest.keys == ["frame.1", "frame.2"]
    assert [row.line for row in manifest.rows()] == [1, 2]
    assert manifest.row("1").extra == {}
    assert "index that pandas stored" in _words(manifest)


def test_remote_files_are_read(tmp_path: Path):
    path = UPath("memory://bucket/remote.csv")
    path.write_text(f"{HEADER}\na,Hi,v,x\n")
    assert read_manifest(path).row("a").key == "remote.a"
    sink = BytesIO()
    parquet.write_table(pa.table({n: ["a"] for n in HEADER.split(",")}), sink)
    path = UPath("memory://bucket/REMOTE.PARQUET")
    path.write_bytes(sink.getvalue())
    assert read_manifest(path).row("a").key == "REMOTE.a"
