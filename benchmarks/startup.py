"""How long the code location and the commands take to start, and what memory a run needs.

``python -m benchmarks.startup --rounds 7`` starts fresh processes, by turns, and prints medians: of
imports beside bare ``import dagster``, of commands beside Python itself, and of one run of one row
(voice, video and file, on the emulator) beside a run of a job that does nothing.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.deployment import SCRIPTS, Akool, emulator, machine
from benchmarks.plots import Bar, draw_bars
from benchmarks.termination import end_on_sigterm

_IMPORT, _OUR_IMPORT = "`import dagster`", "`import akool_dagster.definitions`"
_TRIVIAL, _OUR_RUN = "a run of a job that does nothing", "a run of one row to its video"

MOST_IMPORT = 1.3
"""Times the CPU seconds of ``import dagster``."""

MOST_MEMORY = 1.5
"""Times the peak memory of a run of a job that does nothing."""

_ROWS = 100
_YAML = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one process needed.

    Attributes:
        wall_seconds: From its start to its end.
        cpu_seconds: Its own, and those of what it started.
        megabytes: Its peak memory.
    """

    wall_seconds: float
    cpu_seconds: float
    megabytes: float


def run_nothing() -> None:
    """Runs a job of one operation on the instance of ``DAGSTER_HOME``."""
    import dagster as dg

    @dg.asset
    def nothing() -> None:
        return None

    definitions = dg.Definitions(
        assets=[nothing],
        jobs=[dg.define_asset_job("do_nothing", selection=[nothing])],
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.get() as instance:
        job = definitions.resolve_job_def("do_nothing")
        if not job.execute_in_process(instance=instance).success:
            raise RuntimeError("the run failed")


def run_one_row() -> None:
    """Runs ``generate_videos`` for the next script of the manifest."""
    import dagster as dg

    from akool_dagster.definitions import defs
    from akool_dagster.partitions import register_scripts

    with dg.DagsterInstance.get() as instance:
        key = f"bench.{len(instance.get_dynamic_partitions('scripts'))}"
        register_scripts(instance, [key])
        job = defs.resolve_job_def("generate_videos")
        if not job.execute_in_process(instance=instance, partition_key=key).success:
            raise RuntimeError("the run failed")


RUNS: dict[str, Callable[[], None]] = {"nothing": run_nothing, "one-row": run_one_row}


def measured(command: list[str], env: Mapping[str, str]) -> Cost:
    """Measures a process by a small one of its own, whose only child it is.

    Args:
        command: What to start.
        env: Added to the environment.

    Returns:
        Its cost.
    """
    script = [sys.executable, "-m", "benchmarks.startup", "--measure", json.dumps(command)]
    answer = subprocess.run(
        script, env={**os.environ, **env}, check=True, stdout=subprocess.PIPE, text=True
    )
    return Cost(**json.loads(answer.stdout))


def _measure(command: list[str]) -> Cost:
    wall = time.monotonic()
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    wall = time.monotonic() - wall
    # 1: scripts of this manifest are still to be made.
    if ended.returncode not in (0, 1) or "Traceback" in ended.stderr:
        raise RuntimeError(f"{command} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(
        wall_seconds=wall,
        cpu_seconds=used.ru_utime + used.ru_stime,
        megabytes=used.ru_maxrss / 1024,
    )


def _commands() -> dict[str, list[str]]:
    python, ours = sys.executable, str(SCRIPTS / "akool-dagster")
    return {
        "Python alone": [python, "-c", ""],
        _IMPORT: [python, "-c", "import dagster"],
        _OUR_IMPORT: [python, "-c", "import akool_dagster.definitions"],
        "`akool-dagster --help`": [ours, "--help"],
        "`akool-dagster plan bench`, 100 rows": [ours, "plan", "bench"],
        "`akool-dagster status bench`, 100 rows": [ours, "status", "bench"],
        _TRIVIAL: [python, "-m", "benchmarks.startup", "--run=nothing"],
        _OUR_RUN: [python, "-m", "benchmarks.startup", "--run=one-row"],
    }


def _prepared(akool: Akool, folder: Path) -> dict[str, str]:
    """Makes a deployment with some validated rows, and names its environment."""
    from akool_dagster.manifest import read_manifest, write_scripts

    home, data = folder / "dagster_home", folder / "data"
    home.mkdir()
    (home / "dagster.yaml").write_text(_YAML)
    path = data / "manifests" / "bench.csv"
    path.parent.mkdir(parents=True)
    lines = [f"{n},Hello number {n}.,Emma_en-US,Jane_in_Blue_2024" for n in range(_ROWS)]
    path.write_text("\n".join(["script_id,script,voice_id,avatar_id", *lines]))
    write_scripts(read_manifest(path), data / "scripts" / "bench.parquet")
    return {
        "DAGSTER_HOME": str(home), "AKOOL_DATA": str(data), "AKOOL_BASE_URL": akool.url,
        "AKOOL_API_KEY": akool.key, "AKOOL_POLL_SECONDS": "0.05",
    }  # fmt: skip


def _table(rounds: int) -> dict[str, Cost]:
    costs: dict[str, list[Cost]] = {what: [] for what in _commands()}
    with (
        tempfile.TemporaryDirectory(prefix="akool-startup-") as folder,
        emulator(Path(folder), "--speed", "1000", "--tiny-media") as akool,
    ):
        env = _prepared(akool, Path(folder))
        for command in _commands().values():  # writes compiled modules, ledger and databases
            measured(command, env)
        for _ in range(rounds):
            for what, command in _commands().items():
                costs[what].append(measured(command, env))
    return {what: _median(each) for what, each in costs.items()}


def _median(costs: list[Cost]) -> Cost:
    lines = [asdict(cost) for cost in costs]
    return Cost(**{name: statistics.median(line[name] for line in lines) for name in lines[0]})


def _against(ratio: float, most: float) -> str:
    told = f"{ratio:.2f}"
    return f"{told if ratio <= most else f'**{told}**'} (≤ {most:g})"


def draw(found: Mapping[str, Cost], path: Path) -> None:
    """Draws the two figures that have a target.

    Args:
        found: What was measured.
        path: Of the picture.
    """
    cpu = {what: cost.cpu_seconds for what, cost in found.items()}
    memory = {what: cost.megabytes for what, cost in found.items()}
    panels = [
        ("CPU seconds", _pair(cpu, _IMPORT, _OUR_IMPORT, most=MOST_IMPORT)),
        ("Peak megabytes", _pair(memory, _TRIVIAL, _OUR_RUN, most=MOST_MEMORY)),
    ]
    draw_bars(panels, path)


def _pair(values: Mapping[str, float], theirs: str, ours: str, *, most: float) -> list[Bar]:
    target = most * values[theirs]
    return [
        Bar(what=theirs, value=values[theirs], is_ours=False),
        Bar(what=ours, value=values[ours], is_ours=True, target=target),
    ]


def main() -> None:
    """Measures and prints a Markdown table; **bold** is a target that was missed."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plot", type=Path, help="draw it (.png)")
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        RUNS[chosen.run]()
        return
    if chosen.measure:
        print(json.dumps(asdict(_measure(json.loads(chosen.measure)))))
        return
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}, medians of {chosen.rounds}\n")
    found = _table(chosen.rounds)
    imports, trivial = found[_IMPORT], found[_TRIVIAL]
    print("| process | wall s | CPU s | peak memory | ratio |\n| --- | --- | --- | --- | --- |")
    for what, cost in found.items():
        ratio = ""
        if what == _OUR_IMPORT:
            ratio = f"CPU {_against(cost.cpu_seconds / imports.cpu_seconds, MOST_IMPORT)}"
        if what == _OUR_RUN:
            ratio = f"memory {_against(cost.megabytes / trivial.megabytes, MOST_MEMORY)}"
        print(
            f"| {what} | {cost.wall_seconds:.2f} | {cost.cpu_seconds:.2f} | "
            f"{cost.megabytes:.0f} MB | {ratio} |"
        )
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}.")
    if chosen.plot:
        draw(found, chosen.plot)


if __name__ == "__main__":
    main()
