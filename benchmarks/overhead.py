"""What the stack itself costs per script, with videos that take no time.

``python -m benchmarks.overhead --save overhead.json --plot overhead.png`` runs real backfills of
the three row assets over webserver, daemon, runs, ledger and events on SQLite, and adds up the CPU
of all of these processes (the emulator is another process and not counted), from the launch of the
backfill to its end. The obvious design, one run per row, is measured in the same session with
``--rival-rows``: its rows cost the same, however many there are.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.backfills import Backfilled, one_run_per_row, ours
from benchmarks.deployment import emulator, machine
from benchmarks.plots import MARK, OTHERS, OURS, open_figure, save_figure
from benchmarks.results import Record, add_flags, judged, print_head, read_records, table_line
from benchmarks.termination import end_on_sigterm

LEAST_RATIO = 40.0
"""The target: so many times less than one run per row, at a thousand scripts and more."""

_TARGET_ROWS = 1_000
_OURS, _RIVAL = "akool-dagster", "one run per row"
# A job takes 0.01 to 0.1 s; the seven days of a link are ten minutes.
_AT_ONCE = ("--speed", "1000", "--tiny-media", "--slots", "100000", "--credits", "100000000")
_QUICK = {"AKOOL_MAX_IN_FLIGHT": "100000", "AKOOL_POLL_SECONDS": "0.05"}
_RIVAL_RUNS = 4
_HEAD = (
    "design", "scripts", "runs", "CPU seconds per script", "ratio", "wall seconds",
    "largest process",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a backfill cost.

    Attributes:
        design: Whose backfill.
        rows: Its scripts.
        runs: Dagster runs that it took.
        cpu_seconds: Of all processes but the emulator.
        wall_seconds: From launch to end.
        peak_bytes: Of the largest process.
    """

    design: str
    rows: int
    runs: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int

    @property
    def per_script(self) -> float:
        """CPU seconds for one script."""
        return self.cpu_seconds / self.rows


def measure(design: str, rows: int) -> Cost:
    """Makes a batch on an emulator of its own.

    Args:
        design: Whose.
        rows: Its scripts.

    Returns:
        What it cost.
    """
    with tempfile.TemporaryDirectory(prefix="akool-overhead-") as name:
        folder = Path(name)
        with emulator(folder, *_AT_ONCE) as akool:
            if design == _RIVAL:
                made = one_run_per_row(akool, folder, rows=rows, max_runs=_RIVAL_RUNS)
            else:
                made = ours(akool, folder, rows=rows, **_QUICK)
    return _cost(design, rows, made)


def _cost(design: str, rows: int, made: Backfilled) -> Cost:
    return Cost(
        design=design,
        rows=rows,
        runs=made.runs,
        cpu_seconds=made.cpu_seconds,
        wall_seconds=made.seconds,
        peak_bytes=made.peak_bytes,
    )


def _line(cost: Cost, rival: Cost | None) -> str:
    return table_line(
        [
            cost.design,
            f"{cost.rows:,}",
            f"{cost.runs:,}",
            f"{cost.per_script:.3f}",
            _ratio(cost, rival),
            f"{cost.wall_seconds:.0f}",
            f"{cost.peak_bytes / 1e6:.0f} MB",
        ]
    )


def _ratio(cost: Cost, rival: Cost | None) -> str:
    if rival is None or cost.design == _RIVAL:
        return ""
    ratio = rival.per_script / cost.per_script
    told = f"{ratio:.0f} times less"
    if cost.rows < _TARGET_ROWS:
        return told
    return f"{judged(told, is_met=ratio >= LEAST_RATIO)} (target {LEAST_RATIO:g})"


def draw(costs: Sequence[Cost], path: Path) -> None:
    """Draws the CPU seconds over the number of scripts, for both designs.

    Args:
        costs: What was measured; one run per row is drawn on from there, as it grows by the row.
        path: Of the picture.
    """
    figure, (panel,) = open_figure(height=4.0)
    mine = sorted((cost for cost in costs if cost.design == _OURS), key=lambda cost: cost.rows)
    theirs = [cost for cost in costs if cost.design == _RIVAL]
    span = sorted({cost.rows for cost in costs})
    if theirs:
        for times, style, colour, label in (
            (1.0, "--", OTHERS, f"{_RIVAL}, the same for each"),
            (1 / LEAST_RATIO, ":", MARK, f"target: {LEAST_RATIO:g} times less"),
        ):
            line = [rows * theirs[-1].per_script * times for rows in span]
            panel.plot(span, line, style, color=colour, label=label)
    panel.plot(
        [cost.rows for cost in theirs],
        [cost.cpu_seconds for cost in theirs],
        "s",
        color=OTHERS,
        label=f"{_RIVAL}, measured",
    )
    panel.plot(
        [cost.rows for cost in mine],
        [cost.cpu_seconds for cost in mine],
        "o-",
        color=OURS,
        label=f"{_OURS}, measured",
    )
    for cost in (*mine, *theirs):
        panel.annotate(
            f"{cost.per_script:.3g} s a script",
            (cost.rows, cost.cpu_seconds),
            xytext=(6, -12),
            textcoords="offset points",
        )
    panel.set(xscale="log", yscale="log", xlabel="scripts", ylabel="CPU seconds of the stack")
    panel.margins(x=0.12)
    panel.legend()
    save_figure(figure, path)


def _measured(chosen: argparse.Namespace) -> Iterator[Cost]:
    if chosen.rival_rows:
        yield measure(_RIVAL, chosen.rival_rows)
    for rows in chosen.rows:
        yield measure(_OURS, rows)


def main() -> None:
    """Measures and prints a Markdown table; **bold** is a target that was missed."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--rival-rows", type=int, default=40, help="0 leaves it out")
    add_flags(parser)
    chosen = parser.parse_args()
    kept = read_records(chosen.tell)
    record = Record(heads=kept.heads or [machine()], path=chosen.save)
    print("\n".join(record.heads), end="\n\n")
    print_head(_HEAD)
    rival: Cost | None = None
    costs: list[Cost] = []
    for cost in (Cost(**one) for one in kept.results) if chosen.tell else _measured(chosen):
        rival = cost if cost.design == _RIVAL else rival
        print(_line(cost, rival), flush=True)
        costs.append(cost)
        record.add(cost)
    if chosen.plot:
        draw(costs, chosen.plot)


if __name__ == "__main__":
    main()
