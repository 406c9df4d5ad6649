"""One batch on a running Dagster, launched as its UI does: by this project, or as is obvious."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from akool_dagster.manifest import read_manifest, write_scripts
from akool_dagster.partitions import register_scripts
from benchmarks.deployment import Akool, Dagster, dagster_dev
from benchmarks.plain_scripts import row_texts

ROW_ASSETS = ("voice_files", "video_requests", "downloaded_videos")

_OBVIOUS_ASSETS = ("voice", "video", "file")  # of benchmarks/one_run_per_row.py
_MANIFEST = "bench"
_QUIET_SECONDS = 10.0
"""The daemon's first ticks belong to its start."""

_GLANCES = 1_000
"""To look how a backfill stands reads all of its keys: the more there are, the less often."""


@dataclass(frozen=True, kw_only=True)
class Backfilled:
    """How a backfill went.

    Attributes:
        runs: Dagster runs that it took.
        seconds: From its launch to its end.
        cpu_seconds: Of all of Dagster's processes meanwhile.
        peak_bytes: Of the largest of them.
    """

    runs: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def ours(akool: Akool, folder: Path, *, rows: int, **settings: str) -> Backfilled:
    """Makes a manifest with this project.

    Args:
        akool: The emulator.
        folder: An empty folder.
        rows: Rows of the manifest.
        settings: Further environment variables; without them the defaults hold.

    Returns:
        How it went.
    """
    data = folder / "data"
    keys = _write_manifest(data, rows)

    def register(instance: dg.DagsterInstance) -> None:
        instance.add_dynamic_partitions("manifests", [_MANIFEST])
        register_scripts(instance, keys)

    env = {**akool.env, "AKOOL_DATA": str(data), **settings}
    with dagster_dev(folder, module="akool_dagster.definitions", env=env) as dagster:
        return _backfill(dagster, folder, ROW_ASSETS, keys=keys, register=register)


def one_run_per_row(akool: Akool, folder: Path, *, rows: int, max_runs: int) -> Backfilled:
    """Makes as many rows with the obvious design.

    Args:
        akool: The emulator.
        folder: An empty folder.
        rows: How many.
        max_runs: Runs at once.

    Returns:
        How it went.
    """
    keys = [name for name, _ in row_texts(rows)]

    def register(instance: dg.DagsterInstance) -> None:
        instance.add_dynamic_partitions("rows", keys)

    env = {**akool.env, "AKOOL_DATA": str(folder / "data")}
    with dagster_dev(
        folder, module="benchmarks.one_run_per_row", env=env, max_runs=max_runs
    ) as dagster:
        return _backfill(dagster, folder, _OBVIOUS_ASSETS, keys=keys, register=register)


def _backfill(
    dagster: Dagster,
    folder: Path,
    assets: Sequence[str],
    *,
    keys: Sequence[str],
    register: Callable[[dg.DagsterInstance], None],
) -> Backfilled:
    with dg.DagsterInstance.from_config(str(folder / "dagster_home")) as instance:
        register(instance)
    time.sleep(_QUIET_SECONDS)
    cpu, began = dagster.meter.seconds(), time.monotonic()
    dagster.wait_for(
        dagster.backfill(assets, partitions=keys), pause=max(0.5, len(keys) / _GLANCES)
    )
    seconds = time.monotonic() - began
    return Backfilled(
        runs=dagster.runs(),
        seconds=seconds,
        cpu_seconds=dagster.meter.seconds() - cpu,
        peak_bytes=dagster.meter.peak_bytes,
    )


def _write_manifest(data: Path, rows: int) -> list[str]:
    path = data / "manifests" / f"{_MANIFEST}.csv"
    path.parent.mkdir(parents=True)
    lines = [f"{name},{text},Emma_en-US,Jane_in_Blue_2024" for name, text in row_texts(rows)]
    path.write_text("\n".join(["script_id,script,voice_id,avatar_id", *lines]))
    manifest = read_manifest(path)
    write_scripts(manifest, data / "scripts" / f"{_MANIFEST}.parquet")
    return manifest.keys
