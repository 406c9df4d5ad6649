"""Reads a file of any layout: the bytes of a CSV or Parquet file become a table of text."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from upath import UPath

from akool_dagster.manifest.cells import Cells, to_table
from akool_dagster.manifest.columns import Layout
from akool_dagster.manifest.csv_file import read_csv
from akool_dagster.manifest.files import read_bytes
from akool_dagster.manifest.parquet_file import read_parquet
from akool_dagster.manifest.report import Report

_READERS: dict[str, Callable[..., Cells]] = {".csv": read_csv, ".parquet": read_parquet}


def read_table(path: UPath | Path, report: Report, *, layout: Layout) -> tuple[pd.DataFrame, bytes]:
    """Reads a CSV or Parquet file as the table that `cells.to_table` describes.

    Args:
        path: The file.
        report: Takes problems and repairs.
        layout: What its header may hold.

    Returns:
        The table and the bytes that it was read from.

    Raises:
        ManifestError: The file cannot be read at all.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise _no_reader(path, report, layout)
    data = read_bytes(path, report)
    return to_table(_READERS[suffix](data, report, layout=layout), report, layout=layout), data


def _no_reader(path: UPath | Path, report: Report, layout: Layout) -> Exception:
    suffix = path.suffix.lower()
    sheet = suffix in (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
    return report.stop_with(
        f"{layout.what} ends in .csv or .parquet, not in {suffix or 'nothing'}",
        fix="save the sheet as 'CSV UTF-8 (comma delimited)'" if sheet else "rename the file",
        value=path.name,
    )
