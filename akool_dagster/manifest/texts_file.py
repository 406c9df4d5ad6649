"""The companion of a manifest that holds its texts in other languages.

Beside ``launch.csv`` it is called ``launch.texts.csv`` (or ``launch.texts.parquet``), and has one
row for each script and language::

    script_id,language,script,title
    welcome,de,Willkommen bei uns!,Willkommen
    welcome,fr,Bienvenue chez nous !,Bienvenue

Needed are ``script_id`` (that of the manifest's row) and ``language``; a cell of any other of
`LOCAL_COLUMNS` takes the place of the row's own one in that language. Columns of other names may
be used in the texts as ``{{column}}``, and come before the manifest's columns of the same name.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from upath import UPath

from akool_dagster.manifest.columns import AVATAR_COLUMNS, VOICE_COLUMNS, Layout
from akool_dagster.manifest.report import ManifestError, Report
from akool_dagster.manifest.rules import read_cells
from akool_dagster.manifest.table_file import read_table
from akool_dagster.manifest.values import read_language

LOCAL_COLUMNS = ("script", "title", *VOICE_COLUMNS, *AVATAR_COLUMNS, "rate", "background")
"""The columns that may differ from language to language."""


def _needed(_names: Collection[str]) -> Sequence[Sequence[str]]:
    return (("script_id",), ("language",), LOCAL_COLUMNS)


TEXTS = Layout(
    what="a file of texts",
    row="text",
    columns=("script_id", "language", *LOCAL_COLUMNS),
    needed=_needed,
    example="script_id,language,script",
)
"""The layout of the companion."""


def read_texts(path: UPath | Path, report: Report) -> pd.DataFrame:
    """Reads and checks the companion of a manifest.

    Args:
        path: The companion.
        report: That of the manifest; takes the problems and repairs.

    Returns:
        All columns of `TEXTS`, ``script_id`` in small letters, then the file's other columns; one
        row for each script and language; the index is the line.

    Raises:
        ManifestError: It cannot be read at all.
    """
    own = Report(path)
    try:
        table, _ = read_table(path, own, layout=TEXTS)
    except ManifestError as error:
        raise ManifestError(report.path, [*report.problems, *error.problems]) from error
    language = read_cells(table["language"], read_language, own)
    table = table.assign(language=language, script_id=table["script_id"].str.lower())
    if not own.incomplete:
        _refuse_blanks(table, own)
    table = table.loc[_is_filled(table["script_id"]) & _is_filled(table["language"])]
    _refuse_doubles(table, own)
    pass_on(own, report)
    return table.drop_duplicates(["script_id", "language"])


def pass_on(own: Report, report: Report) -> None:
    """Tells the problems and repairs of a companion in the report of its manifest."""
    report.problems += own.problems
    for repair in own.repairs:
        report.repair(f"{own.path.name}: {repair}")


def _refuse_blanks(table: pd.DataFrame, report: Report) -> None:
    for column, fix in (
        ("script_id", "write the script_id of the manifest's row"),
        ("language", "write two letters, such as de"),
    ):
        for line in table.index[table[column].isna().to_numpy(dtype=bool)].tolist():
            report.problem(f"the row has no {column}", fix=fix, line=line, column=column)


def _refuse_doubles(table: pd.DataFrame, report: Report) -> None:
    pairs = table[["script_id", "language"]]
    doubled = pairs.loc[pairs.duplicated().to_numpy(dtype=bool)]
    if doubled.empty:
        return
    first = {(name, code): line for line, name, code in pairs.iloc[::-1].itertuples()}
    for line, name, code in doubled.itertuples():
        report.problem(
            f"this text in {code} was given before, in {report.row} {first[name, code]}",
            fix="keep one of the two rows",
            line=line,
            column="script_id",
            value=name,
        )


def _is_filled(cells: pd.Series) -> NDArray[np.bool_]:
    return (cells.notna() & (cells != "").fillna(False)).to_numpy(dtype=bool)
