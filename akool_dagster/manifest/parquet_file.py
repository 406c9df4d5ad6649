"""Parquet files: any column type that has a plain text becomes text, rows are counted from 1."""

import json
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from akool_dagster.manifest.cells import Cells
from akool_dagster.manifest.columns import Layout, match_header
from akool_dagster.manifest.report import Report

_PANDAS_INDEX = "__index_level_"
_MAGIC = b"PAR1"
_TEXT = pa.large_string()


def read_parquet(data: bytes, report: Report, *, layout: Layout) -> Cells:
    """Reads the bytes of a Parquet file.

    Args:
        data: The whole file.
        report: Takes repairs (a whole number stored as ``1.0``) and problems (a list where a text
            belongs).
        layout: The kind of file.

    Returns:
        The cells as text; ``lines`` are row numbers from 1.

    Raises:
        ManifestError: The bytes are no Parquet file, it is damaged, or it has no rows.
    """
    table = _load(data, report)
    if not table.num_rows:
        raise report.stop_without_rows(row=layout.row)
    kept = [i for i, name in enumerate(table.schema.names) if not name.startswith(_PANDAS_INDEX)]
    if len(kept) < table.num_columns:
        report.repair("the index that pandas stored was left out")
    header = [table.schema.names[i] for i in kept]
    names = match_header(header, report, line=None, layout=layout)
    columns = [
        _to_text(table.column(i), name, report, one_text=name in layout.columns)
        for i, name in zip(kept, names, strict=True)
    ]
    return Cells(names, columns, np.arange(1, table.num_rows + 1), None)


def _load(data: bytes, report: Report) -> pa.Table:
    if not data:
        raise report.stop_with("the file is empty", fix="write the Parquet file again")
    if not data.startswith(_MAGIC):
        text = not data[:1000].translate(None, b"\t\r\n").strip(bytes(range(32, 256)))
        fix = "give it the ending .csv" if text else "write the Parquet file again"
        raise report.stop_with("the file is not a Parquet file", fix=fix)
    try:
        table = parquet.ParquetFile(pa.BufferReader(data)).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise report.stop_with(
            f"the Parquet file is damaged: {reason}",
            fix="write or upload it again; it may be cut off",
        ) from error
    return table


def _to_text(
    column: pa.ChunkedArray, name: str, report: Report, *, one_text: bool
) -> pa.ChunkedArray:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _to_text(column.cast(kind.storage_type), name, report, one_text=one_text)
    if pa.types.is_dictionary(kind):
        return _to_text(column.cast(kind.value_type), name, report, one_text=one_text)
    if pa.types.is_floating(kind):
        return _floats_to_text(column, name, report)
    if pa.types.is_decimal(kind):
        return _array([None if n is None else _plain(n) for n in column.to_pylist()])
    if pa.types.is_nested(kind):
        return _nested_to_text(column, name, report, one_text=one_text)
    try:
        return column.cast(_TEXT)
    except (pa.ArrowException, ValueError):
        report.incomplete = True
        report.problem(
            f"the column is of the type {kind}, which is no text", fix=_as_string(name), column=name
        )
        return _array([None] * len(column))


def _floats_to_text(column: pa.ChunkedArray, name: str, report: Report) -> pa.ChunkedArray:
    # Numbers with gaps are floats in pandas: the id 1 arrives as 1.0.
    values = column.to_numpy()
    whole = np.isfinite(values) & (values == np.floor(values))
    report.repair_lines(
        "whole numbers stored with decimals read without them, 1.0 as 1",
        (np.flatnonzero(whole) + 1).tolist(),
        column=name,
    )
    return _array([None if math.isnan(v) else _number(v) for v in values])


def _number(value: np.floating) -> str:
    return str(int(value)) if value.is_integer() else str(value)


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _nested_to_text(
    column: pa.ChunkedArray, name: str, report: Report, *, one_text: bool
) -> pa.ChunkedArray:
    values = column.to_pylist()
    if one_text:
        report.incomplete = True
        first = next((i for i, value in enumerate(values) if value is not None), 0)
        report.problem(
            f"the column holds a {column.type} in each row, not one text",
            fix=_as_string(name),
            line=first + 1,
            column=name,
            value=values[first],
        )
        return _array([None] * len(values))
    texts = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
    return _array(texts)


def _array(texts: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, _TEXT)])


def _as_string(name: str) -> str:
    return f"write {name} as a column of type string"
