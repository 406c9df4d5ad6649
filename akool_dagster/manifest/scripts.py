"""The checked copy of a manifest, ``scripts/<manifest>.parquet``: what is in it, and its reading.

Arrow alone reads it: pandas takes half a second to import, and a run wants a few rows at once.
"""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet
from upath import UPath

from akool_dagster.manifest.files import read_bytes
from akool_dagster.manifest.report import Repair, Report
from akool_dagster.manifest.rows import ScriptRow, build_rows

HASHES = ("voice_hash", "video_hash")
"""The columns that tell whether two rows ask for the same thing."""

_BLOCK = 2_000  # rows of a part of the file, and rows held as Python objects at a time
_METADATA = b"akool_dagster.manifest"
_OWN_COLUMNS = ("key", "line", *HASHES)


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedCopy:
    """The rows of a manifest, all or some of them, as Arrow columns of the same length.

    Its file has the columns ``key``, ``line``, the manifest's own, ``voice_hash``, ``video_hash``.
    A user's column that has one of these four names is stored with a ``_`` at its end.

    Attributes:
        name: Of the manifest.
        path: The file that the user wrote.
        sha256: Of that file's bytes, in hex.
        repairs: What was put right while reading it.
        keys: The key of each row, ``<manifest>.<script_id>``, in file order.
        lines: Where each row starts in the user's file.
        cells: The text of each column by its name in the manifest; `COLUMNS` are among them.
        hashes: By the names in `HASHES`.
    """

    name: str
    path: str
    sha256: str
    repairs: Sequence[Repair]
    keys: pa.ChunkedArray
    lines: pa.ChunkedArray
    cells: Mapping[str, pa.ChunkedArray]
    hashes: Mapping[str, pa.ChunkedArray]

    def to_bytes(self) -> bytes:
        """The file; `read_copy` makes an equal copy of it."""
        stored = {_stored_name(name): name for name in self.cells}
        about = {
            "name": self.name,
            "path": self.path,
            "sha256": self.sha256,
            "repairs": [asdict(repair) for repair in self.repairs],
            "columns": stored,
        }
        columns = {
            "key": self.keys,
            "line": self.lines,
            **{stored_name: self.cells[name] for stored_name, name in stored.items()},
            **self.hashes,
        }
        table = pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(about)})
        sink = BytesIO()
        parquet.write_table(table, sink, compression="zstd", row_group_size=_BLOCK)
        return sink.getvalue()

    def rows(self) -> Iterator[ScriptRow]:
        """The rows in file order."""
        for start in range(0, len(self.keys), _BLOCK):
            yield from build_rows(
                self.name,
                lines=_objects(self.lines, start),
                cells={name: _objects(texts, start) for name, texts in self.cells.items()},
                voice_hashes=_objects(self.hashes["voice_hash"], start),
                video_hashes=_objects(self.hashes["video_hash"], start),
            )


def read_copy(path: UPath | Path, *, keys: Collection[str] | None = None) -> CheckedCopy:
    """Reads the checked copy of a manifest.

    The hashes are those that were written: work already paid for is found by them until the
    manifest itself is read again.

    Args:
        path: The file.
        keys: Keys of the rows that are wanted; None for all rows.

    Returns:
        The rows that it has of these.

    Raises:
        ManifestError: The file cannot be read or was not written by this package.
    """
    with _opened(path) as file:
        stored = file.read() if keys is None else _only(file, frozenset(keys))
        about = json.loads((stored.schema.metadata or {})[_METADATA])
        return CheckedCopy(
            name=about["name"],
            path=about["path"],
            sha256=about["sha256"],
            repairs=tuple(Repair(**repair) for repair in about["repairs"]),
            keys=stored["key"],
            lines=stored["line"],
            cells={name: stored[column] for column, name in about["columns"].items()},
            hashes={name: stored[name] for name in HASHES},
        )


def read_rows(path: UPath | Path, *, keys: Collection[str] | None = None) -> dict[str, ScriptRow]:
    """Reads rows of the checked copy of a manifest.

    Args:
        path: The file.
        keys: Keys of the rows that are wanted; None for all rows.

    Returns:
        The rows that it has of these by key, in the order of the manifest.

    Raises:
        ManifestError: The file cannot be read or was not written by this package.
    """
    return {row.key: row for row in read_copy(path, keys=keys).rows()}


def read_script_keys(path: UPath | Path) -> list[str]:
    """Reads only the keys of the checked copy of a manifest, in file order.

    Raises:
        ManifestError: The file cannot be read or was not written by this package.
    """
    with _opened(path) as file:
        return file.read(columns=["key"])["key"].to_pylist()


@contextlib.contextmanager
def _opened(path: UPath | Path) -> Iterator[parquet.ParquetFile]:
    """Opens the file; what goes wrong while it is used becomes a `ManifestError`."""
    report = Report(path)
    data = read_bytes(path, report)
    try:
        yield parquet.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise report.stop_with(
            "the file is damaged or was not written by akool-dagster",
            fix="materialize script_manifests for this manifest again",
        ) from error


def _only(file: parquet.ParquetFile, wanted: frozenset[str]) -> pa.Table:
    """Reads the wanted rows, and of the parts of the file that have none the keys alone."""
    found = []
    for part in range(file.num_row_groups):
        keys = file.read_row_group(part, columns=["key"])["key"].to_pylist()
        bits = bytes(key in wanted for key in keys)
        if any(bits):
            found.append(file.read_row_group(part).filter(_mask(bits)))
    return pa.concat_tables(found) if found else file.schema_arrow.empty_table()


def _mask(bits: bytes) -> pa.Array:
    # Not pa.array: it imports pandas to see whether what it is given comes from there.
    return pa.Array.from_buffers(pa.uint8(), len(bits), [None, pa.py_buffer(bits)]).cast(pa.bool_())


def _objects(column: pa.ChunkedArray, start: int) -> list:
    return column.slice(start, _BLOCK).to_pylist()


def _stored_name(column: str) -> str:
    # A header never has both "line" and "line_": they would count as the same column.
    return f"{column}_" if column in _OWN_COLUMNS else column
