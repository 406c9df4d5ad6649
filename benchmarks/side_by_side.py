"""The same batch four ways, against one emulator, in one session.

``python -m benchmarks.side_by_side --plot docs/images/side-by-side.png`` makes ``--rows`` videos
with (a) a plain script, one after the other, (b) a pool of threads that polls every 5 seconds, (c)
Dagster with one run per row, and (d) this project, all on ``--slots`` render slots of one emulator
in real time. *Slots busy* compares with the least time that the slots need. (a) makes
``--plain-rows`` only: each further row takes as long again.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import requests

from akool_dagster.manifest import read_manifest, write_scripts
from akool_dagster.partitions import register_scripts
from benchmarks.deployment import Akool, CpuMeter, dagster_dev, emulator, machine
from benchmarks.overhead import ROW_ASSETS
from benchmarks.plain_scripts import many_at_once, one_after_the_other

_CEILING_SECONDS = 5.0
_CEILING_THREADS = 8


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
class Result:
    """How one way went.

    Attributes:
        name: Of the way.
        rows: Videos that it made.
        seconds: From the first request to the last file.
        least: Seconds that the renders alone need on the slots.
        cpu_seconds: Of Dagster's processes, None for a plain script.
    """

    name: str
    rows: int
    seconds: float
    least: float
    cpu_seconds: float | None = None

    @property
    def busy(self) -> float:
        """Share of the slots' time that was used."""
        return self.least / self.seconds


Way = Callable[[Akool, Path, Order], tuple[float, float | None]]
"""Makes a batch; gives its seconds, and the CPU seconds of Dagster's processes."""


def plain(akool: Akool, folder: Path, order: Order) -> tuple[float, float | None]:
    """(a) One after the other."""
    began = time.monotonic()
    rows = _texts(order.plain_rows)
    one_after_the_other(rows, url=akool.url, key=akool.key, to=folder)
    return time.monotonic() - began, None


def threads(akool: Akool, folder: Path, order: Order) -> tuple[float, float | None]:
    """(b) As many threads as slots."""
    began = time.monotonic()
    rows = _texts(order.rows)
    many_at_once(rows, threads=order.slots, url=akool.url, key=akool.key, to=folder)
    return time.monotonic() - began, None


def one_run_per_row(akool: Akool, folder: Path, order: Order) -> tuple[float, float | None]:
    """(c) The obvious Dagster project, with as many runs at once as slots."""
    keys = [name for name, _ in _texts(order.rows)]
    env = {**_akool_env(akool), "AKOOL_DATA": str(folder / "data")}
    with dagster_dev(
        folder, module="benchmarks.one_run_per_row", env=env, max_runs=order.slots
    ) as dagster:
        with dg.DagsterInstance.from_config(str(folder / "dagster_home")) as instance:
            instance.add_dynamic_partitions("rows", keys)
        return _backfilled(dagster.meter, lambda: dagster.wait_for(
            dagster.backfill(("voice", "video", "file"), partitions=keys)
        ))  # fmt: skip


def ours(akool: Akool, folder: Path, order: Order) -> tuple[float, float | None]:
    """(d) This project, with its defaults."""
    env = {
        **_akool_env(akool),
        "AKOOL_DATA": str(folder / "data"),
        "AKOOL_MAX_IN_FLIGHT": str(order.slots),
    }
    path = folder / "data" / "manifests" / "bench.csv"
    path.parent.mkdir(parents=True)
    lines = [f"{name},{text},Emma_en-US,Jane_in_Blue_2024" for name, text in _texts(order.rows)]
    path.write_text("\n".join(["script_id,script,voice_id,avatar_id", *lines]))
    manifest = read_manifest(path)
    write_scripts(manifest, folder / "data" / "scripts" / "bench.parquet")
    with dagster_dev(folder, module="akool_dagster.definitions", env=env) as dagster:
        with dg.DagsterInstance.from_config(str(folder / "dagster_home")) as instance:
            instance.add_dynamic_partitions("manifests", ["bench"])
            register_scripts(instance, manifest.keys)
        return _backfilled(dagster.meter, lambda: dagster.wait_for(
            dagster.backfill(ROW_ASSETS, partitions=manifest.keys)
        ))  # fmt: skip


WAYS: Sequence[tuple[str, Way]] = (
    ("a plain script, one after the other", plain),
    ("a pool of threads, polling every 5 s", threads),
    ("Dagster, one run per row", one_run_per_row),
    ("akool-dagster", ours),
)


def measure(name: str, way: Way, order: Order) -> Result:
    """Makes a batch on an emulator of its own.

    Args:
        name: Of the way.
        way: How it is made.
        order: What a person asked for.

    Returns:
        How it went.
    """
    with tempfile.TemporaryDirectory(prefix="akool-side-by-side-") as name_of_folder:
        folder = Path(name_of_folder)
        flags = (
            "--slots", str(order.slots), "--render-seconds", str(order.render_seconds),
            "--tiny-media",
        )  # fmt: skip
        with emulator(folder, *flags) as akool:
            seconds, cpu = way(akool, folder, order)
            jobs = requests.get(f"{akool.url}/emulator/jobs", timeout=60).json()["jobs"]
    videos = [job for job in jobs if job["kind"] == "video"]
    work = sum(job["queueing"] + job["work"] for job in videos)
    slots = 1 if way is plain else order.slots
    return Result(name=name, rows=len(videos), seconds=seconds, least=work / slots, cpu_seconds=cpu)


def ceiling() -> float:
    """Measures how many requests a second the emulator itself answers.

    Returns:
        Status calls a second.
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


def draw(results: Sequence[Result], path: str) -> None:
    """Draws how busy each way kept the slots.

    Args:
        results: The ways.
        path: Of the picture.
    """
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
    bars = axes.barh([r.name for r in results], [100 * r.busy for r in results], color="#4f6bed")
    axes.bar_label(bars, fmt="%.0f %%", padding=3)
    axes.set(xlim=(0, 112), xlabel="time of the render slots that was used, %")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def _texts(rows: int) -> list[tuple[str, str]]:
    return [(f"row-{number}", f"This is row-{number}.") for number in range(rows)]


def _akool_env(akool: Akool) -> dict[str, str]:
    return {"AKOOL_BASE_URL": akool.url, "AKOOL_API_KEY": akool.key}


def _backfilled(meter: CpuMeter, backfill: Callable[[], None]) -> tuple[float, float]:
    time.sleep(10)  # the daemon's first ticks belong to its start
    cpu, began = meter.seconds(), time.monotonic()
    backfill()
    return time.monotonic() - began, meter.seconds() - cpu


def main() -> None:
    """Measures all ways and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--plain-rows", type=int, default=3)
    parser.add_argument("--slots", type=int, default=20)
    parser.add_argument("--render-seconds", type=float, default=60.0)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of lines, from 1")
    parser.add_argument("--plot", help="draw them (.png or .svg)")
    chosen = parser.parse_args()
    order = Order(
        rows=chosen.rows,
        plain_rows=chosen.plain_rows,
        slots=chosen.slots,
        render_seconds=chosen.render_seconds,
    )
    print(f"{machine()}; the emulator answers {ceiling():,.0f} requests/s\n")
    print("| way | videos | seconds | least | slots busy | Dagster's CPU s per video |")
    print("| --- | --- | --- | --- | --- | --- |")
    results = []
    for number, (name, way) in enumerate(WAYS, start=1):
        if chosen.only and number not in chosen.only:
            continue
        result = measure(name, way, order)
        results.append(result)
        cpu = "" if result.cpu_seconds is None else f"{result.cpu_seconds / result.rows:.2f}"
        print(
            f"| {name} | {result.rows} | {result.seconds:.0f} | {result.least:.0f} | "
            f"{result.busy:.0%} | {cpu} |",
            flush=True,
        )
    if chosen.plot:
        draw(results, chosen.plot)


if __name__ == "__main__":
    main()
