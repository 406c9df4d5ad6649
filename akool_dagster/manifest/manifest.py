"""A checked manifest: read from a user's file, or from the Parquet copy made of it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
from upath import UPath

from akool_dagster.manifest.cells import TEXT, as_text
from akool_dagster.manifest.columns import AVATAR_COLUMNS, LANGUAGES, MANIFEST, VOICE_COLUMNS
from akool_dagster.manifest.files import VoiceFiles, find_texts, manifest_name
from akool_dagster.manifest.languages import Companions, fan_out, names_languages
from akool_dagster.manifest.report import Repair, Report
from akool_dagster.manifest.rows import ScriptRow, hash_video, hash_voice, percent_of, whole
from akool_dagster.manifest.rules import check_table
from akool_dagster.manifest.scripts import HASHES, CheckedCopy, read_copy
from akool_dagster.manifest.table_file import read_table
from akool_dagster.manifest.texts_file import read_texts
from akool_dagster.manifest.voice_files import read_voice_map

_BLOCK = 10_000  # rows held as Python objects at a time


@dataclass(frozen=True, eq=False)
class Manifest:
    """All rows of one manifest, checked.

    Attributes:
        name: The file's stem; partition key and first part of each row's key.
        path: The file that the user wrote.
        table: All text (`cells.TEXT`, NA where a cell is empty), in file order: `COLUMNS`, then
            the user's other columns. ``script`` is filled, ``rate`` is ``95%``, ``language`` two
            small letters, ``background`` ``#rrggbb`` or a link, ``width`` and ``height`` digits.
            The index ``line`` says where each row starts in the file; the scripts of one row in
            several languages share it.
        hashes: ``voice_hash`` and ``video_hash`` of each row of the table.
        repairs: What was put right while reading.
        sha256: Of the file's bytes, in hex.
    """

    name: str
    path: UPath | Path
    table: pd.DataFrame
    hashes: pd.DataFrame
    repairs: tuple[Repair, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.table)

    def rows(self) -> Iterator[ScriptRow]:
        """All rows in file order."""
        for start in range(0, len(self), _BLOCK):
            yield from self._rows(slice(start, start + _BLOCK))

    def rows_but(self, video_hashes: Mapping[str, str]) -> Iterator[ScriptRow]:
        """The rows in file order, without those that show what is known of them.

        Args:
            video_hashes: ``video_hash`` by key; a row with this key and hash is left out.
        """
        pairs = zip(self.keys, self.hashes["video_hash"].tolist(), strict=True)
        others = [i for i, (key, shown) in enumerate(pairs) if video_hashes.get(key) != shown]
        for start in range(0, len(others), _BLOCK):
            yield from self._rows(others[start : start + _BLOCK])

    def row(self, script_id: str) -> ScriptRow:
        """One row.

        Raises:
            KeyError: The manifest has no such row.
        """
        position = self._positions.get(script_id)
        if position is None:
            raise KeyError(f"manifest {self.name} has no row {script_id!r}")
        return next(self._rows(slice(position, position + 1)))

    @property
    def keys(self) -> list[str]:
        """The key of each row, ``<manifest>.<script_id>``, in file order."""
        return [f"{self.name}.{script_id}" for script_id in self.table["script_id"].tolist()]

    def to_parquet_bytes(self) -> bytes:
        """The manifest as a Parquet file, that of `CheckedCopy`; `read_scripts` reads it."""
        return self._copy(slice(None)).to_bytes()

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {script_id: i for i, script_id in enumerate(self.table["script_id"].tolist())}

    def _rows(self, part: slice | list[int]) -> Iterator[ScriptRow]:
        return self._copy(part).rows()

    def _copy(self, part: slice | list[int]) -> CheckedCopy:
        table, hashes = self.table.iloc[part], self.hashes.iloc[part]
        keys = [f"{self.name}.{script_id}" for script_id in table["script_id"].tolist()]
        return CheckedCopy(
            name=self.name,
            path=str(self.path),
            sha256=self.sha256,
            repairs=self.repairs,
            keys=pa.chunked_array([pa.array(keys, pa.string())]),
            lines=pa.chunked_array([pa.array(table.index.to_numpy(), pa.int64())]),
            cells={str(name): _arrow(table[name]) for name in table.columns},
            hashes={name: _arrow(hashes[name]) for name in HASHES},
        )


def read_manifest(
    path: UPath | Path,
    *,
    voice_api: Literal["v4", "v3"] = "v4",
    voices: VoiceFiles | None = None,
) -> Manifest:
    """Reads and checks a manifest, a CSV or Parquet file at any fsspec address.

    A row that names languages becomes one script for each of them (see `languages`), with the
    texts of the row or of the companion ``<manifest>.texts.csv`` beside it (see `texts_file`).

    Args:
        path: The file.
        voice_api: AKOOL's voice API that will be used; it decides which rates are allowed.
        voices: Where it is said which voice speaks which language (see `voice_files`).

    Returns:
        The manifest, every row of which is ready to be asked for.

    Raises:
        ManifestError: With every problem of the file and its companions.
    """
    name = manifest_name(path)
    report = Report(path)
    table, data = read_table(path, report, layout=MANIFEST)
    checked = _checked(table, path, report, voice_api=voice_api, voices=voices)
    if report.problems:
        raise report.stop()
    return Manifest(
        name=name,
        path=path,
        table=checked,
        hashes=_hash_rows(checked),
        repairs=tuple(report.repairs),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _checked(
    table: pd.DataFrame,
    path: UPath | Path,
    report: Report,
    *,
    voice_api: Literal["v4", "v3"],
    voices: VoiceFiles | None,
) -> pd.DataFrame:
    texts_path = find_texts(path)
    if not names_languages(table):
        if texts_path is not None:
            _refuse_idle_texts(report, texts_path.name)
        plain = table.drop(columns=LANGUAGES, errors="ignore")
        return check_table(plain, report, voice_api=voice_api)
    companions = Companions(
        texts=None if texts_path is None else read_texts(texts_path, report),
        texts_name=f"{path.stem}.texts.csv" if texts_path is None else texts_path.name,
        voice_map=read_voice_map(voices, report),
        voice_files=voices,
    )
    fanned = fan_out(table, report, companions)
    if fanned.table.empty:
        raise report.stop()
    checked = check_table(fanned.table, fanned.report, voice_api=voice_api, ids_too=False)
    return checked.set_index(pd.Index(fanned.lines, name="line"))


def _refuse_idle_texts(report: Report, texts_name: str) -> None:
    report.problem(
        f"{texts_name} holds texts by language, and no row names a language",
        fix=f"add the column {LANGUAGES} with the languages of each row, such as: de, fr",
        column=LANGUAGES,
    )


def write_scripts(manifest: Manifest, path: UPath | Path) -> None:
    """Writes `Manifest.to_parquet_bytes` to a file, not atomically, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(manifest.to_parquet_bytes())


def read_scripts(path: UPath | Path) -> Manifest:
    """Reads the checked copy of a manifest as a whole, see `read_copy`.

    Raises:
        ManifestError: The file cannot be read or was not written by this package.
    """
    copy = read_copy(path)
    index = pd.Index(copy.lines.to_numpy(), name="line")
    return Manifest(
        name=copy.name,
        path=UPath(copy.path),
        table=_as_table(copy.cells, index),
        hashes=_as_table(copy.hashes, index),
        repairs=tuple(copy.repairs),
        sha256=copy.sha256,
    )


def _as_table(columns: Mapping[str, pa.ChunkedArray], index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame({name: as_text(texts) for name, texts in columns.items()}, index=index)


def _hash_rows(table: pd.DataFrame) -> pd.DataFrame:
    voice: list[str] = []
    video: list[str] = []
    for start in range(0, len(table), _BLOCK):
        part = table.iloc[start : start + _BLOCK]
        spoken = [_cells(part[name]) for name in ("script", *VOICE_COLUMNS, "language", "rate")]
        shown = [_cells(part[name]) for name in (*AVATAR_COLUMNS, "background", "width", "height")]
        hashes = [
            hash_voice(script, *ways, language=language, rate_percent=percent_of(rate))
            for script, *ways, language, rate in zip(*spoken, strict=True)
        ]
        voice += hashes
        video += [
            hash_video(
                voice_hash, *ways, background=background, width=whole(width), height=whole(height)
            )
            for voice_hash, *ways, background, width, height in zip(hashes, *shown, strict=True)
        ]
    columns = {"voice_hash": voice, "video_hash": video}
    return pd.DataFrame(columns, index=table.index, dtype=TEXT)


def _cells(column: pd.Series) -> list[str | None]:
    """The cells of a column as Python objects, None where one is empty."""
    return column.to_numpy(dtype=object, na_value=None).tolist()


def _arrow(column: pd.Series) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(column.array, pa.large_string())])
