"""What the stack itself costs per script, with videos that take no time.

``python -m benchmarks.overhead --rows 100 1000`` runs real backfills of the three row assets over
webserver, daemon, runs, ledger and events on SQLite, and adds up the CPU of all of these processes
(the emulator is another process and not counted), from the launch of the backfill to its end. The
obvious design, one run per row, is measured in the same session at ``--rival-rows``.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from akool_dagster.manifest import read_manifest, write_scripts
from akool_dagster.partitions import register_scripts
from benchmarks.deployment import Akool, Dagster, dagster_dev, emulator, machine

ROW_ASSETS = ("voice_files", "video_requests", "downloaded_videos")
# A job takes 0.01 to 0.1 s; the seven days of a link are ten minutes.
AT_ONCE = ("--speed", "1000", "--tiny-media", "--slots", "100000")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a backfill cost.

    Attributes:
        rows: Its rows.
        runs: Dagster runs that it took.
        cpu_seconds: Of all processes but the emulator.
        wall_seconds: From launch to end.
        peak_bytes: Of the largest process.
    """

    rows: int
    runs: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int

    @property
    def per_script(self) -> float:
        """CPU seconds for one script."""
        return self.cpu_seconds / self.rows


def ours(akool: Akool, folder: Path, *, rows: int) -> Cost:
    """Backfills a manifest with this project.

    Args:
        akool: The emulator.
        folder: An empty folder.
        rows: Rows of the manifest.

    Returns:
        Its cost.
    """
    env = {
        "AKOOL_BASE_URL": akool.url, "AKOOL_API_KEY": akool.key,
        "AKOOL_DATA": str(folder / "data"), "AKOOL_MAX_IN_FLIGHT": "100000",
        "AKOOL_POLL_SECONDS": "0.05",
    }  # fmt: skip
    keys = _manifest(folder / "data", rows)
    with dagster_dev(folder, module="akool_dagster.definitions", env=env) as dagster:
        with _instance(folder) as instance:
            instance.add_dynamic_partitions("manifests", ["bench"])
            register_scripts(instance, keys)
        return _measure(dagster, ROW_ASSETS, keys)


def one_run_per_row(akool: Akool, folder: Path, *, rows: int) -> Cost:
    """Backfills as many rows with the obvious design.

    Args:
        akool: The emulator.
        folder: An empty folder.
        rows: How many.

    Returns:
        Its cost.
    """
    env = {
        "AKOOL_BASE_URL": akool.url, "AKOOL_API_KEY": akool.key,
        "AKOOL_DATA": str(folder / "data"),
    }  # fmt: skip
    keys = [f"row-{number}" for number in range(rows)]
    with dagster_dev(folder, module="benchmarks.one_run_per_row", env=env) as dagster:
        with _instance(folder) as instance:
            instance.add_dynamic_partitions("rows", keys)
        return _measure(dagster, ("voice", "video", "file"), keys)


def _measure(dagster: Dagster, assets: Sequence[str], keys: Sequence[str]) -> Cost:
    time.sleep(10)  # the daemon's first ticks belong to its start
    cpu, began = dagster.meter.seconds(), time.monotonic()
    dagster.wait_for(dagster.backfill(assets, partitions=keys))
    return Cost(
        rows=len(keys),
        runs=dagster.runs(),
        cpu_seconds=dagster.meter.seconds() - cpu,
        wall_seconds=time.monotonic() - began,
        peak_bytes=dagster.meter.peak_bytes,
    )


def _manifest(data: Path, rows: int) -> list[str]:
    path = data / "manifests" / "bench.csv"
    path.parent.mkdir(parents=True)
    lines = [
        f"row-{n},This is script number {n}.,Emma_en-US,Jane_in_Blue_2024" for n in range(rows)
    ]
    path.write_text("\n".join(["script_id,script,voice_id,avatar_id", *lines]))
    manifest = read_manifest(path)
    write_scripts(manifest, data / "scripts" / "bench.parquet")
    return manifest.keys


def _instance(folder: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(folder / "dagster_home"))


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--rival-rows", type=int, default=40, help="0 leaves it out")
    chosen = parser.parse_args()
    print(f"{machine()}\n")
    print("| design | scripts | runs | CPU seconds per script | wall seconds | largest process |")
    print("| --- | --- | --- | --- | --- | --- |")
    jobs = [("one run per row", one_run_per_row, chosen.rival_rows)] if chosen.rival_rows else []
    jobs += [("akool-dagster", ours, rows) for rows in chosen.rows]
    for name, make, rows in jobs:
        with tempfile.TemporaryDirectory(prefix="akool-overhead-") as folder:
            where = Path(folder)
            with emulator(where, *AT_ONCE) as akool:
                cost = make(akool, where, rows=rows)
        print(
            f"| {name} | {cost.rows:,} | {cost.runs:,} | {cost.per_script:.3f} | "
            f"{cost.wall_seconds:.0f} | {cost.peak_bytes / 1e6:.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
