"""Small tables for Dagster's metadata."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_CELL = 120


def markdown_table(lines: Iterable[Mapping[str, Any]]) -> str:
    """Writes a table in Markdown.

    Args:
        lines: A few lines, value by column; all of them have the columns of the first.

    Returns:
        The Markdown; long cells are cut, and None is an empty one. Nothing for no lines.
    """
    lines = list(lines)
    if not lines:
        return ""
    columns = list(lines[0])
    cells = [columns, ["---"] * len(columns)]
    cells += [[_cell(line[column]) for column in columns] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def markdown_preview(table: "pd.DataFrame", *, rows: int) -> str:
    """Writes the first rows of a pandas table in Markdown.

    Args:
        table: The table.
        rows: How many rows are shown.

    Returns:
        The Markdown, as of `markdown_table`.
    """
    head = table.head(rows).astype(object)
    return markdown_table(head.where(head.notna(), None).to_dict("records"))


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
