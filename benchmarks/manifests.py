"""What it costs to read, check, compare and plan large manifests, beside Arrow's bare reading.

``python -m benchmarks.manifests --rows 100000 1000000`` writes manifests, a ledger and a checked
copy that know their rows, and then takes the path of ``akool-dagster plan``, one process for each
line of the table. One row in a hundred has a changed script, one is new, and one is gone.
"""

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from akool_dagster.batch.preview import Change, Preview, preview
from akool_dagster.batch.prices import PriceBook
from akool_dagster.batch.row_status import statuses_but_saved
from akool_dagster.cli.plan import collecting_no_garbage
from akool_dagster.ledger import Kind, Ledger
from akool_dagster.manifest import ScriptRow, read_manifest, read_script_keys, write_scripts
from benchmarks.deployment import machine
from benchmarks.plots import Bar, draw_bars
from benchmarks.termination import end_on_sigterm

TARGETS = {100_000: (3.0, 400.0), 1_000_000: (30.0, None)}
"""Most seconds and, after imports, most MB for a whole plan, by number of rows.

Nearly all of it happens in one thread, so CPU seconds are what a machine without other work needs.
"""

_SERVICE = "benchmark"
_BLOCK = 10_000
_SCRIPT = (
    "Hello, customer {n}, and welcome back to our store! This week we have put together an offer "
    "for you: your order {old}{n} comes with free delivery, and the second item costs half."
)
_EXPECTED = (Change.NEW, Change.CHANGED_VOICE, Change.DONE)
_PLAN = "read, checked, compared with ledger and copy, planned"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one process needed after its imports.

    Attributes:
        wall_seconds: From then on.
        cpu_seconds: Of all of its threads.
        megabytes: By which its peak is above what the imports took.
        imports_megabytes: What these took.
    """

    wall_seconds: float
    cpu_seconds: float
    megabytes: float
    imports_megabytes: float


def make(folder: Path, *, rows: int) -> None:
    """Writes the manifests, the checked copy of what they were before, and the ledger.

    Args:
        folder: Where.
        rows: Rows of a manifest.
    """
    before, now = folder / "before" / "bench.csv", folder / "bench.csv"
    _write_csv(before, range(rows // 100, rows + rows // 100), changed=0)
    _write_csv(now, range(rows), changed=100)
    parquet.write_table(csv.read_csv(now), folder / "bench.parquet")
    known = read_manifest(before)
    write_scripts(known, folder / "scripts.parquet")
    with Ledger.open(_ledger_url(folder), service=_SERVICE):
        pass
    _fill_ledger(folder / "ledger.sqlite", known.rows())


def _write_csv(path: Path, numbers: range, *, changed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.write("script_id,script,voice_id,avatar_id,rate,title\n")
        for n in numbers:
            old = "" if not changed or n % changed else "again "
            script = _SCRIPT.format(n=n, old=old)
            file.write(f'row-{n},"{script}",Emma_en-US,Jane_in_Blue_2024,105%,Offer {n}\n')


def _fill_ledger(path: Path, rows: Iterable[ScriptRow]) -> None:
    """Writes saved voices and videos, past the ledger's own interface: that takes an hour."""
    attempt = (
        "insert into akool_attempts (id, service, kind, content_hash, number, state, api, "
        "webhook_token, remote_id, try_again, spent_credits, media_seconds, planned_at, "
        f"settled_at, looks) values (?, '{_SERVICE}', ?, ?, 1, 'saved', 'v4', ?, ?, 0, 10.0, 14.0, "
        "1.0, 2.0, 5)"
    )
    delivery = (
        "insert into akool_deliveries (service, script_key, kind, content_hash, manifest, asked_at,"
        " changed_at, attempt_id, path, sha256, size_bytes, media_seconds, saved_at, tries, "
        f"next_try_at) values ('{_SERVICE}', ?, ?, ?, 'bench', 1.0, 2.0, ?, ?, ?, 1000000, 14.0, "
        "2.0, 0, 0.0)"
    )
    connection, rows = sqlite3.connect(path), iter(rows)
    number = 0
    while block := list(islice(rows, _BLOCK)):
        tries, files = [], []
        for row in block:
            for kind, content in ((Kind.VOICE, row.voice_hash), (Kind.VIDEO, row.video_hash)):
                number += 1
                tries.append((number, kind.value, content, f"t{number}", f"r{number}"))
                path_of_file = f"{kind.value}s/bench/{row.script_id}.bin"
                files.append((row.key, kind.value, content, number, path_of_file, content))
        connection.executemany(attempt, tries)
        connection.executemany(delivery, files)
        connection.commit()
    connection.close()


def _ledger_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.sqlite'}"


def _bare_csv(folder: Path) -> None:
    csv.read_csv(folder / "bench.csv")


def _bare_parquet(folder: Path) -> None:
    parquet.read_table(folder / "bench.parquet")


def _read_csv(folder: Path) -> None:
    read_manifest(folder / "bench.csv")


def _read_parquet(folder: Path) -> None:
    read_manifest(folder / "bench.parquet")


def _plan_csv(folder: Path) -> None:
    _plan(folder, folder / "bench.csv")


def _plan_parquet(folder: Path) -> None:
    _plan(folder, folder / "bench.parquet")


def _plan_new(folder: Path) -> None:
    seen = _seen(folder, folder / "bench.csv", service="another")
    if seen.to_request != seen.rows:
        raise RuntimeError(f"a wrong plan: {seen}")


def _plan(folder: Path, path: Path) -> None:
    seen = _seen(folder, path, service=_SERVICE)
    few = seen.rows // 100
    counts = {change: group.rows for change, group in seen.groups.items() if group.rows}
    both = -(-few // 100)  # a new row is no changed one
    if counts[Change.NEW] != few or not few - both <= counts[Change.CHANGED_VOICE] <= few:
        raise RuntimeError(f"a wrong plan: {counts}")
    if sum(counts.values()) != sum(counts[change] for change in _EXPECTED):
        raise RuntimeError(f"a wrong plan: {counts}")
    if len(seen.removed) != few:
        raise RuntimeError(f"{len(seen.removed)} rows are removed in place of {few}")


@collecting_no_garbage()
def _seen(folder: Path, path: Path, *, service: str) -> Preview:
    manifest = read_manifest(path)
    with Ledger.open(_ledger_url(folder), service=service) as ledger:
        known = ledger.deliveries.keys_of(manifest.name)
        known |= set(read_script_keys(folder / "scripts.parquet"))
        statuses, done = statuses_but_saved(ledger, manifest)
        return preview(
            statuses,
            PriceBook.from_ledger(ledger),
            clones_apart=True,
            known_keys=known,
            done_keys=done,
        )


PATHS: dict[str, Callable[[Path], None]] = {
    "CSV: Arrow alone": _bare_csv,
    "CSV: read and checked": _read_csv,
    f"CSV: {_PLAN}": _plan_csv,
    f"CSV: every row new, {_PLAN}": _plan_new,
    "Parquet: Arrow alone": _bare_parquet,
    "Parquet: read and checked": _read_parquet,
    f"Parquet: {_PLAN}": _plan_parquet,
}
"""What is measured, by what the table calls it."""


def measure(what: str, folder: Path) -> Cost:
    """Takes one of the `PATHS` in this process.

    Args:
        what: Its name.
        folder: Where :func:`make` has written.

    Returns:
        Its cost.
    """
    imports = _peak_megabytes()
    wall, cpu = time.monotonic(), time.process_time()
    PATHS[what](folder)
    return Cost(
        wall_seconds=time.monotonic() - wall,
        cpu_seconds=time.process_time() - cpu,
        megabytes=_peak_megabytes() - imports,
        imports_megabytes=imports,
    )


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_own_process(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.manifests", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _judged(text: str, *, value: float, most: float | None) -> str:
    return text if most is None else f"{text if value <= most else f'**{text}**'} (≤ {most:g})"


def _bar(rows: int, what: str, cost: Cost) -> Bar:
    target = TARGETS.get(rows, (None, None))[0] if what.endswith(_PLAN) else None
    is_ours = not what.endswith("Arrow alone")
    return Bar(what=what, value=cost.cpu_seconds, is_ours=is_ours, target=target)


def _line(rows: int, what: str, cost: Cost) -> str:
    seconds, megabytes = TARGETS.get(rows, (None, None)) if what.endswith(_PLAN) else (None, None)
    return (
        f"| {rows:,} | {what} | "
        f"{cost.wall_seconds:.2f} | "
        f"{_judged(f'{cost.cpu_seconds:.2f}', value=cost.cpu_seconds, most=seconds)} | "
        f"{_judged(f'{cost.megabytes:.0f} MB', value=cost.megabytes, most=megabytes)} |"
    )


def main() -> None:
    """Measures and prints a Markdown table; **bold** is a target that was missed."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--plot", type=Path, help="draw the seconds (.png)")
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--measure", choices=PATHS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        make(chosen.folder, rows=chosen.make)
    elif chosen.measure:
        print(json.dumps(asdict(measure(chosen.measure, chosen.folder))))
    else:
        _table(chosen.rows, plot=chosen.plot)


def _table(sizes: Sequence[int], *, plot: Path | None) -> None:
    print(f"{machine()}, Arrow {pa.__version__}, load {os.getloadavg()[0]:.1f}\n")
    print("| rows | what | wall seconds | CPU seconds | peak memory above imports |")
    print("| --- | --- | --- | --- | --- |")
    imports, panels = 0.0, []
    for rows in sizes:
        bars = []
        with tempfile.TemporaryDirectory(prefix="akool-manifests-") as folder:
            _in_own_process("--make", str(rows), "--folder", folder)
            for what in PATHS:
                answer = _in_own_process("--measure", what, "--folder", folder)
                cost = Cost(**json.loads(answer))
                imports = max(imports, cost.imports_megabytes)
                print(_line(rows, what, cost), flush=True)
                bars.append(_bar(rows, what, cost))
        panels.append((f"CPU seconds, {rows:,} rows", bars))
    print(f"\nThe imports take {imports:.0f} MB. Load at the end: {os.getloadavg()[0]:.1f}.")
    if plot:
        draw_bars(panels, plot)


if __name__ == "__main__":
    main()
