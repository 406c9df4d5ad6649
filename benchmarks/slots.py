"""How full a batch keeps AKOOL's slots, and how many status calls that takes.

``python -m benchmarks.slots`` makes batches in virtual time (see
``akool_dagster_tests/slots/slot_world.py``) and prints a Markdown table next to the targets. Every
number follows from the seed: the same rows and seed print the same table on any machine.
"""

import argparse
import logging
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from PIL import Image, ImageDraw

from akool_dagster_tests.slots.slot_world import (
    MEAN_RENDER_SECONDS,
    SIGMA,
    Findings,
    Setting,
    simulate,
)

LEAST_UTILISATION = {False: 0.95, True: 0.98}
"""The target, without and with webhooks."""

MOST_STATUS_CALLS = {False: 8.0, True: 2.0}
"""The target per video, on average, without and with webhooks."""

SLOTS = (2, 4, 10, 100)


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
        *(replace(plain, slots=slots) for slots in SLOTS),
        *(replace(plain, slots=slots, webhooks=True) for slots in SLOTS),
        *(replace(plain, slots=slots, by_speech=True) for slots in (2, 10)),
        *(replace(plain, slots=slots, beyond="refuses") for slots in (2, 10)),
        *(replace(plain, slots=slots, beyond="refuses", ours=5) for slots in (2, 10)),
        replace(plain, ours=2),
        replace(plain, slots=2, ours=5),
        replace(plain, walks=2),
        replace(plain, walks=2, webhooks=True),
        replace(plain, webhooks=True, lost_callbacks=0.05),
    ]


def _line(setting: Setting, found: Findings, *, seconds: float) -> str:
    least, most = LEAST_UTILISATION[setting.webhooks], MOST_STATUS_CALLS[setting.webhooks]
    watching = "webhooks" if setting.webhooks else "polling"
    if setting.lost_callbacks:
        watching += f", {setting.lost_callbacks:.0%} lost"
    cells = [
        str(setting.slots),
        f"{setting.beyond}, ours {setting.ours * setting.slots}",
        watching,
        "by speech" if setting.by_speech else "free",
        str(setting.walks),
        _judged(f"{found.utilisation:.1%}", is_met=found.utilisation >= least),
        f"{least:.0%}",
        _judged(f"{found.status_calls:.2f}", is_met=found.status_calls <= most),
        f"{most:g}",
        str(found.most_status_calls),
        _judged(str(found.calls_after_end), is_met=not found.calls_after_end),
        str(found.refused),
        f"{found.hours:.2f} / {found.least_hours:.2f}",
        _judged(str(found.saved), is_met=found.saved == setting.rows),
        f"{seconds:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _judged(text: str, *, is_met: bool) -> str:
    return text if is_met else f"**{text}**"


_HEAD = (
    "slots", "a create too many", "watching", "render times", "runs", "slots busy", "target",
    "status calls a video", "target", "most", "after the end", "refused creates",
    "hours / least", "saved", "CPU s",
)  # fmt: skip


def _timed(setting: Setting) -> tuple[Findings, float]:
    logging.getLogger("akool_dagster").setLevel(logging.ERROR)
    began = time.process_time()
    return simulate(setting), time.process_time() - began


def draw(results: Sequence[tuple[Setting, Findings]], path: Path) -> None:
    """Draws how many of the slots were busy over the time of each batch.

    Args:
        results: The batches.
        path: Of the picture; its suffix tells the format, as Pillow knows them.
    """
    width, height, left = 900, 70, 250
    image = Image.new("RGB", (width, height * len(results) + 20), "white")
    pen = ImageDraw.Draw(image)
    for number, (setting, found) in enumerate(results):
        top = 10 + number * height
        bottom, step = top + height - 24, (width - left - 20) / len(found.timeline)
        for place, share in enumerate(found.timeline):
            x = left + place * step
            pen.rectangle((x, bottom - share * (bottom - top), x + step - 1, bottom), "#2f6f9f")
        pen.line((left, top, width - 20, top), "#999999")
        pen.line((left, bottom, width - 20, bottom), "#333333")
        watching = "webhooks" if setting.webhooks else "polling"
        pen.text((10, top), f"{setting.slots} slots, {watching}", "black")
        pen.text((10, top + 14), f"AKOOL {setting.beyond}, {setting.walks} run(s)", "black")
        pen.text((10, top + 28), f"{found.utilisation:.1%} busy", "black")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="videos of each batch")
    parser.add_argument("--seed", type=int, default=1, help="decides every drawn number")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of lines, from 1")
    parser.add_argument("--plot", type=Path, help="draw the busy slots over time (.png)")
    return parser.parse_args()


def main() -> None:
    """Prints the table; ends with 1 when a row was lost or a video asked for after its end."""
    chosen = _arguments()
    batches = settings(rows=chosen.rows, seed=chosen.seed)
    if chosen.only:
        batches = [batches[number - 1] for number in chosen.only]
    today = datetime.now(timezone.utc).date()
    print(
        f"{today}, {os.cpu_count()} CPUs ({platform.machine()}), Python "
        f"{platform.python_version()}, {platform.system()}; {chosen.rows:,} videos a line, seed "
        f"{chosen.seed}, log-normal render times of mean {MEAN_RENDER_SECONDS:g} s, sigma {SIGMA}\n"
    )
    print(f"| {' | '.join(_HEAD)} |\n| {' | '.join('---' for _ in _HEAD)} |")
    results: list[tuple[Setting, Findings]] = []
    with ProcessPoolExecutor() as pool:
        for setting, (found, seconds) in zip(batches, pool.map(_timed, batches), strict=True):
            print(_line(setting, found, seconds=seconds), flush=True)
            results.append((setting, found))
    if chosen.plot:
        draw(results, chosen.plot)
    sys.exit(any(found.saved < s.rows or found.calls_after_end for s, found in results))


if __name__ == "__main__":
    main()
