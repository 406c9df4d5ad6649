"""The columns of a manifest, and the forgiving match of a file's header with its layout."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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

LANGUAGES = "languages"
"""The column that names the languages of a row, several in one cell."""

_SEPARATORS = re.compile("[\\s_\\-\ufeff\u200b\u2060]+")


def fold(name: str) -> str:
    """A column name without what people vary: case, spaces, dashes, underscores, a BOM."""
    name = unicodedata.normalize("NFKC", name).strip("\ufeff\u200b\u2060 \t\r\n")
    return _SEPARATORS.sub("", name.casefold()) or name


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the header of one kind of file may hold.

    Attributes:
        what: The kind of file, such as ``a manifest``.
        row: What each of its rows stands for, such as ``video``.
        columns: The columns that its table always has, in this order.
        needed: Gives, for the names of a header, groups of columns: one of each must be there.
        example: The start of a header that would do.
        others: Names that are recognised as well, and stay among the file's other columns.
    """

    what: str
    row: str
    columns: Sequence[str]
    needed: Callable[[Collection[str]], Sequence[Sequence[str]]]
    example: str
    others: Sequence[str] = ()

    @cached_property
    def known(self) -> Mapping[str, str]:
        """Each recognised name by its folded form."""
        return {fold(column): column for column in (*self.columns, *self.others)}


def _needed_in_manifest(names: Collection[str]) -> Sequence[Sequence[str]]:
    if LANGUAGES in names:  # texts, voices and avatars may come by language
        return (("script_id",),)
    script = () if "voice_url" in names else (("script",),)
    return (("script_id",), *script, VOICE_COLUMNS, AVATAR_COLUMNS)


MANIFEST = Layout(
    what="a manifest",
    row="video",
    columns=COLUMNS,
    needed=_needed_in_manifest,
    example="script_id,script,voice_id,avatar_id",
    others=(LANGUAGES,),
)
"""The layout of a manifest."""


def known_names(names: Iterable[str], layout: Layout) -> int:
    """How many of a file's header names its layout knows."""
    return sum(fold(name) in layout.known for name in names)


def match_header(
    names: Sequence[str], report: Report, *, line: int | None, layout: Layout
) -> list[str]:
    """Gives each column of a file its name in the table.

    A known name is recognised whatever its case and separators, with a repair noted; any other
    name is kept, without spaces at its ends. An empty name stays empty.

    Args:
        names: The header as it is in the file.
        report: Takes the repairs and the problems: a missing or doubled column.
        line: The line of the header; None in a Parquet file.
        layout: What the header may hold.

    Returns:
        The names in the file's order.
    """
    matched = []
    for name in names:
        column = layout.known.get(fold(name), " ".join(name.strip("\ufeff\u200b\u2060").split()))
        if column and column != name:
            report.repair(f"header {shown(name)} read as {column}", line=line, column=column)
        matched.append(column)
    _refuse_doubles(matched, report, line=line)
    _refuse_missing(matched, report, line=line, layout=layout)
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


def _refuse_missing(
    names: Sequence[str], report: Report, *, line: int | None, layout: Layout
) -> None:
    if not known_names(names, layout):
        report.incomplete = True
        report.problem(
            f"the header has no column of {layout.what}",
            fix=f"name the columns in the first line, for instance: {layout.example}",
            line=line,
            value=", ".join(names),
        )
        return
    for group in layout.needed(names):
        if not set(group) & set(names):
            report.incomplete = True
            report.problem(
                f"the required column {_any_of(group)} is missing",
                fix=_remedy(group, names, layout),
                line=line,
                column=group[0] if len(group) == 1 else None,
            )


def _any_of(columns: Sequence[str]) -> str:
    return " or ".join(columns)


def _remedy(needed: Sequence[str], names: Sequence[str], layout: Layout) -> str:
    known = layout.known.values()
    extras = [name for name in names if name and name not in known]
    for column in needed:
        if typo := closest(column, extras):
            return f"rename the column {shown(typo)} to {column}"
    return f"add the column {_any_of(needed)}"
