"""How full a batch keeps AKOOL's slots, and how many status calls that takes.

``python -m benchmarks.slots --save slots.json --plot slots.png`` makes batches in virtual time (see
``akool_dagster_tests/slots/slot_world.py``) and prints a Markdown table next to the targets. Every
number but the CPU seconds follows from the seed: the same rows and seed print the same table on any
machine. ``--tell one.json other.json`` tells and draws what several runs with ``--only`` have kept.
"""

import argparse
import logging
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from akool_dagster_tests.slots.slot_world import (
    MEAN_RENDER_SECONDS,
    SIGMA,
    Findings,
    Setting,
    quick_folder,
    simulate,
)
from benchmarks.deployment import machine
from benchmarks.plots import MARK, OURS, open_figure, save_figure
from benchmarks.results import Record, add_flags, judged, print_head, read_records, table_line
from benchmarks.termination import end_on_sigterm

LEAST_UTILISATION = {False: 0.95, True: 0.98}
"""The target, without and with webhooks."""

MOST_STATUS_CALLS = {False: 8.0, True: 2.0}
"""The target per video, on average, without and with webhooks."""

SLOTS = (2, 4, 10, 100)
_DEFAULT = (signal.SIGTERM, signal.SIG_DFL)


def settings(*, rows: int, seed: int) -> list[Setting]:
    """The batches of the table.

    Args:
        rows: Videos of each.
        seed: Decides every drawn number.

    Returns:
        The batches.
    """
    plain = Setting(rows=rows, slots=10, seed=seed)
    return [
        *(
            replace(plain, beyond=beyond, ours=ours, webhooks=webhooks, slots=slots)
            for beyond, ours in (("queues", 1), ("refuses", 5))
            for webhooks in (False, True)
            for slots in SLOTS
        ),
        *(replace(plain, slots=slots, by_speech=True) for slots in (2, 10)),
        replace(plain, beyond="refuses"),
        replace(plain, slots=2, ours=5),
        *(replace(plain, walks=2, webhooks=webhooks) for webhooks in (False, True)),
        replace(plain, webhooks=True, lost_callbacks=0.05),
    ]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the table.

    Attributes:
        setting: The batch.
        found: What was counted.
        cpu_seconds: Of the simulation.
    """

    setting: Setting
    found: Findings
    cpu_seconds: float

    @property
    def is_kept(self) -> bool:
        """Whether all rows were saved, and none was asked for after its end was known."""
        return self.found.saved == self.setting.rows and not self.found.calls_after_end


_HEAD = (
    "videos", "slots", "a create too many", "watching", "slots busy", "target",
    "status calls a video (most)", "target", "hours / least", "CPU s",
)  # fmt: skip


def _cells(line: Line) -> list[str]:
    setting, found = line.setting, line.found
    least, most = LEAST_UTILISATION[setting.webhooks], MOST_STATUS_CALLS[setting.webhooks]
    calls = judged(f"{found.status_calls:.2f}", is_met=found.status_calls <= most)
    return [
        f"{setting.rows:,}",
        str(setting.slots),
        _account(line),
        "webhooks" if setting.webhooks else "polling",
        _busy(found.utilisation, least=least),
        f"{least:.0%}",
        f"{calls} ({found.most_status_calls})",
        f"{most:g}",
        f"{found.hours:.2f} / {found.least_hours:.2f}",
        f"{line.cpu_seconds:.0f}",
    ]


def _busy(share: float, *, least: float) -> str:
    """With a digit more where it would else look like the target that it misses."""
    return f"{share:.1%}" if share >= least else judged(f"{share:.2%}", is_met=False)


def _account(line: Line) -> str:
    """What AKOOL does with a create too many, and whatever else is special about the batch."""
    setting, found = line.setting, line.found
    refused = f" ({found.refused:,} refused)" if found.refused else ""
    account = f"{setting.beyond}, ours {setting.ours * setting.slots}{refused}"
    return ", ".join([account, *_special(setting)])


def _special(setting: Setting) -> Iterator[str]:
    if setting.by_speech:
        yield "by speech"
    if setting.walks > 1:
        yield f"{setting.walks} runs at once"
    if setting.lost_callbacks:
        yield f"{setting.lost_callbacks:.0%} of callbacks lost"


def _timed(setting: Setting, *, folder: str) -> Line:
    logging.getLogger("akool_dagster").setLevel(logging.ERROR)
    began = time.process_time()
    found = simulate(setting, folder=folder)
    return Line(setting=setting, found=found, cpu_seconds=time.process_time() - began)


def draw(lines: Sequence[Line], path: Path) -> None:
    """Draws how many of the slots were busy over the time of each batch.

    Args:
        lines: The batches; a panel each, in rows of as many as there are numbers of slots.
        path: Of the picture.
    """
    columns = min(len(SLOTS), len(lines))
    rows = -(-len(lines) // columns)
    figure, panels = open_figure(height=0.6 + 1.25 * rows, rows=rows, columns=columns)
    lowest = min(share for line in lines for share in line.found.timeline)
    for panel, line in zip(panels, lines, strict=False):
        timeline, target = line.found.timeline, LEAST_UTILISATION[line.setting.webhooks]
        percents = [100 * share for share in timeline]
        panel.plot(range(len(percents)), percents, color=OURS, linewidth=1)
        panel.axhline(100 * target, color=MARK, linestyle="--", linewidth=1)
        panel.set_title(_title(line), fontsize=8, loc="left")
        panel.tick_params(labelsize=8)
    for panel in panels[len(lines) :]:
        panel.set_axis_off()
    panels[0].set_ylim(max(0.0, min(90.0, 100 * lowest - 1)), 100.5)
    figure.supxlabel("% of the time until no row is left to be sent", fontsize=9)
    figure.supylabel("slots busy, % (dashed: target)", fontsize=9)
    save_figure(figure, path)


def _title(line: Line) -> str:
    setting = line.setting
    watching = "webhooks" if setting.webhooks else "polling"
    account = f"AKOOL {setting.beyond}, ours {setting.ours * setting.slots}"
    return (
        f"{setting.slots} slots, {watching}: {line.found.utilisation:.1%}\n"
        f"{', '.join(_special(setting)) or account}"
    )


def _line_from(kept: dict[str, Any]) -> Line:
    return Line(
        setting=Setting(**kept["setting"]),
        found=Findings(**kept["found"]),
        cpu_seconds=kept["cpu_seconds"],
    )


def _told(kept: Sequence[dict[str, Any]]) -> list[Line]:
    """Puts kept lines into the order of the table; of a batch that ran twice the last one holds."""
    lines = {line.setting: line for line in map(_line_from, kept)}
    order = {
        setting: place
        for rows, seed in {(setting.rows, setting.seed) for setting in lines}
        for place, setting in enumerate(settings(rows=rows, seed=seed))
    }
    return sorted(
        lines.values(), key=lambda line: (-line.setting.rows, order.get(line.setting, len(order)))
    )


def _measured(batches: Sequence[Setting]) -> Iterator[Line]:
    # On leaving, the pool ends its processes whatever they are at, by their default for SIGTERM.
    with (
        tempfile.TemporaryDirectory(dir=quick_folder(), prefix="akool-slots-") as folder,
        multiprocessing.Pool(initializer=signal.signal, initargs=_DEFAULT) as pool,
    ):
        yield from pool.imap(partial(_timed, folder=folder), batches)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="videos of each batch")
    parser.add_argument("--seed", type=int, default=1, help="decides every drawn number")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of lines, from 1")
    add_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Prints the table; ends with 1 when a row was lost or a video asked for after its end."""
    end_on_sigterm()
    chosen = _arguments()
    batches = settings(rows=chosen.rows, seed=chosen.seed)
    if chosen.only:
        batches = [batches[number - 1] for number in chosen.only]
    kept = read_records(chosen.tell)
    heads = kept.heads or [
        f"{machine()}; seed {chosen.seed}, log-normal render times of mean "
        f"{MEAN_RENDER_SECONDS:g} s, sigma {SIGMA}"
    ]
    record = Record(heads=heads, path=chosen.save)
    print("\n".join(heads), end="\n\n")
    print_head(_HEAD)
    lines: list[Line] = []
    for line in _told(kept.results) if chosen.tell else _measured(batches):
        print(table_line(_cells(line)), flush=True)
        lines.append(line)
        record.add(line)
    if chosen.plot:
        draw(lines, chosen.plot)
    broken = [line for line in lines if not line.is_kept]
    print(
        "\nAll rows were saved, and no video was asked for after a look had found it finished."
        if not broken
        else "\nBROKEN: rows were lost, or a video was asked for after its end: "
        + "; ".join(", ".join(_cells(line)[:4]) for line in broken)
    )
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
