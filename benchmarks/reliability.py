"""The proof that nothing is paid twice and nothing lost, at full size.

``python -m benchmarks.reliability`` runs all of it and prints a Markdown table; the test suite
runs the same simulations at small size. Every outcome follows from the seed in its line: a failure
is replayed with ``--only NAME --rows N --seed S``.
"""

import argparse
import itertools
import logging
import os
import platform
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from akool_dagster.emulator import serve
from akool_dagster_tests.reliability.killing import (
    QUICKEST,
    deaths_of_a_walk,
    kill,
    kill_webhook_servers,
    look_after_all,
)
from akool_dagster_tests.reliability.model import Findings, chunks_of_worlds, live_through
from akool_dagster_tests.reliability.outage import live_through_a_month
from akool_dagster_tests.reliability.over_http import Night, polling_night, webhook_night
from akool_dagster_tests.reliability.secret_hunt import hunt
from benchmarks.termination import end_on_sigterm


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table.

    Attributes:
        name: Of the simulation.
        size: How large it was.
        result: What was counted.
        problems: Promises that were broken, each with what replays it.
    """

    name: str
    size: str
    result: str
    problems: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asked for.

    Attributes:
        rows: Size of the simulation; each one's own full size where None.
        seed: Decides every drawn outcome.
        minutes: The model begins no further worlds after so long.
    """

    rows: int | None
    seed: int
    minutes: float

    def size(self, full: int) -> int:
        """The size to run at."""
        return full if self.rows is None else self.rows


def model(order: Order) -> Iterator[Line]:
    """Creates through the one door, simulated; ``--rows`` counts the creates that were sent."""
    wanted, total = order.size(1_000_000), Findings()
    chunks = chunks_of_worlds(order.seed)
    until = time.monotonic() + 60 * order.minutes
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers) as pool:
        first = itertools.islice(chunks, 2 * workers)
        under_way: deque[Future[Findings]] = deque(pool.submit(live_through, c) for c in first)
        while under_way:
            total.add(under_way.popleft().result())
            if total.sent < wanted and time.monotonic() < until:
                under_way.append(pool.submit(live_through, next(chunks)))
    yield Line(
        name="model",
        size=f"{total.sent:,} creates sent, {total.asked:,} passages through the door, "
        f"{total.worlds:,} worlds",
        result=f"{total.duplicates} paid twice, {total.lost_ids} ids lost, cap passed "
        f"{total.cap_passed} times; {total.accepted:,} accepted, {total.kills:,} kills, "
        f"{total.callbacks:,} callbacks, {total.words:,} words of a person",
        problems=total.problems,
    )


def http(order: Order) -> Iterator[Line]:
    """Real HTTP with lost answers, without and with callbacks."""
    rows = order.size(2_000)
    for name, live in (("http, polling", polling_night), ("http, webhooks", webhook_night)):
        with _folder() as folder:
            yield _night_line(name, live(folder, rows=rows, seed=order.seed))


def _night_line(name: str, night: Night) -> Line:
    return Line(
        name=name,
        size=f"{night.rows:,} rows, {night.spoilt:,} spoilt answers to creates",
        result=f"{night.accepted:,} accepted for {night.contents:,} contents, none twice; "
        f"{night.doubts:,} in doubt, {night.doubts - night.open_doubts:,} settled by themselves, "
        f"{night.forged} by a forged callback; {night.saved:,} rows saved",
        problems=night.problems,
    )


def killing(order: Order) -> Iterator[Line]:
    """``kill -9`` at every boundary; ``--rows`` counts the times that each is tried."""
    times, killed, ends, problems = order.size(5), 0, [], []
    for _ in range(times):
        with _folder() as folder, serve(QUICKEST) as akool:
            deaths = deaths_of_a_walk(akool, folder)
            killed += sum(told["signal"] == 9 for told in kill(deaths))
            ends = look_after_all(akool, deaths) + kill_webhook_servers(folder / "callbacks")
        killed += len(ends) - len(deaths)
        problems += [f"{end.name}: {problem}" for end in ends for problem in end.problems]
    yield Line(
        name="kill",
        size=f"{times} times each of {len(ends)} boundaries",
        result=f"{killed:,} processes killed, {len(problems)} promises broken",
        problems=problems,
    )


def outage(order: Order) -> Iterator[Line]:
    """A month with two outages; ``--rows`` counts the videos of a night."""
    with _folder() as folder:
        month = live_through_a_month(
            folder, rows_a_night=order.size(20), pause=1800.0, seed=order.seed
        )
    yield Line(
        name="outage",
        size=f"30 virtual days, {month.rows} videos, {month.ticks:,} ticks",
        result=f"{month.saved} saved, {month.lost} lost; {month.alarmed} alarms, the latest "
        f"{month.least_notice_hours:.2f} h before its link died",
        problems=month.problems,
    )


def secrets(order: Order) -> Iterator[Line]:
    """Marked credentials, searched in everything that a run leaves."""
    rows = order.size(50)
    with _folder() as folder:
        found = hunt(folder, rows=rows, seed=order.seed)
    yield Line(
        name="secrets",
        size=f"2 manifests of {rows + 2} rows, {found.places:,} places, {found.size / 1e6:.1f} MB",
        result=f"{len(found.found)} places with a credential",
        problems=[*found.problems, *found.found],
    )


PROOFS: dict[str, Callable[[Order], Iterator[Line]]] = {
    "model": model,
    "http": http,
    "kill": killing,
    "outage": outage,
    "secrets": secrets,
}


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that goes away; in memory where the system offers that, for speed."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="akool-reliability-", dir=memory) as folder:
        yield Path(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(PROOFS), help="run one of them")
    parser.add_argument("--rows", type=int, help="its size, instead of the full one")
    parser.add_argument("--seed", type=int, default=1, help="decides every drawn outcome")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="the model begins nothing new after so long"
    )
    return parser.parse_args()


def main() -> None:
    """Runs the proofs and prints their table; ends with 1 when a promise was broken."""
    end_on_sigterm()
    chosen = _arguments()
    logging.getLogger("akool_dagster").setLevel(logging.CRITICAL)  # thousands of wanted mishaps
    order = Order(rows=chosen.rows, seed=chosen.seed, minutes=chosen.minutes)
    today = datetime.now(timezone.utc).date()
    print(
        f"{today}, {os.cpu_count()} CPUs ({platform.machine()}), Python "
        f"{platform.python_version()}, {platform.system()}\n"
    )
    print("| proof | size | seed | result | seconds |\n| --- | --- | --- | --- | --- |")
    is_broken = False
    for name in [chosen.only] if chosen.only else PROOFS:
        began = time.monotonic()
        for line in PROOFS[name](order):
            seconds, began = time.monotonic() - began, time.monotonic()
            result = f"**BROKEN** {line.result}" if line.problems else line.result
            print(
                f"| {line.name} | {line.size} | {order.seed} | {result} | {seconds:.0f} |",
                flush=True,
            )
            for problem in line.problems[:20]:
                print(f"{problem}; replay: --only {name} --seed {order.seed}", file=sys.stderr)
            is_broken = is_broken or bool(line.problems)
    sys.exit(is_broken)


if __name__ == "__main__":
    main()
