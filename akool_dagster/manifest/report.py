"""What is wrong with a manifest and what was put right: problems, repairs, and their report."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from upath import UPath

PROBLEMS_SHOWN = 50
"""Problems that a printed report lists; the rest are counted."""

_VALUE_LENGTH = 80
_LINES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in a manifest that a person must change before anything is paid for.

    Attributes:
        file: Name of the file; that of a companion when the problem is in there.
        line: Physical line of a CSV file where the row starts, or row number of a Parquet file,
            both from 1; None if the whole file is meant.
        column: Name of the column; None if the whole row or file is meant.
        value: The offending text, shortened, without passwords and query strings of links; None
            if the cell is empty.
        message: What is wrong.
        fix: What to do about it.
    """

    file: str
    line: int | None
    column: str | None
    value: str | None
    message: str
    fix: str

    @property
    def place(self) -> str:
        """Where it is, such as ``line 4, column voice_id``."""
        row = _row_word(self.file)
        parts = []
        if self.line is not None:
            parts.append(f"{row} {self.line}")
        if self.column is not None:
            parts.append(f"column {self.column}")
        return ", ".join(parts) or "file"

    def __str__(self) -> str:
        value = f" (found: {self.value})" if self.value is not None else ""
        return f"{self.place}: {self.message}{value}\n    fix: {self.fix}"


@dataclass(frozen=True, slots=True)
class Repair:
    """Something that was put right without asking, and is reported so that nobody is surprised.

    Attributes:
        line: First line (CSV) or row (Parquet) that it concerns; None for the whole file.
        column: Name of the column; None for whole rows or the file.
        what: What was done, with a count and the first lines.
    """

    line: int | None
    column: str | None
    what: str

    def __str__(self) -> str:
        return self.what if self.column is None else f"column {self.column}: {self.what}"


class ManifestError(ValueError):
    """A manifest that cannot be used as it is; nothing of it was sent anywhere.

    Attributes:
        path: The file.
        problems: All of its problems, in the order of the file.
    """

    def __init__(self, path: UPath | PurePath, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        # Both go to the base class so that the error survives pickling.
        super().__init__(path, self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.path}: {count} problem{'s' if count != 1 else ''}"
        shown = [f"  {self._file(p)}{p}" for p in self.problems[:PROBLEMS_SHOWN]]
        more = [f"  ... and {count - PROBLEMS_SHOWN:,} more"] if count > PROBLEMS_SHOWN else []
        return "\n".join([head, *shown, *more])

    def to_markdown(self) -> str:
        """The problems as a Markdown table, for the metadata of a Dagster event."""
        rows = [
            f"| {_cell(self._file(p) + p.place)} | {_cell(p.value)} | {_cell(p.message)} "
            f"| {_cell(p.fix)} |"
            for p in self.problems[:PROBLEMS_SHOWN]
        ]
        table = "\n".join(["| where | value | what is wrong | fix |", "|---|---|---|---|", *rows])
        more = len(self.problems) - PROBLEMS_SHOWN
        return table if more <= 0 else f"{table}\n\n... and {more:,} more"

    def _file(self, problem: Problem) -> str:
        """The name of a companion that a problem is in; the file itself stands in the head."""
        return "" if problem.file == self.path.name else f"{problem.file}, "


class Report:
    """Collects the problems and repairs of one file while it is read.

    Args:
        path: The file.

    Attributes:
        path: The file.
        row: What its rows are counted in: ``line`` or, in a Parquet file, ``row``.
        problems: In the order in which they were found.
        repairs: In the order in which they were made.
        incomplete: Whether a needed column is missing or unreadable, and noted as such: then no
            row is to be blamed for having nothing in it.
    """

    def __init__(self, path: UPath | PurePath) -> None:
        self.path = path
        self.row = _row_word(path.name)
        self.problems: list[Problem] = []
        self.repairs: list[Repair] = []
        self.incomplete = False

    def problem(
        self,
        message: str,
        *,
        fix: str,
        line: int | None = None,
        column: str | None = None,
        value: object = None,
        file: str | None = None,
    ) -> None:
        """Notes one problem; ``value`` is shortened and freed of secrets.

        ``file`` names a companion of the file, when the problem is in there.
        """
        text = None if value is None else shown(value)
        self.problems.append(Problem(file or self.path.name, line, column, text, message, fix))

    def repair(self, what: str, *, line: int | None = None, column: str | None = None) -> None:
        """Notes one repair."""
        self.repairs.append(Repair(line, column, what))

    def repair_lines(
        self, what: str, lines: Sequence[int], *, column: str | None = None, of: str = "cell"
    ) -> None:
        """Notes one repair that concerns many lines, unless there is none.

        Args:
            what: What was done.
            lines: The lines where it was done, in order; any sequence of integers.
            column: The column where it was done.
            of: What is counted, in the singular.
        """
        if not len(lines):
            return
        count = f"{len(lines):,} {of}{'s' if len(lines) != 1 else ''}"
        self.repair(f"{what} ({count}: {self.in_lines(lines)})", line=int(lines[0]), column=column)

    def in_lines(self, lines: Sequence[int]) -> str:
        """Names some lines, the first ones by their numbers: ``lines 2, 3, 4 and 5 more``."""
        first = ", ".join(str(line) for line in lines[:_LINES_SHOWN])
        more = f" and {len(lines) - _LINES_SHOWN:,} more" if len(lines) > _LINES_SHOWN else ""
        return f"{self.row}{'s' if len(lines) != 1 else ''} {first}{more}"

    def stop(self) -> ManifestError:
        """The error to raise with everything noted so far, in the order of the file.

        What is noted twice, as of a cell that several scripts are made of, is said once.
        """
        problems = sorted(
            dict.fromkeys(self.problems),
            key=lambda p: (p.file != self.path.name, p.file, p.line or 0),
        )
        return ManifestError(self.path, problems)

    def stop_with(self, message: str, *, fix: str, **place: Any) -> ManifestError:
        """The error to raise when one more problem makes it senseless to read on."""
        self.problem(message, fix=fix, **place)
        return self.stop()

    def stop_without_rows(self, *, row: str) -> ManifestError:
        """The error to raise when no row is left to check; ``row`` is what a row stands for."""
        if self.problems:
            return self.stop()
        return self.stop_with("the file has no rows", fix=f"add one row for each {row}")


def shown(value: object) -> str:
    """A value as reports show it: quoted, short, without what a link may hide.

    User name and password of a link are replaced, and so is its query string, which may carry a
    signature.
    """
    text = re.sub(r"://\S*@", "://***@", str(value))
    text = re.sub(r"[^\s/:]+:[^\s/]+@", "***@", text)
    text = re.sub(r"\?[^\s?]*=\S*", "?...", text)
    short = text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 3]}..."
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short) + '"'


def _row_word(file: str) -> str:
    return "row" if file.lower().endswith(".parquet") else "line"


def _cell(text: str | None) -> str:
    escaped = (text or "").replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(escaped.split())
