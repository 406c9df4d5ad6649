"""What it costs one process to watch many videos.

``python -m benchmarks.watching`` watches 1,000 accepted videos for a minute with the real walk,
client and ledger (on this machine's disk), over HTTP to a server in another process that answers
each status call after 50 ms: still at work. The history is such that looks are as frequent as they
become: all videos are as old as the median render. Then it ticks ``video_info_sensor`` once with
10,000 open videos and 100 voices.
"""

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from statistics import NormalDist
from typing import Any, cast

from akool_dagster.akool import AkoolClient, ApiKey
from akool_dagster.automation.video_info import _settle
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.tools import Rules, Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.ledger import Kind, Ledger, Limits
from akool_dagster.ledger.database import Database, open_engine
from akool_dagster.ledger.tables import attempts
from akool_dagster.storage import open_storage
from akool_dagster_tests.slots.slot_world import MEAN_RENDER_SECONDS, SIGMA, script_row
from benchmarks.deployment import machine
from benchmarks.results import judged, print_head, table_line
from benchmarks.termination import end_on_sigterm

MOST_CORE, MOST_MEGABYTES, MOST_TICK_SECONDS = 0.30, 300.0, 40.0
"""The targets."""

_SERVICE = "127.0.0.1"
_HISTORY = 300
_MEDIAN_SECONDS = MEAN_RENDER_SECONDS * math.exp(-(SIGMA**2) / 2)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What something cost this process.

    Attributes:
        seconds: How long it took.
        cpu_seconds: How long it kept a core busy.
        calls: Status calls that the server got.
    """

    seconds: float
    cpu_seconds: float
    calls: int

    @property
    def core(self) -> float:
        """Share of a core."""
        return self.cpu_seconds / self.seconds


class _StillAtWork(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    calls = 0

    def do_GET(self) -> None:
        type(self).calls += 1
        time.sleep(0.05)
        name = re.split("[=/]", self.path)[-1]
        job = {"_id": name, "video_status": 2, "status": 2}
        body = json.dumps({"code": 1000, "msg": "OK", "data": job}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Says nothing."""


def _serve(pipe: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _StillAtWork)
    server.daemon_threads = True
    pipe.send(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while pipe.recv() == "calls":
        pipe.send(_StillAtWork.calls)


@contextlib.contextmanager
def _server() -> Iterator[tuple[str, Connection]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}", ours
    finally:
        ours.send("end")
        process.join(10)


def _calls(pipe: Connection) -> int:
    pipe.send("calls")
    return pipe.recv()


def _fill(database: Database, *, videos: int, voices: int) -> None:
    """Writes a history of finished videos, and those that are open and due within a minute."""
    now, normal = time.time(), NormalDist()
    rows = []
    for number in range(_HISTORY):
        worked = _MEDIAN_SECONDS * math.exp(SIGMA * normal.inv_cdf((number + 0.5) / _HISTORY))
        rows.append(
            _attempt(Kind.VIDEO, f"done-{number}", began=now - worked - 3600)
            | {
                "state": "saved",
                "settled_at": now - 3600,
                "unfinished_at": now - 3601,
                "spent_credits": 10.0,
            }
        )
    for kind, count in ((Kind.VIDEO, videos), (Kind.VOICE, voices)):
        for number in range(count):
            due = now + 60.0 * number / count - 59.0
            rows.append(
                _attempt(kind, script_row(number).video_hash, began=now - _MEDIAN_SECONDS)
                | {"state": "accepted", "next_look_at": due}
            )
    with database.writing() as connection:
        for row in rows:
            connection.execute(attempts.insert(), row)


def _attempt(kind: Kind, content: str, *, began: float) -> dict[str, Any]:
    name = f"{kind.value}-{content}"
    return {
        "service": _SERVICE, "kind": kind.value, "content_hash": content, "number": 1,
        "api": "talkingavatar" if kind is Kind.VIDEO else "v4",
        "webhook_token": f"{kind.value}-{content[-50:]}",
        "remote_id": name, "try_again": False, "planned_at": began, "answered_at": began,
        "media_seconds": 40.0, "looks": 3,
    }  # fmt: skip


@contextlib.contextmanager
def _tools(*, videos: int, voices: int, watch_seconds: float) -> Iterator[tuple[Tools, Connection]]:
    absent = cast(Any, None)
    with (
        tempfile.TemporaryDirectory() as folder,
        _server() as (url, pipe),
        AkoolClient(ApiKey("benchmark"), base_url=url) as client,
    ):
        database = Database(
            engine=open_engine(f"sqlite:///{folder}/ledger.sqlite"), service=_SERVICE
        )
        _fill(database, videos=videos, voices=voices)
        tools = Tools(
            client=client,
            ledger=Ledger(database),
            storage=open_storage(folder),
            downloader=absent,
            avatars=absent,
            rules=Rules(
                limits=Limits(max_in_flight=100_000), render_deadline_seconds=watch_seconds
            ),
        )
        yield tools, pipe
        database.engine.dispose()


def watch(*, videos: int, seconds: float) -> Cost:
    """Watches videos for a while.

    Args:
        videos: How many.
        seconds: How long.

    Returns:
        What it cost.
    """
    rows = [script_row(number) for number in range(videos)]
    with _tools(videos=videos, voices=0, watch_seconds=seconds) as (tools, pipe):
        began, cpu = time.monotonic(), time.process_time()
        for _ in Walk(tools, run_id="watching").outcomes(rows, stages=[Stage.DOWNLOAD]):
            pass
        return _cost(began, cpu, pipe)


def tick(*, videos: int, voices: int) -> Cost:
    """Has the sensor look once at what is open.

    Args:
        videos: How many videos are open.
        voices: How many voices are open.

    Returns:
        What it cost.
    """
    with _tools(videos=videos, voices=voices, watch_seconds=60.0) as (tools, pipe):
        began, cpu = time.monotonic(), time.process_time()
        _settle(tools)
        return _cost(began, cpu, pipe)


def _cost(began: float, cpu: float, pipe: Connection) -> Cost:
    return Cost(
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - cpu,
        calls=_calls(pipe),
    )


def main() -> None:
    """Prints the table; ends with 1 when a target is missed."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1_000, help="videos of the walk")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the walk watches")
    parser.add_argument("--open", type=int, default=10_000, help="open videos of the tick")
    chosen = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}\n")
    watched = watch(videos=chosen.videos, seconds=chosen.seconds)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ticked = tick(videos=chosen.open, voices=100)
    met = [
        watched.core <= MOST_CORE,
        megabytes <= MOST_MEGABYTES,
        ticked.seconds <= MOST_TICK_SECONDS,
    ]
    lines = [
        (
            f"a walk that watches {chosen.videos:,} videos for {watched.seconds:.0f} s, "
            f"{watched.calls / watched.seconds:.0f} looks/s: share of a core",
            f"{watched.core:.0%}",
            f"{MOST_CORE:.0%}",
        ),
        ("its memory", f"{megabytes:.0f} MB", f"{MOST_MEGABYTES:g} MB"),
        (
            f"a tick with {chosen.open:,} open videos and 100 voices: {ticked.calls:,} looks in",
            f"{ticked.seconds:.1f} s",
            f"{MOST_TICK_SECONDS:g} s",
        ),
    ]
    print_head(("what", "measured", "target"))
    for (what, measured, target), is_met in zip(lines, met, strict=True):
        print(table_line((what, judged(measured, is_met=is_met), target)))
    sys.exit(not all(met))


if __name__ == "__main__":
    main()
