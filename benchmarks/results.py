"""What was measured: as lines of a table, and kept in a file, so that a crash loses nothing."""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(kw_only=True)
class Record:
    """The results of a benchmark, and the file that keeps them.

    Attributes:
        heads: Where and when they were measured, a line for each run.
        results: What was measured, each as the names and values of a dataclass.
        path: The file; None keeps nothing.
    """

    heads: list[str] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    path: Path | None = None

    def add(self, result: "DataclassInstance") -> None:
        """Adds a result, and writes all of them to the file.

        Args:
            result: A dataclass of what JSON knows.
        """
        self.results.append(asdict(result))
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"heads": self.heads, "results": self.results}, indent=1)
            self.path.write_text(text + "\n")


def read_records(paths: Iterable[Path]) -> Record:
    """Puts together what several runs of a benchmark have kept.

    Args:
        paths: Their files.

    Returns:
        All of their results, in the order of the files.
    """
    whole = Record()
    for path in paths:
        kept = json.loads(path.read_text())
        whole.heads += kept["heads"]
        whole.results += kept["results"]
    return whole


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what every benchmark with a plot can be told.

    Args:
        parser: Of the benchmark; its result has ``save``, ``tell`` and ``plot``.
    """
    parser.add_argument("--save", type=Path, help="keep what is measured (.json)")
    parser.add_argument(
        "--tell", type=Path, nargs="+", default=[], help="measure nothing, but tell what was kept"
    )
    parser.add_argument("--plot", type=Path, help="draw it (.png)")


def table_line(cells: Sequence[object]) -> str:
    """Writes a line of a Markdown table.

    Args:
        cells: Its cells.
    """
    return f"| {' | '.join(map(str, cells))} |"


def print_head(names: Sequence[str]) -> None:
    """Prints the head of a Markdown table.

    Args:
        names: Of its columns.
    """
    print(table_line(names), table_line(["---"] * len(names)), sep="\n", flush=True)


def judged(text: str, *, is_met: bool) -> str:
    """Makes the text bold where a target was missed.

    Args:
        text: What was measured.
        is_met: Whether that meets its target.
    """
    return text if is_met else f"**{text}**"
