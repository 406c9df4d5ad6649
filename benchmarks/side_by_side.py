"""The same batch four ways, against one emulator, in one session.

``python -m benchmarks.side_by_side --save side.json --plot side.png`` makes ``--rows`` videos with
(a) a plain script, one after the other, (b) a pool of threads that polls every 5 seconds, (c)
Dagster with one run per row, and (d) this project with its defaults, all on ``--slots`` render
slots of an emulator in real time. (a) makes ``--plain-rows`` only: each further row takes as long
again. What a design must be compared with is the *least* time: that of the renders alone, on slots
that are never empty.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests

from akool_dagster_tests.processes import clean_environment
from benchmarks import backfills
from benchmarks.deployment import Akool, emulator, machine
from benchmarks.plots import MARK, OTHERS, OURS, open_figure, save_figure
from benchmarks.results import Record, add_flags, print_head, read_records, table_line
from benchmarks.termination import end_on_sigterm

_CEILING_SECONDS = 5.0
_CEILING_THREADS = 8
_HEAD = (
    "way", "videos", "wall s", "least", "slots busy", "videos an hour", "status calls a video",
    "requests/s", "CPU s", "CPU s a video",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asked for.

    Attributes:
        rows: Videos of each way but the first.
        plain_rows: Videos of the first.
        slots: Videos that the emulator renders at once.
        render_seconds: Mean render time.
    """

    rows: int
    plain_rows: int
    slots: int
    render_seconds: float


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a way took.

    Attributes:
        seconds: From its start to its end. Dagster's services run already then, as they do in a
            deployment; a plain script is a process of its own.
        cpu_seconds: Of all processes but the emulator.
    """

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one way went.

    Attributes:
        way: Its letter.
        videos: How many it made.
        batch: How many the others made.
        seconds: It took.
        least_seconds: That the renders alone need on the slots.
        render_seconds: Of all renders together.
        slots: Videos that the emulator rendered at once.
        polls: Status calls for videos.
        requests: That the emulator got.
        cpu_seconds: Of all processes but the emulator.
    """

    way: str
    videos: int
    batch: int
    seconds: float
    least_seconds: float
    render_seconds: float
    slots: int
    polls: int
    requests: int
    cpu_seconds: float

    @property
    def busy(self) -> float:
        """Share of the slots' time that was used."""
        return self.render_seconds / (self.slots * self.seconds)


Way = Callable[[Akool, Path, Order], Spent]
"""Makes a batch."""


def plain(akool: Akool, folder: Path, order: Order) -> Spent:
    """(a) One after the other."""
    return _script(akool, folder, rows=order.plain_rows, threads=1)


def threads(akool: Akool, folder: Path, order: Order) -> Spent:
    """(b) As many threads as slots."""
    return _script(akool, folder, rows=order.rows, threads=order.slots)


def one_run_per_row(akool: Akool, folder: Path, order: Order) -> Spent:
    """(c) The obvious Dagster project, with as many runs at once as slots."""
    made = backfills.one_run_per_row(akool, folder, rows=order.rows, max_runs=order.slots)
    return Spent(seconds=made.seconds, cpu_seconds=made.cpu_seconds)


def ours(akool: Akool, folder: Path, order: Order) -> Spent:
    """(d) This project, with its defaults."""
    made = backfills.ours(akool, folder, rows=order.rows, AKOOL_MAX_IN_FLIGHT=str(order.slots))
    return Spent(seconds=made.seconds, cpu_seconds=made.cpu_seconds)


WAYS: dict[str, tuple[str, Way]] = {
    "a": ("a plain script, one after the other", plain),
    "b": ("a pool of threads, polling every 5 s", threads),
    "c": ("Dagster, one run per row", one_run_per_row),
    "d": ("akool-dagster", ours),
}


def measure(letter: str, order: Order) -> Result:
    """Makes a batch on an emulator of its own.

    Args:
        letter: Of the way.
        order: What a person asked for.

    Returns:
        How it went.

    Raises:
        RuntimeError: Videos are missing.
    """
    name, way = WAYS[letter]
    wanted = order.plain_rows if way is plain else order.rows
    flags = (
        "--slots", str(order.slots), "--render-seconds", str(order.render_seconds), "--tiny-media",
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="akool-side-by-side-") as folder:
        with emulator(Path(folder), *flags) as akool:
            spent = way(akool, Path(folder), order)
            videos, stats = akool.jobs("video"), akool.stats()
        saved = len([path for path in Path(folder).rglob("*.mp4") if path.stat().st_size])
    if not saved == len(videos) == wanted:
        raise RuntimeError(f"{name}: {wanted} videos, {len(videos)} asked for, {saved} saved.")
    renders = [video["queueing"] + video["work"] for video in videos]
    return Result(
        way=letter,
        videos=wanted,
        batch=order.rows,
        seconds=spent.seconds,
        least_seconds=max(sum(renders) / order.slots, *renders),
        render_seconds=sum(renders),
        slots=order.slots,
        polls=sum(stats["polls"].get(video["id"], 0) for video in videos),
        requests=sum(stats["requests"].values()),
        cpu_seconds=spent.cpu_seconds,
    )


def _script(akool: Akool, folder: Path, *, rows: int, threads: int) -> Spent:
    command = [
        sys.executable, "-m", "benchmarks.plain_scripts", "--rows", str(rows),
        "--threads", str(threads), "--to", str(folder),
    ]  # fmt: skip
    cpu, began = _cpu_of_children(), time.monotonic()
    subprocess.run(command, env={**clean_environment(), **akool.env}, check=True)
    seconds = time.monotonic() - began
    return Spent(seconds=seconds, cpu_seconds=_cpu_of_children() - cpu)


def _cpu_of_children() -> float:
    """CPU seconds of the processes that this one has started and seen to their ends."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ceiling() -> float:
    """Measures how many requests a second the emulator itself answers.

    Returns:
        Requests a second.
    """
    with tempfile.TemporaryDirectory() as folder, emulator(Path(folder)) as akool:
        until = time.monotonic() + _CEILING_SECONDS

        def ask() -> int:
            count = 0
            with requests.Session() as session:
                session.headers["x-api-key"] = akool.key
                while time.monotonic() < until:
                    session.get(f"{akool.url}/api/open/v3/faceswap/quota/info", timeout=10)
                    count += 1
            return count

        with ThreadPoolExecutor(_CEILING_THREADS) as pool:
            asked = [pool.submit(ask) for _ in range(_CEILING_THREADS)]
            return sum(one.result() for one in asked) / _CEILING_SECONDS


def _line(result: Result) -> str:
    return table_line(
        [
            WAYS[result.way][0],
            result.videos,
            f"{result.seconds:.0f}",
            f"{result.least_seconds:.0f}",
            f"{result.busy:.0%}",
            f"{3600 * result.videos / result.seconds:.0f}",
            f"{result.polls / result.videos:.1f}",
            f"{result.requests / result.seconds:.1f}",
            f"{result.cpu_seconds:.1f}",
            f"{result.cpu_seconds / result.videos:.2f}",
        ]
    )


def draw(results: Sequence[Result], path: Path) -> None:
    """Draws how long each way takes for the batch, and how long it has to.

    Args:
        results: The ways; one that made fewer videos is drawn as if it had gone on like that.
        path: Of the picture.
    """
    figure, (panel,) = open_figure(height=1.1 + 0.45 * len(results))
    names = [WAYS[result.way][0] for result in results]
    scales = [result.batch / result.videos for result in results]
    seconds = [result.seconds * scale for result, scale in zip(results, scales, strict=True)]
    bars = panel.barh(
        names, seconds, color=[OURS if result.way == "d" else OTHERS for result in results]
    )
    for bar, scale in zip(bars, scales, strict=True):
        if scale > 1:
            bar.set(hatch="//", edgecolor="white")
    texts = [
        f"{took:,.0f} s" + (f" (from {result.videos} videos)" if scale > 1 else "")
        for took, result, scale in zip(seconds, results, scales, strict=True)
    ]
    panel.bar_label(bars, labels=texts, padding=4)
    for place, result in enumerate(results):
        least = max(result.render_seconds * scales[place] / result.slots, result.least_seconds)
        panel.plot(
            [least, least],
            [place - 0.4, place + 0.4],
            color=MARK,
            linewidth=2,
            label="least possible: the renders alone" if place == 0 else None,
        )
    first = results[0]
    panel.set(
        xlabel=f"seconds for {first.batch} videos on {first.slots} render slots",
        xlim=(0, max(seconds) * 1.3),
    )
    panel.grid(visible=False, axis="y")
    panel.invert_yaxis()
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1))
    save_figure(figure, path)


def _measured(order: Order, letters: Sequence[str]) -> Iterator[Result]:
    for letter in letters:
        yield measure(letter, order)


def main() -> None:
    """Measures the ways and prints a Markdown table."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--plain-rows", type=int, default=3)
    parser.add_argument("--slots", type=int, default=10)
    parser.add_argument("--render-seconds", type=float, default=30.0)
    parser.add_argument("--only", choices=WAYS, nargs="+", default=list(WAYS), help="which ways")
    add_flags(parser)
    chosen = parser.parse_args()
    order = Order(
        rows=chosen.rows,
        plain_rows=min(chosen.plain_rows, chosen.rows),
        slots=chosen.slots,
        render_seconds=chosen.render_seconds,
    )
    kept = read_records(chosen.tell)
    heads = kept.heads or [
        f"{machine()}; {order.slots} slots, renders of {order.render_seconds:g} s on average; the "
        f"emulator answers up to {ceiling():,.0f} requests/s"
    ]
    record = Record(heads=heads, path=chosen.save)
    print("\n".join(heads), end="\n\n")
    print_head(_HEAD)
    results: list[Result] = []
    told = (Result(**one) for one in kept.results)
    for result in told if chosen.tell else _measured(order, chosen.only):
        print(_line(result), flush=True)
        results.append(result)
        record.add(result)
    if chosen.plot:
        draw(results, chosen.plot)


if __name__ == "__main__":
    main()
