"""The columns of a manifest, and the forgiving match of a file's header with them."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from akool_dagster.manifest.report import Report, shown

VOICE_COLUMNS = ("voice_id", "voice_sample_url", "voice_url")
"""The three ways to give a row its voice: exactly one of them is filled."""

AVATAR_COLUMNS = ("avatar_id", "avatar_url")
"""The two ways to give a row its avatar: exactly one of them is filled."""

COLUMNS = (
    "script_id",
    "script",
    *VOICE_COLUMNS,
    *AVATAR_COLUMNS,
    "title",
    "language",
    "rate",
    "background",
    "width",
    "height",
)
"""The columns that mean something to AKOOL, in the order of a manifest's table."""

_SEPARATORS = re.compile("[\\s_\\-\ufeff\u200b\u2060]+")


def fold(name: str) -> str:
    """A column name without what people vary: case, spaces, dashes, underscores, a BOM."""
    name = unicodedata.normalize("NFKC", name).strip("\ufeff\u200b\u2060 \t\r\n")
    return _SEPARATORS.sub("", name.casefold()) or name


_KNOWN = {fold(column): column for column in COLUMNS}


def known_names(names: Iterable[str]) -> int:
    """How many of a file's header names are columns that AKOOL needs."""
    return sum(fold(name) in _KNOWN for name in names)


def match_header(names: Sequence[str], report: Report, *, line: int | None) -> list[str]:
    """Gives each column of a file its name in the table.

    A known name is recognised whatever its case and separators, with a repair noted; any other
    name is kept, without spaces at its ends. An empty name stays empty.

    Args:
        names: The header as it is in the file.
        report: Takes the repairs and the problems: a missing or doubled column.
        line: The line of the header; None in a Parquet file.

    Returns:
        The names in the file's order.
    """
    matched = []
    for name in names:
        column = _KNOWN.get(fold(name), " ".join(name.strip("\ufeff\u200b\u2060").split()))
        if column and column != name:
            report.repair(f"header {shown(name)} read as {column}", line=line, column=column)
        matched.append(column)
    _refuse_doubles(matched, report, line=line)
    _refuse_missing(matched, report, line=line)
    return matched


def closest(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that a person most likely meant by ``name``, if any is close."""
    folded = {fold(candidate): candidate for candidate in names}
    close = difflib.get_close_matches(fold(name), folded, n=1, cutoff=0.7)
    return folded[close[0]] if close else None


def _refuse_doubles(names: Sequence[str], report: Report, *, line: int | None) -> None:
    first: dict[str, str] = {}
    for name in filter(None, names):
        other = first.get(fold(name))
        first.setdefault(fold(name), name)
        if other is not None:
            same = "twice" if other == name else f"as {shown(other)} and {shown(name)}"
            report.problem(
                f"the header names the same column {same}",
                fix="rename or delete one of the two columns",
                line=line,
                column=name,
            )


def _refuse_missing(names: Sequence[str], report: Report, *, line: int | None) -> None:
    if not known_names(names):
        report.incomplete = True
        report.problem(
            "the header has no column of a manifest",
            fix="name the columns in the first line, for instance: "
            "script_id,script,voice_id,avatar_id",
            line=line,
            value=", ".join(names),
        )
        return
    spoken = "voice_url" not in names
    for needed, wanted in (
        ("script_id", "script_id" not in names),
        ("script", spoken and "script" not in names),
        (_any_of(VOICE_COLUMNS), not set(VOICE_COLUMNS) & set(names)),
        (_any_of(AVATAR_COLUMNS), not set(AVATAR_COLUMNS) & set(names)),
    ):
        if wanted:
            report.incomplete = True
            report.problem(
                f"the required column {needed} is missing",
                fix=_remedy(needed.split(" or "), names),
                line=line,
                column=needed if " " not in needed else None,
            )


def _any_of(columns: Sequence[str]) -> str:
    return " or ".join(columns)


def _remedy(needed: Sequence[str], names: Sequence[str]) -> str:
    extras = [name for name in names if name and name not in COLUMNS]
    for column in needed:
        if typo := closest(column, extras):
            return f"rename the column {shown(typo)} to {column}"
    return f"add the column {_any_of(needed)}"
