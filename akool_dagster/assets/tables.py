"""Small tables for Dagster's metadata."""

import pandas as pd

_LONGEST_CELL = 120


def markdown_table(table: pd.DataFrame) -> str:
    """Writes a table in Markdown.

    Args:
        table: A few rows.

    Returns:
        The Markdown; long cells are cut.
    """
    head = [str(name) for name in table.columns]
    lines = [head, ["---"] * len(head)]
    lines += [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    is_missing = value is None or (not isinstance(value, (list, dict)) and bool(pd.isna(value)))
    text = "" if is_missing else str(value)
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
