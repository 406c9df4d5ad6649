"""Fills ``{{column}}`` in the scripts of a table, strictly and once."""

import re

import pandas as pd

from akool_dagster.manifest.cells import TEXT
from akool_dagster.manifest.columns import closest, fold
from akool_dagster.manifest.report import Report

_PLACE = re.compile(r"\{\{\s*([^{}]*[^{}\s])\s*\}\}")


def fill_scripts(table: pd.DataFrame, report: Report) -> pd.Series:
    """The scripts with the values of their own rows in place of ``{{column}}``.

    Column names are matched as forgivingly as a header. What was filled in is not filled again,
    and braces that name nothing stay as they are.

    Args:
        table: A table as `cells.to_table` makes it.
        report: Takes a problem for each place that names no column, or one that is empty in the
            row; such a script is returned unfilled.

    Returns:
        The new ``script`` column.
    """
    scripts = table["script"]
    with_places = scripts.str.contains("{{", regex=False).fillna(False).to_numpy(dtype=bool)
    if not with_places.any():
        return scripts
    columns = {fold(name): name for name in table.columns if name != "script"}
    filler = _Filler(table.loc[with_places], columns, report)
    filled = scripts.copy()
    texts = [filler.fill(row, text) for row, text in enumerate(scripts[with_places].tolist())]
    filled[with_places] = pd.array(texts, dtype=TEXT)
    return filled


class _Filler:
    def __init__(self, table: pd.DataFrame, columns: dict[str, str], report: Report) -> None:
        self._table = table
        self._columns = columns
        self._report = report
        self._values: dict[str, list[str | None]] = {}
        self._folded: dict[str, str] = {}

    def fill(self, row: int, text: str) -> str:
        wrong: list[tuple[str, str, str]] = []

        def value(place: re.Match[str]) -> str:
            column = self._columns.get(self._fold(place[1]))
            found = None if column is None else self._column(column)[row]
            if found is None:
                wrong.append((place[0], *self._fault(place[1], column)))
                return place[0]
            return found

        filled = _PLACE.sub(value, text)
        line = int(self._table.index[row])
        for place, message, fix in dict.fromkeys(wrong):
            self._report.problem(message, fix=fix, line=line, column="script", value=place)
        return filled

    def _fold(self, name: str) -> str:
        if name not in self._folded:
            self._folded[name] = fold(name)
        return self._folded[name]

    def _column(self, name: str) -> list[str | None]:
        if name not in self._values:
            self._values[name] = self._table[name].to_numpy(dtype=object, na_value=None).tolist()
        return self._values[name]

    def _fault(self, name: str, column: str | None) -> tuple[str, str]:
        if column is not None:
            return (
                f"the script uses the column {column}, which is empty in this row",
                f"fill {column} in this row, or take it out of the script",
            )
        if fold(name) == "script":
            return "the script uses itself", "take {{script}} out of the script"
        likely = closest(name, self._columns.values())
        return (
            f"the script uses the column {name}, which the file does not have",
            f"write {{{{{likely}}}}}" if likely else f"add the column {name}, or take it out",
        )
