"""A file's cells as they were read: text in columns, before any rule is applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from akool_dagster.manifest.columns import Layout
from akool_dagster.manifest.report import Report

TEXT = pd.StringDtype("pyarrow")
"""The type of every column of a manifest's table: text, ``pandas.NA`` where a cell is empty."""

# Line breaks and tabs are text; the other control characters cannot be spoken or shown.
_CONTROL = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_LINE_BREAKS = "\r\n?"
# What Python calls white space, and three marks without width.
_BLANK = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\u200b\u2060"
)


@dataclass(frozen=True)
class Cells:
    """The cells of one file.

    Attributes:
        names: The header, matched with the layout of the file; empty for a nameless column.
        columns: The text of each column, as Arrow large strings.
        lines: Where each row starts: physical lines of a CSV file, row numbers of a Parquet file.
        header_line: The line of the header; None in a Parquet file.
    """

    names: Sequence[str]
    columns: Sequence[pa.ChunkedArray]
    lines: NDArray[np.int64]
    header_line: int | None


def to_table(cells: Cells, report: Report, *, layout: Layout) -> pd.DataFrame:
    r"""Cleans the cells and lays them out as a table.

    Control characters become spaces, line breaks ``\n``, blanks at the ends go, empty cells
    become NA, empty rows and nameless empty columns are dropped. All of it is reported, grouped by
    column.

    Args:
        cells: The cells of the file.
        report: Takes repairs, and the problem of a nameless column that is not empty.
        layout: The kind of file.

    Returns:
        All columns of the layout, then the file's other columns in its order; type `TEXT`; the
        index, called ``line``, says where each row starts.

    Raises:
        ManifestError: No row is left.
    """
    index = pd.Index(cells.lines, name="line")
    found: dict[str, pd.Series] = {}
    for position, (name, column) in enumerate(zip(cells.names, cells.columns, strict=True), 1):
        text = pd.Series(as_text(column), index=index, name=name)
        text = _clean(text, report)
        if name:
            found.setdefault(name, text)
        else:
            _drop_nameless(text, position, report, header_line=cells.header_line)
    empty = np.logical_and.reduce([text.isna().to_numpy() for text in found.values()])
    report.repair_lines("empty rows left out", cells.lines[empty].tolist(), of="row")
    extras = [name for name in found if name not in layout.columns]
    nothing = pd.Series(pd.NA, index=index, dtype=TEXT)
    ordered = {name: found.get(name, nothing)[~empty] for name in (*layout.columns, *extras)}
    if empty.all():
        raise report.stop_without_rows(row=layout.row)
    return pd.DataFrame(ordered)


def as_text(column: pa.ChunkedArray) -> Any:
    """An Arrow column as a pandas array of type `TEXT`."""
    whole = pa.chunked_array([column.cast(pa.large_string()).combine_chunks()])
    return TEXT.__from_arrow__(whole)


def _clean(text: pd.Series, report: Report) -> pd.Series:
    text = _replaced(text, _CONTROL, " ", "control characters replaced by spaces", report)
    text = _replaced(
        text, _LINE_BREAKS, "\n", "line breaks of Windows or old Macs made \\n", report
    )
    stripped = text.str.strip(_BLANK)
    # Blanks in an otherwise empty cell are not worth a word.
    changed = ((stripped != text) & (stripped != "")).fillna(False).to_numpy(dtype=bool)
    column = str(text.name) or None
    report.repair_lines(
        "spaces at the ends removed", text.index.to_numpy()[changed].tolist(), column=column
    )
    return stripped.mask((stripped == "").fillna(False).to_numpy(dtype=bool), pd.NA)


def _replaced(
    text: pd.Series, pattern: str, replacement: str, what: str, report: Report
) -> pd.Series:
    found = text.str.contains(pattern, regex=True).fillna(False).to_numpy(dtype=bool)
    if not found.any():
        return text
    report.repair_lines(what, text.index.to_numpy()[found].tolist(), column=str(text.name) or None)
    return text.str.replace(pattern, replacement, regex=True)


def _drop_nameless(
    text: pd.Series, position: int, report: Report, *, header_line: int | None
) -> None:
    filled = text.dropna()
    if filled.empty:
        report.repair(f"column {position} has neither name nor values: left out", line=header_line)
        return
    report.problem(
        f"column {position} has values but no name in the header",
        fix=f"give column {position} a name, or delete it",
        line=int(filled.index[0]),
        value=filled.iloc[0],
    )
