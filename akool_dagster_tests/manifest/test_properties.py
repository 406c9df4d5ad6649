"""For any text and any bytes: what goes in comes out, or a `ManifestError` says why not."""

import csv
import hashlib
import io
import json
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from upath import UPath

from akool_dagster.manifest import Manifest, ManifestError, read_manifest, read_scripts
from akool_dagster.manifest.rows import hash_video, hash_voice

HEADER = ("script_id", "script", "voice_id", "avatar_id", "note")
# Any text that UTF-8 can hold; control characters are cleaned and have tests of their own.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\u200b\u2060"),
    max_size=60,
)
SPACES = st.text(" \t\n\u00a0", max_size=2)


def _good_parquet() -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table({name: ["a", "b"] for name in HEADER}), sink)
    return sink.getvalue()


GOOD_PARQUET = _good_parquet()


def _read(data: bytes, *, suffix: str) -> Manifest:
    path = UPath(f"memory://fuzz/any{suffix}")
    path.write_bytes(data)
    return read_manifest(path)


def _speakable(text: str) -> bool:
    damaged = re.search("\ufffd|Ã|â€", text)
    formula = text.strip().startswith("=") or "#" in text
    return any(c.isalpha() for c in text) and not (damaged or formula or "{{" in text)


@given(
    texts=st.lists(st.tuples(SPACES, TEXTS.filter(_speakable), SPACES, TEXTS), min_size=1),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_text_survives_csv_and_parquet(texts, delimiter, end, quoting, encoding):
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(HEADER)
    lines = []
    for number, (before, script, after, note) in enumerate(texts):
        lines.append(len(re.findall(r"\r\n|\r|\n", sink.getvalue())) + 1)
        writer.writerow((f"r{number}", before + script + after, "v", "x", note))
    manifest = _read(sink.getvalue().encode(encoding), suffix=".csv")
    rows = list(manifest.rows())
    assert [row.script for row in rows] == [script.strip() for _, script, _, _ in texts]
    assert [row.extra.get("note", "") for row in rows] == [note.strip() for *_, note in texts]
    assert [row.line for row in rows] == lines
    copy = UPath("memory://fuzz/copy.parquet")
    copy.write_bytes(manifest.to_parquet_bytes())
    assert list(read_scripts(copy).rows()) == rows


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"PAR1", b"\xff\xfe", b"a,b\n"]))
def test_any_bytes_give_a_manifest_error(suffix: str, data: bytes, start: bytes):
    with pytest.raises(ManifestError) as caught:
        _read(start + data, suffix=suffix)
    assert caught.value.problems
    assert all(problem.message and problem.fix for problem in caught.value.problems)


@given(place=st.integers(0, len(GOOD_PARQUET) - 1), byte=st.integers(0, 255))
def test_a_parquet_file_with_one_wrong_byte_gives_rows_or_a_manifest_error(place: int, byte: int):
    data = GOOD_PARQUET[:place] + bytes([byte]) + GOOD_PARQUET[place + 1 :]
    try:
        assert len(_read(data, suffix=".parquet"))
    except ManifestError as error:
        assert error.problems


# Pieces that mean something to the reader, in any order.
PIECES = st.sampled_from(
    [
        '"',
        '""',
        ",",
        ";",
        "\n",
        "\r\n",
        "\r",
        " ",
        "a",
        "{{",
        "}}",
        "note",
        "\x00",
        "é",
        "=",
        "#REF!",
    ]
)


@given(pieces=st.lists(PIECES, max_size=40))
def test_any_rows_below_a_good_header_give_rows_or_a_manifest_error(pieces: list[str]):
    text = ",".join(HEADER) + "\n" + "".join(pieces)
    try:
        manifest = _read(text.encode(), suffix=".csv")
    except ManifestError as error:
        lines = text.count("\n") + text.count("\r") + 1
        assert all((problem.line or 1) <= lines for problem in error.problems)
        assert str(error)
    else:
        assert len(list(manifest.rows())) == len(manifest) > 0


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
MAYBE = st.none() | ANY_TEXT


def _sha256_of(*content: object) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@given(script=ANY_TEXT, voice=ANY_TEXT, language=MAYBE, rate=st.none() | st.integers(1, 120))
def test_the_hash_of_a_voice_is_that_of_its_json(script, voice, language, rate):
    rest = {"language": language, "rate_percent": rate}
    for way, ways in (("voice_id", (voice, None)), ("voice_sample_url", (None, voice))):
        expected = _sha256_of("voice-1", script, way, voice, language, rate)
        assert hash_voice(script, *ways, None, **rest) == expected
    expected = _sha256_of("voice-1", None, "voice_url", voice, None, None)
    assert hash_voice(None, None, None, voice, **rest) == expected


@given(avatar=ANY_TEXT, background=MAYBE, side=st.none() | st.integers(2, 7680))
def test_the_hash_of_a_video_is_that_of_its_json(avatar, background, side):
    rest = {"background": background, "width": side, "height": side}
    for way, ways in (("avatar_id", (avatar, None)), ("avatar_url", (None, avatar))):
        expected = _sha256_of("video-1", "0" * 64, way, avatar, background, side, side)
        assert hash_video("0" * 64, *ways, **rest) == expected
