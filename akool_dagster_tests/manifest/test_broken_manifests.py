"""A corpus of broken manifests: each gets the right diagnosis, and nothing passes."""

import gzip
import pickle
import zipfile
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest
from pyarrow import parquet
from upath import UPath

from akool_dagster.manifest import ManifestError, manifest_name, read_manifest

HEADER = "script_id,script,voice_id,avatar_id\n"
GOOD = "good,Hello there,Emma_en-US,Jane_in_Blue_2024\n"
WIDE = "script_id,script,voice_id,voice_sample_url,voice_url,avatar_id,avatar_url\n"
OPTIONS = "script_id,script,voice_id,avatar_id,language,rate,background,width,height\n"


@dataclass(frozen=True)
class Case:
    """A broken file and the one problem that must be reported."""

    name: str
    content: str | bytes
    line: int | None
    column: str | None
    message: str
    fix: str
    suffix: str = ".csv"
    voice_api: Literal["v4", "v3"] = "v4"
    value: str | None = None


def _row(row: str) -> str:
    return HEADER + GOOD + row + "\n"


def _wide(row: str) -> str:
    return f"{WIDE}ok,Hi,v,,,a,\n{row}\n"


def _option(row: str) -> str:
    return f"{OPTIONS}ok,Hi,v,a,,,,,\nx,Hi,v,a,{row}\n"


def _parquet(**columns: Any) -> bytes:
    sink = BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _columns(**changed: Any) -> dict[str, Any]:
    good = {"script_id": ["a", "b"], "script": ["Hi"] * 2, "voice_id": ["v"] * 2}
    return {**good, "avatar_id": ["x"] * 2, **changed}


def _workbook() -> bytes:
    sink = BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return sink.getvalue()


LATIN = "a2,Grüße und schöne Tage aus Köln,Anna_de-DE,Jane_in_Blue_2024"
CYRILLIC = "a2,Добро пожаловать в наш новый магазин,Dmitri_ru-RU,Jane_in_Blue_2024"
JAPANESE = "a2,ようこそ、新しい製品をご紹介します。,Sakura_ja-JP,Jane_in_Blue_2024"
PARQUET = _parquet(**_columns())

FILES = [
    Case("empty", b"", None, None, "file is empty", "header line"),
    Case("blank", b"\xef\xbb\xbf \r\n\r\n", None, None, "nothing but blanks", "header line"),
    Case("header only", HEADER, None, None, "no rows", "one row for each video"),
    Case("only empty rows", HEADER + ",,,\n\n,,,\n", None, None, "no rows", "one row"),
    Case("xlsx as csv", _workbook(), None, None, "Excel workbook", "CSV UTF-8"),
    Case("xls as csv", b"\xd0\xcf\x11\xe0" + bytes(50), None, None, "old Excel", "CSV UTF-8"),
    Case("html", b"\n<!DOCTYPE html><html></html>", None, None, "web page", "CSV file itself"),
    Case("xml", b"<?xml version='1.0'?><Error/>", None, None, "web page", "CSV file itself"),
    Case("json", b'{"script_id": 1}', None, None, "JSON", "convert"),
    Case("pdf", b"%PDF-1.7 ...", None, None, "PDF", "CSV UTF-8"),
    Case("gzip", gzip.compress(HEADER.encode()), None, None, "gzip", "unpack"),
    Case("parquet as csv", PARQUET, None, None, "a Parquet file", ".parquet"),
    Case("csv as parquet", HEADER + GOOD, None, None, "not a Parquet", ".csv", ".parquet"),
    Case("parquet empty", b"", None, None, "file is empty", "again", ".parquet"),
    Case("parquet cut", PARQUET[:-9], None, None, "damaged", "cut off", ".parquet"),
    Case("parquet bytes", b"\x89PNG\r\n\x1a\n", None, None, "not a Par", "again", ".parquet"),
    Case("nul", (_row("a2,Hi\0there,v,a")).encode(), 3, None, "NUL bytes", "CSV UTF-8"),
    Case("utf-16 bare", HEADER.encode("utf-16-le"), 1, None, "UTF-16 without", "CSV UTF-8"),
    Case("utf-16 cut", (HEADER + GOOD).encode("utf-16")[:-1], None, None, "UTF-16", "CSV UTF-8"),
    Case(
        "utf-8 bom, latin",
        b"\xef\xbb\xbf" + _row(LATIN).encode("cp1252"),
        None,
        None,
        "UTF-8-SIG",
        "CSV UTF-8",
    ),
    Case("cyrillic", _row(CYRILLIC).encode("cp1251"), 3, None, "neither UTF-8", "CSV UTF-8"),
    Case(
        "mixed",
        (_row("a2,Größe,v,x")).encode() + b"a3,Gr\xfc\xdfe,v,x\n",
        4,
        None,
        "not from here on",
        "CSV UTF-8",
    ),
    Case("japanese", _row(JAPANESE).encode("cp932"), 3, None, "neither UTF-8", "CSV UTF-8"),
]

HEADERS = [
    Case("no header", "a1,Hello,Emma,Jane\n", 1, None, "no column of a manifest", "first line"),
    Case(
        "typo of script",
        HEADER.replace("script,", "scrpit,") + GOOD,
        1,
        "script",
        "required column script ",
        'rename the column "scrpit" to script',
    ),
    Case(
        "no script_id",
        "script,voice_id,avatar_id\nHi,v,a\n",
        1,
        "script_id",
        "script_id is missing",
        "add the column script_id",
    ),
    Case(
        "no voice",
        "script_id,script,avatar_id\na,Hi,x\n",
        1,
        None,
        "voice_id or voice_sample_url or voice_url is missing",
        "add the column voice_id",
    ),
    Case(
        "voice typo",
        "script_id,script,avatar_id,voiceid2\na,Hi,x,y\n",
        1,
        None,
        "is missing",
        'rename the column "voiceid2" to voice_id',
    ),
    Case(
        "no avatar",
        "script_id,script,voice_id\na,Hi,x\n",
        1,
        None,
        "avatar_id or avatar_url is missing",
        "add the column avatar_id",
    ),
    Case(
        "doubled",
        "script_id,script,script,voice_id,avatar_id\na,Hi,Hi,v,x\n",
        1,
        "script",
        "same column twice",
        "rename or delete",
    ),
    Case(
        "doubled forgiving",
        "script_id,Script ID,script,voice_id,avatar_id\na,b,Hi,v,x\n",
        1,
        "script_id",
        "same column twice",
        "rename or delete",
    ),
    Case(
        "doubled extra",
        HEADER.strip() + ",City,city\n" + GOOD.strip() + ",a,b\n",
        1,
        "city",
        '"City" and "city"',
        "rename or delete",
    ),
    Case(
        "nameless",
        HEADER.strip() + ",\n" + GOOD.strip() + ",\nb,Hi,v,a,lost\n",
        3,
        None,
        "column 5 has values but no name",
        "give column 5 a name",
        value='"lost"',
    ),
]

RECORDS = [
    Case(
        "too many",
        _row("a2,Hello, dear friend,Emma,Jane"),
        3,
        None,
        "5 cells, the header 4",
        "double quotes",
        value='"Jane"',
    ),
    Case(
        "too few",
        _row("a2,Hello,Emma"),
        3,
        None,
        "3 cells, the header 4",
        "comma also for an empty",
    ),
    Case(
        "after line breaks",
        HEADER + 'a1,"one\n\ntwo\r\nthree",v,x\n\na2,Hi\n',
        7,
        None,
        "2 cells",
        "comma",
    ),
    Case(
        "quote never closed",
        HEADER + 'a1,"one\ntwo",v,x\na2,"Hello,v,x\n',
        4,
        None,
        "closing quote is missing",
        "close the text",
    ),
    Case(
        "second cell not closed",
        HEADER + 'a1,"o\nne","t\na ""wo\n',
        3,
        None,
        "closing quote is missing",
        "close the text",
    ),
    Case(
        "closed by another row",
        HEADER + 'a1,"Hello,v,x\na2,Hi,v,x\na3,"Hi",v,x\n',
        2,
        None,
        "ends in line 4",
        "close the text",
    ),
    Case(
        "closed before another quote",
        HEADER + 'a1,"Hello,v,x\na2" or not,"Hi",x\n',
        2,
        None,
        "ends in line 3",
        "close the text",
    ),
    Case(
        "single inner quote",
        _row('a2,"He said "Hi" to me",v,x'),
        3,
        None,
        "ends in line 3",
        'written twice: ""',
    ),
    Case(
        "endless quote",
        HEADER + 'a1,"' + "word " * 30_000 + "\n",
        2,
        None,
        "longer than 131,072",
        "close",
    ),
]

IDS = [
    Case("no id", _row(",Hi,v,a"), 3, "script_id", "no script_id", "name of its own"),
    Case("space in id", _row("my video,Hi,v,a"), 3, "script_id", 'holds " "', "write my-video"),
    Case("umlaut in id", _row("grüße,Hi,v,a"), 3, "script_id", 'holds "ü"', "write gr-e"),
    Case("slash in id", _row("../up,Hi,v,a"), 3, "script_id", 'holds "."', "write up"),
    Case("decimals", _row("1.0,Hi,v,a"), 3, "script_id", 'holds "."', "write 1"),
    Case("invisible in id", _row("a\u200bb,Hi,v,a"), 3, "script_id", "U+200B", "write a-b"),
    Case("long id", _row(f"{'x' * 65},Hi,v,a"), 3, "script_id", "65 characters", "write xxx"),
    Case("rounded id", _row("1.23457E+11,Hi,v,a"), 3, "script_id", "rounded", "as text"),
    Case("formula id", _row("=A1,Hi,v,a"), 3, "script_id", "formula", "paste the values"),
    Case("broken formula id", _row("#REF!,Hi,v,a"), 3, "script_id", "formula", "paste the val"),
    Case("double id", _row("good,Hi,v,a"), 3, "script_id", "taken by line 2", "name of its own"),
    Case("double by case", _row("GOOD,Hi,v,a"), 3, "script_id", 'line 2 as "good"', "of its own"),
]

WAYS = [
    Case("no voice", _wide("x,Hi,,,,a,"), 3, "voice_id", "no voice", "fill voice_id"),
    Case("nothing", _wide("x,,,,,a,"), 3, "script", "nothing to speak", "fill script"),
    Case(
        "blank script",
        _wide('x," \t\u3000",v,,,a,'),
        3,
        "script",
        "voice_id but no script",
        "write",
    ),
    Case(
        "sample, no script",
        _wide("x,,,http://h/a.mp3,,a,"),
        3,
        "script",
        "voice_sample_url but no",
        "write",
    ),
    Case(
        "script and audio",
        _wide("x,Hi,,,http://h/a.mp3,a,"),
        3,
        "script",
        "both script and voice_url",
        "keep one",
    ),
    Case(
        "two voices",
        _wide("x,Hi,v,,http://h/a.mp3,a,"),
        3,
        "voice_url",
        "both voice_id and voice_url",
        "keep one",
        value='"http://h/a.mp3"',
    ),
    Case(
        "three voices",
        _wide("x,Hi,v,http://h/b.mp3,http://h/a.mp3,a,"),
        3,
        "voice_url",
        "voice_id, voice_sample_url and voice_url",
        "empty the others",
    ),
    Case("no avatar", _wide("x,Hi,v,,,,"), 3, "avatar_id", "no avatar", "fill avatar_id"),
    Case(
        "two avatars",
        _wide("x,Hi,v,,,a,http://h/a.png"),
        3,
        "avatar_url",
        "both avatar_id and avatar_url",
        "keep one",
    ),
    Case(
        "link as avatar id",
        _wide("x,Hi,v,,,https://h/a.png,"),
        3,
        "avatar_id",
        "holds a link",
        "avatar_url",
    ),
    Case(
        "link as voice id",
        _wide("x,Hi,https://h/a.mp3,,,a,"),
        3,
        "voice_id",
        "holds a link",
        "voice_sample_url",
    ),
    Case(
        "null as voice id", _wide("x,Hi,NULL,,,a,"), 3, "voice_id", "word for nothing", "leave the"
    ),
    Case("n/a as avatar id", _wide("x,Hi,v,,,#N/A,"), 3, "avatar_id", "formula", "paste"),
    Case("rounded avatar id", _wide("x,Hi,v,,,6.65E+23,"), 3, "avatar_id", "rounded", "as text"),
    Case(
        "broken avatar id", _wide('x,Hi,v,,,"a\nb",'), 3, "avatar_id", "line break", "one avatar_id"
    ),
]


def _sound(link: str, message: str, fix: str, **more: Any) -> Case:
    return Case(f"voice {link}", _wide(f'x,,,,"{link}",a,'), 3, "voice_url", message, fix, **more)


def _avatar(link: str, message: str, fix: str, **more: Any) -> Case:
    return Case(
        f"avatar {link}", _wide(f'x,Hi,v,,,,"{link}"'), 3, "avatar_url", message, fix, **more
    )


LINKS = [
    _sound("s3://bucket/a.mp3", "no link that AKOOL can fetch", "upload the file"),
    _sound("C:\\sounds\\a.mp3", "no link that AKOOL can fetch", "upload the file"),
    _sound("cdn.example.com/a.mp3", "does not begin with", "https://"),
    _sound("https:/h/a.mp3", "does not begin with", "https://"),
    _sound("https://h/my file.mp3", "space", "%20"),
    _sound("https:///a.mp3", "no valid host", "https://host/path"),
    _sound("https://h..x/a.mp3", "no valid host", "https://host/path"),
    _sound("https://[::1/a.mp3", "cannot be read", "copy it again"),
    _sound("https://h:99999/a.mp3", "cannot be read", "copy it again"),
    _sound("https://h\\a.mp3", "no valid host", "https://host"),
    _sound("https://h/b\\a.mp3", "backslash", "/ in place"),
    _sound("https://h/a.flac", "ends in .flac", ".mp3"),
    _sound("=HYPERLINK(A1)", "formula", "paste"),
    _sound(
        "https://me:pw@h/a.mp3?sig=1",
        "user name or password",
        "signed",
        value='"https://***@h/a.mp3?..."',
    ),
    _avatar("https://h/a.gif", "ends in .gif", ".png"),
    _avatar("https://h/a.PSD?x=1", "ends in .PSD", ".png"),
    _avatar("https://drive.google.com/file/d/1/view", "shows the file", "downloads the file"),
    _avatar("https://www.dropbox.com/s/1/a.png?dl=0", "shows the file", "dl=1"),
    _avatar("https://youtu.be/abc", "shows the file", "upload the file"),
]

OPTION_CASES = [
    Case("language name", _option("German,,,,"), 3, "language", "ISO 639-1", "write de"),
    Case("language country", _option("jp,,,,"), 3, "language", "ISO 639-1", "write ja"),
    Case("language unknown", _option("xx,,,,"), 3, "language", "ISO 639-1", "two letters"),
    Case("rate fast", _option(",150%,,,"), 3, "rate", "150%; AKOOL's voice API v4", "70% to 120%"),
    Case("rate slow", _option(",0.5,,,"), 3, "rate", "is 50%", "70% to 120%"),
    Case(
        "rate v3",
        _option(",110%,,,"),
        3,
        "rate",
        "v3 speaks at 1% to 100%",
        "1% to 100%",
        voice_api="v3",
    ),
    Case("rate word", _option(",fast,,,"), 3, "rate", "not a percentage", "such as 100%"),
    Case("rate broken", _option(",97.5%,,,"), 3, "rate", "not a whole percentage", "whole"),
    Case("rate formula", _option(",=B2,,,"), 3, "rate", "formula", "paste"),
    Case("colour word", _option(",,white,,"), 3, "background", "neither a colour", "#ffffff"),
    Case("colour digits", _option(",,#12345,,"), 3, "background", "neither a colour", "#ffffff"),
    Case(
        "background video", _option(",,https://h/a.mp4,,"), 3, "background", "ends in .mp4", ".png"
    ),
    Case("width alone", _option(",,,1280,"), 3, "height", "width but no height", "fill height"),
    Case("height alone", _option(",,,,720"), 3, "width", "height but no width", "fill width"),
    Case("odd", _option(",,,1281,720"), 3, "width", "odd", "write 1280"),
    Case("zero", _option(",,,1280,0"), 3, "height", "outside 2 to 7680", "even whole number"),
    Case("large", _option(",,,8000,720"), 3, "width", "outside 2 to 7680", "even whole number"),
    Case("not a size", _option(",,,wide,720"), 3, "width", "not a number", "such as 1080"),
]


def _script(text: str) -> str:
    return f'script_id,script,voice_id,avatar_id,name\nok,Hi,v,a,Ada\nx,"{text}",v,a,\n'


SCRIPTS = [
    Case("long", _script("x" * 5001), 3, "script", "5,001 characters", "shorten"),
    Case("silent", _script("... !"), 3, "script", "no letter and no digit", "write"),
    Case("silent picture", _script("🎉 ✨"), 3, "script", "no letter and no digit", "write"),
    Case("formula", _script("=B2&B3"), 3, "script", "formula", "paste"),
    Case("formula error", _script("Hi #NAME? there"), 3, "script", "formula", "paste"),
    Case("lost letters", _script("Caf\ufffd"), 3, "script", "damaged", "UTF-8"),
    Case("read wrongly", _script("GrÃ¼ÃŸe, itâ€™s"), 3, "script", "damaged", "UTF-8"),
    Case(
        "unknown column",
        _script("Hi {{nmae}}"),
        3,
        "script",
        "column nmae, which the file",
        "write {{name}}",
        value='"{{nmae}}"',
    ),
    Case("far column", _script("Hi {{qqq}}"), 3, "script", "column qqq", "add the column qqq"),
    Case("empty value", _script("Hi {{name}}"), 3, "script", "name, which is empty", "fill name"),
    Case("itself", _script("Hi {{script}}"), 3, "script", "uses itself", "take {{script}} out"),
]

PARQUETS = [
    Case(
        "parquet no rows",
        _parquet(**{k: pa.array([], pa.string()) for k in _columns()}),
        None,
        None,
        "no rows",
        "one row",
        ".parquet",
    ),
    Case(
        "list as script",
        _parquet(**_columns(script=[None, ["a"]])),
        2,
        "script",
        "list<",
        "type string",
        ".parquet",
    ),
    Case(
        "bytes as script",
        _parquet(**_columns(script=[b"\xff", b"\xff"])),
        None,
        "script",
        "binary",
        "type string",
        ".parquet",
    ),
    Case(
        "double in parquet",
        _parquet(**_columns(script_id=["a", "A"])),
        2,
        "script_id",
        'row 1 as "a"',
        "name",
        ".parquet",
    ),
    Case(
        "float id",
        _parquet(**_columns(script_id=[1.0, 2.5])),
        2,
        "script_id",
        'holds "."',
        "write 2-5",
        ".parquet",
    ),
    Case(
        "infinite rate",
        _parquet(**_columns(rate=[1.0, float("inf")])),
        2,
        "rate",
        "not a perc",
        "write",
        ".parquet",
    ),
    Case(
        "decimal rate",
        _parquet(**_columns(rate=[None, Decimal("9.50")])),
        2,
        "rate",
        "not a whole",
        "write",
        ".parquet",
        value='"9.5"',
    ),
    Case(
        "no avatar in parquet",
        _parquet(script_id=["a"], script=["b"], voice_id=["c"]),
        None,
        None,
        "avatar_id or avatar_url is missing",
        "add",
        ".parquet",
    ),
]

CASES = [
    *(FILES + HEADERS + RECORDS + IDS + WAYS + LINKS + OPTION_CASES + SCRIPTS + PARQUETS),
]


def _write(folder: Path, case: Case) -> Path:
    path = folder / f"broken{case.suffix}"
    content = case.content
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:40])
def test_the_diagnosis_names_place_cause_and_fix(case: Case, tmp_path: Path):
    path = _write(tmp_path, case)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, voice_api=case.voice_api)
    problems = caught.value.problems
    assert len(problems) == 1, str(caught.value)
    problem = problems[0]
    assert (problem.file, problem.line, problem.column) == (path.name, case.line, case.column)
    assert case.message in problem.message
    assert case.fix in problem.fix
    assert case.value is None or problem.value == case.value
    assert problem.message in str(caught.value)
    assert problem.fix in str(caught.value)


def test_the_corpus_is_large():
    assert len({case.name for case in CASES}) >= 100


def test_all_problems_of_a_file_come_in_one_report(tmp_path: Path):
    path = tmp_path / "many.csv"
    path.write_text(
        "script_id,script,voice_id,voice_url,avatar_id,rate\n"
        "a b,Hi,v,,x,300%\n"
        "ok,Hi,v,,x,\n"
        'q,"open,v,,x,\n'
        "OK,Hi {{no}},v,http://h/a.mp3,,\n"
        "short,Hi\n"
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    places = {(problem.line, problem.column) for problem in caught.value.problems}
    assert places == {
        (2, "script_id"),
        (2, "rate"),
        (4, None),
        (5, "script_id"),
        (5, "script"),
        (5, "voice_url"),
        (5, "avatar_id"),
        (6, None),
    }
    lines = [problem.line for problem in caught.value.problems]
    assert lines == sorted(lines, key=lambda line: line or 0)


def test_rows_after_a_bad_quote_are_checked_and_its_echoes_are_not_reported(tmp_path: Path):
    path = tmp_path / "quotes.csv"
    path.write_text(HEADER + 'a1,"He said "one\ntwo\nthree",v,x\na b,Hi,v,x\nlast,Hi,v\n')
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    places = [(problem.line, problem.column) for problem in caught.value.problems]
    assert places == [(2, None), (5, "script_id"), (6, None)]


def test_a_file_full_of_bad_quotes_ends_soon(tmp_path: Path):
    path = tmp_path / "quotes.csv"
    path.write_text(HEADER + 'a,"b"c,d,e\n' * 1000)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert len(caught.value.problems) == 21
    assert "not read" in caught.value.problems[-1].message


def test_a_long_report_is_cut_and_says_so(tmp_path: Path):
    path = tmp_path / "many.csv"
    path.write_text(HEADER + "".join(f"bad id {n},Hi,v,a\n" for n in range(1234)))
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    error = caught.value
    assert len(error.problems) == 1234
    assert str(error).count("fix:") == 50
    assert str(error).endswith("... and 1,184 more")
    assert error.to_markdown().count("\n| line ") == 50
    assert "1,184 more" in error.to_markdown()


def test_markdown_keeps_one_row_per_problem_whatever_the_value(tmp_path: Path):
    path = tmp_path / "odd.csv"
    path.write_text(_row('"a|b\n<b>",Hi,v,a'))
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    rows = caught.value.to_markdown().splitlines()
    assert len(rows) == 3
    assert rows[2].replace("\\|", "").count("|") == 5
    assert "<b>" not in rows[2]


def test_secrets_of_links_stay_out_of_reports(tmp_path: Path):
    path = tmp_path / "secret.csv"
    path.write_text(
        WIDE
        + "a,,,,https://me:S3CRET@h/a.mp3,x,\n"
        + "b,,,,https://h/a.flac?sig=S3CRET,x,\n"
        + "c,,,,me:S3CRET@h/a.mp3,x,\n"
        + "d,,,,cdn.example.com/a.mp3?sig=S3CRET,x,\n"
        + "e,Hi,v,,https://h/a.mp3?sig=S3CRET,x,\n"
        + "f,Hi,v,,x,https://me:S3CRET@h/a.png,,https://h/a.png?sig=S3CRET\n"
        + "g,Hi,https://h/a.mp3?sig=S3CRET,,,x,\n"
    )
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert len(caught.value.problems) >= 7
    for text in (str(caught.value), repr(caught.value), caught.value.to_markdown()):
        assert "S3CRET" not in text


def test_the_error_survives_pickling(tmp_path: Path):
    path = tmp_path / "bad.csv"
    path.write_text(_row("a b,Hi,v,a"))
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.problems == caught.value.problems


@pytest.mark.parametrize("name", ["my videos.csv", "a.b.csv", "größe.parquet", f"{'x' * 65}.csv"])
def test_a_name_that_cannot_be_a_partition_is_refused_before_the_file_is_read(name: str):
    with pytest.raises(ManifestError, match="64 letters") as caught:
        read_manifest(Path("nowhere") / name)
    assert caught.value.problems[0].fix.startswith("rename it to ")
    with pytest.raises(ManifestError):
        manifest_name(Path(name))


def test_files_that_cannot_be_read_are_errors(tmp_path: Path):
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(tmp_path / "missing.csv")
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(UPath("memory://nowhere/missing.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ManifestError, match="folder"):
        read_manifest(tmp_path / "folder.csv")
    with pytest.raises(ManifestError, match=r"not in \.xlsx"):
        read_manifest(tmp_path / "sheet.xlsx")
    with pytest.raises(ManifestError, match="not in nothing"):
        read_manifest(tmp_path / "sheet")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "loop.csv")
