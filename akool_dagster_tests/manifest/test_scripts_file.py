"""The checked copy of a manifest, and the hashes in it."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from upath import UPath

from akool_dagster import manifest as manifest_package
from akool_dagster.manifest import (
    Manifest,
    ManifestError,
    read_manifest,
    read_rows,
    read_script_keys,
    read_scripts,
    write_scripts,
)

TEXT = (
    "Script ID;script;voice_id;voice_sample_url;voice_url;avatar_id;avatar_url;title;language;"
    "rate;background;width;height;line;key;voice_hash;Größe\n"
    "b;Hello {{line}};v;;;x;;T;de-DE;0.95;#FFF;1280;720;L;K;H;gross\n"
    '\na;"two\nlines";;https://h/s.wav;;;https://h/a.mp4;;;;;;;;;;\n'
    "c;;;;https://h/a.mp3;x;;;;;;;;;;;\n"
)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    path = tmp_path / "batch.csv"
    path.write_text(TEXT, encoding="utf-8")
    return read_manifest(path)


def test_nothing_is_lost_on_the_way_through_parquet(manifest: Manifest, tmp_path: Path):
    path = UPath(tmp_path / "scripts" / "batch.parquet")
    write_scripts(manifest, path)
    again = read_scripts(path)
    assert list(again.rows()) == list(manifest.rows())
    assert [row.line for row in again.rows()] == [2, 4, 6]
    assert again.row("b").extra["line"] == "L"
    assert again.table.equals(manifest.table)
    assert again.table.dtypes.equals(manifest.table.dtypes)
    assert again.table.index.equals(manifest.table.index)
    assert again.hashes.equals(manifest.hashes)
    assert (again.name, again.repairs) == (manifest.name, manifest.repairs)
    assert str(again.path) == str(manifest.path)
    assert again.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert again.to_parquet_bytes() == manifest.to_parquet_bytes()


def test_the_file_is_plain_parquet_for_other_programs(manifest: Manifest, tmp_path: Path):
    path = tmp_path / "batch.parquet"
    path.write_bytes(manifest.to_parquet_bytes())
    table = parquet.read_table(path)
    assert table.schema.names[:3] == ["key", "line", "script_id"]
    assert table.schema.names[-2:] == ["voice_hash", "video_hash"]
    assert table["key"].to_pylist() == ["batch.b", "batch.a", "batch.c"]
    assert table["line"].to_pylist() == [2, 4, 6]
    assert table["script"].to_pylist() == ["Hello L", "two\nlines", None]
    assert len(set(table.schema.names)) == len(table.schema.names)
    assert table["video_hash"].to_pylist() == [row.video_hash for row in manifest.rows()]


def test_many_rows_keep_their_order(tmp_path: Path):
    path = tmp_path / "many.csv"
    ids = [f"r{(n * 7919) % 25_013}" for n in range(25_000)]
    lines = "".join(f'{i},"Hi\n{i}",v,x\n' for i in ids)
    path.write_text("script_id,script,voice_id,avatar_id\n" + lines)
    manifest = read_manifest(path)
    (tmp_path / "many.parquet").write_bytes(manifest.to_parquet_bytes())
    rows = list(read_scripts(tmp_path / "many.parquet").rows())
    assert [row.script_id for row in rows] == ids
    assert [row.line for row in rows] == [2 + 2 * n for n in range(25_000)]
    assert all(row.script == f"Hi\n{row.script_id}" for row in rows)
    assert len({row.voice_hash for row in rows}) == 25_000


def test_rows_are_those_of_the_manifest(manifest: Manifest, tmp_path: Path):
    path = UPath(tmp_path / "scripts" / "batch.parquet")
    write_scripts(manifest, path)
    rows = {row.key: row for row in manifest.rows()}
    assert read_rows(path) == rows
    assert list(read_rows(path)) == list(rows) == manifest.keys
    assert read_rows(path, keys=["batch.c", "batch.b", "batch.gone", "b"]) == {
        key: rows[key] for key in ("batch.b", "batch.c")
    }
    assert read_rows(path, keys=["batch.gone"]) == read_rows(path, keys=()) == {}


def test_a_few_of_many_rows_come_in_the_order_of_the_manifest(tmp_path: Path):
    path = tmp_path / "many.csv"
    lines = "".join(f"r{n},Hi {n},v,x\n" for n in range(9_000, 0, -1))
    path.write_text("script_id,script,voice_id,avatar_id\n" + lines)
    manifest = read_manifest(path)
    write_scripts(manifest, tmp_path / "many.parquet")
    wanted = [f"many.r{n}" for n in (1, 2, 3_000, 4_000, 6_999, 7_000, 7_001, 9_000)]
    rows = read_rows(tmp_path / "many.parquet", keys=set(wanted))
    assert list(rows) == wanted[::-1]
    assert all(row == manifest.row(row.script_id) for row in rows.values())


WITHOUT_PANDAS = {
    "import akool_dagster.manifest": ("pandas", "numpy", "pyarrow"),
    "import akool_dagster.manifest.avatars_file": ("pandas", "numpy", "pyarrow"),
    "from akool_dagster.manifest.scripts import read_rows, read_script_keys as keys_of": (
        "pandas",
    ),
}


@pytest.mark.parametrize("line", WITHOUT_PANDAS)
def test_what_a_run_of_one_row_needs_does_without_pandas(
    manifest: Manifest, tmp_path: Path, line: str
):
    path = tmp_path / "batch.parquet"
    write_scripts(manifest, path)
    use = (
        f"path = Path({str(path)!r}); few = read_rows(path, keys=['batch.a']); "
        "assert [*few] == ['batch.a'] and [*read_rows(path)] == keys_of(path)"
    )
    program = (
        f"import sys; from pathlib import Path\n{line}\n"
        f"{use if 'read_rows' in line else ''}\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True
    )
    assert not set(done.stdout.split()) & set(WITHOUT_PANDAS[line])


def test_the_package_has_only_the_names_that_it_tells():
    with pytest.raises(AttributeError, match="has no attribute 'read_everything'"):
        _ = manifest_package.read_everything  # type: ignore[attr-defined]
    assert all(hasattr(manifest_package, name) for name in manifest_package.__all__)


READERS = [read_scripts, read_rows, read_script_keys]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 and more", b"script_id\n"])
def test_a_broken_copy_is_an_error(tmp_path: Path, content: bytes, read: Callable[[Path], object]):
    (tmp_path / "batch.parquet").write_bytes(content)
    with pytest.raises(ManifestError, match="materialize script_manifests"):
        read(tmp_path / "batch.parquet")


def test_a_foreign_parquet_file_is_no_copy(tmp_path: Path):
    path = tmp_path / "batch.parquet"
    parquet.write_table(pa.table({"key": ["a.b"]}), path)
    with pytest.raises(ManifestError, match="not written by akool-dagster"):
        read_scripts(path)
    for keys in (None, ["a.b"], ["a.c"]):
        with pytest.raises(ManifestError, match="not written by akool-dagster"):
            read_rows(path, keys=keys)
    for read in READERS:
        with pytest.raises(ManifestError, match="no such file"):
            read(tmp_path / "missing.parquet")


HASHED = "script_id,script,voice_id,avatar_id,title,language,rate,background,width,height,note"
FIRST = "a,Hi,v,x,T,en,95%,#ffffff,1280,720,n"


def _hashes(folder: Path, row: str, *, name: str = "batch") -> tuple[str, str]:
    path = folder / f"{name}.csv"
    path.write_text(f"{HASHED}\n{row}\n")
    only = next(read_manifest(path).rows())
    return only.voice_hash, only.video_hash


def test_hashes_are_those_of_the_documented_content(tmp_path: Path):
    voice = '["voice-1","Hi","voice_id","v","en",95]'
    voice_hash = hashlib.sha256(voice.encode()).hexdigest()
    video = f'["video-1","{voice_hash}","avatar_id","x","#ffffff",1280,720]'
    video_hash = hashlib.sha256(video.encode()).hexdigest()
    assert _hashes(tmp_path, FIRST) == (voice_hash, video_hash)


def test_the_other_ways_are_hashed_under_their_own_names(tmp_path: Path):
    path = tmp_path / "ways.csv"
    path.write_text(
        "script_id,script,voice_sample_url,voice_url,avatar_url,language\n"
        "a,Grüße,https://h/a.mp3,,https://h/p.png,\n"
        "b,,,https://h/a.mp3,https://h/p.png,de\n",
        encoding="utf-8",
    )
    contents = (
        '["voice-1","Grüße","voice_sample_url","https://h/a.mp3",null,null]',
        '["voice-1",null,"voice_url","https://h/a.mp3",null,null]',
    )
    for row, content in zip(read_manifest(path).rows(), contents, strict=True):
        assert row.voice_hash == hashlib.sha256(content.encode()).hexdigest()
        shown = f'["video-1","{row.voice_hash}","avatar_url","https://h/p.png",null,null,null]'
        assert row.video_hash == hashlib.sha256(shown.encode()).hexdigest()


@pytest.mark.parametrize(
    "row",
    [
        "b,Hi,v,x,T,en,95%,#ffffff,1280,720,n",
        "a,Hi,v,x,Other,en,95%,#ffffff,1280,720,m",
        "a, Hi ,v,x,T,EN-us,0.95,#FFF,1280.0,720,n",
        "a,{{note}}i,v,x,T,en,95%,#ffffff,1280,720,H",
    ],
)
def test_what_is_neither_spoken_nor_shown_does_not_enter_the_hashes(tmp_path: Path, row: str):
    assert _hashes(tmp_path, row, name="other") == _hashes(tmp_path, FIRST)


@pytest.mark.parametrize(
    ("row", "spoken"),
    [
        ("a,Ho,v,x,T,en,95%,#ffffff,1280,720,n", True),
        ("a,Hi,w,x,T,en,95%,#ffffff,1280,720,n", True),
        ("a,Hi,v,x,T,de,95%,#ffffff,1280,720,n", True),
        ("a,Hi,v,x,T,,95%,#ffffff,1280,720,n", True),
        ("a,Hi,v,x,T,en,96%,#ffffff,1280,720,n", True),
        ("a,Hi,v,x,T,en,,#ffffff,1280,720,n", True),
        ("a,Hi,v,y,T,en,95%,#ffffff,1280,720,n", False),
        ("a,Hi,v,x,T,en,95%,#fffffe,1280,720,n", False),
        ("a,Hi,v,x,T,en,95%,,1280,720,n", False),
        ("a,Hi,v,x,T,en,95%,#ffffff,1280,722,n", False),
        ("a,Hi,v,x,T,en,95%,#ffffff,,,n", False),
    ],
)
def test_what_is_spoken_or_shown_enters_the_hashes(tmp_path: Path, row: str, spoken: bool):
    voice, video = _hashes(tmp_path, row)
    first_voice, first_video = _hashes(tmp_path, FIRST)
    assert (voice != first_voice) is spoken
    assert video != first_video


def test_the_ways_of_a_voice_and_an_avatar_do_not_collide(tmp_path: Path):
    path = tmp_path / "ways.csv"
    path.write_text(
        "script_id,script,voice_sample_url,voice_url,avatar_id,avatar_url,language\n"
        "a,Hi,https://h/a.mp3,,x,,\n"
        "b,,,https://h/a.mp3,x,,\n"
        "c,,,https://h/a.mp3,x,,de\n"
        "d,,,https://h/a.mp3,,https://h/a.mp4,\n"
    )
    a, b, c, d = read_manifest(path).rows()
    assert a.voice_hash != b.voice_hash
    assert b.voice_hash == c.voice_hash == d.voice_hash
    assert b.video_hash == c.video_hash != d.video_hash


def test_the_keys_alone_are_read_alike(manifest: Manifest, tmp_path: Path):
    path = UPath(tmp_path / "scripts" / "batch.parquet")
    write_scripts(manifest, path)
    assert read_script_keys(path) == manifest.keys == ["batch.b", "batch.a", "batch.c"]


def test_rows_that_show_what_is_known_of_them_are_left_out(manifest: Manifest):
    rows = list(manifest.rows())
    known = {rows[0].key: rows[0].video_hash, rows[1].key: rows[0].video_hash, "x": "y"}
    assert list(manifest.rows_but(known)) == rows[1:]
    assert list(manifest.rows_but({})) == rows
