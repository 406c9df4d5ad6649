"""Bad nights over real HTTP: answers get lost, and still nothing is asked for twice.

The emulator takes each create and then, drawn from a seed, closes the connection, answers HTTP 500
or sends half a body. Without callbacks each such row must stay in doubt; with callbacks the doubts
must settle by themselves, each with the id of its own job.
"""

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from akool_dagster.akool import ClientLogin
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.tools import Rules, Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.emulator import (
    EmulatorConfig,
    Fault,
    RenderTimes,
    RunningEmulator,
    WebhookHabits,
    serve,
)
from akool_dagster.ledger import Attempt, Kind, Ledger, Limits, State
from akool_dagster.manifest import ScriptRow, read_manifest
from akool_dagster.webhook_server import build_app, build_server
from akool_dagster_tests.support import csv_line, opened_tools, quick_rules, write_manifest

CREATES = ("POST */voice/tts", "POST */talkingavatar/create")
LOST, BROKEN, HALF = 0.10, 0.05, 0.02
_TWIN_EVERY = 20  # rows: one that wants what another one wants
_PATIENCE_SECONDS = 60.0
_ROUNDS = 5
_NO_HABITS = WebhookHabits()


@dataclass(kw_only=True)
class Night:
    """What came of a night.

    Attributes:
        seed: Decides every fault.
        rows: Rows of the manifest.
        contents: Different voices and videos that they want.
        arrived: Creates that arrived at the emulator.
        accepted: Creates that became a job.
        spoilt: Answers that a fault spoilt.
        doubts: Attempts that were ever in doubt.
        open_doubts: Attempts that are in doubt at the end.
        forged: Attempts that a callback with a wrong signature settled.
        saved: Rows whose video is on the storage.
        problems: Promises that were broken.
    """

    seed: int
    rows: int
    contents: int = 0
    arrived: int = 0
    accepted: int = 0
    spoilt: int = 0
    doubts: int = 0
    open_doubts: int = 0
    forged: int = 0
    saved: int = 0
    problems: list[str] = field(default_factory=list)

    def require(self, holds: bool, text: str) -> None:
        """Notes a broken promise."""
        if not holds:
            self.problems.append(f"{text} (replay: seed {self.seed}, {self.rows} rows)")


def polling_night(folder: Path, *, rows: int, seed: int) -> Night:
    """Walks rows twice without callbacks.

    Args:
        folder: For the data root and the ledger.
        rows: How many.
        seed: Decides every fault.

    Returns:
        What came of it.
    """
    night = Night(seed=seed, rows=rows)
    scripts = _rows(folder, rows)
    with _akool(seed) as akool, opened_tools(akool, folder, rules=_rules(rows)) as tools:
        first = _walk(tools, scripts, "first")
        _count(night, akool, tools, scripts)
        again = _walk(tools, scripts, "again")
        received = dict(akool.emulator.stats().received)
    night.require(sum(received.values()) == night.arrived, "walking again asked for something")
    night.require(night.open_doubts == night.spoilt, "an unclear create is not in doubt")
    night.require(_doubted(first) == _doubted(again), "a doubt went away by itself")
    return night


def webhook_night(folder: Path, *, rows: int, seed: int) -> Night:
    """Walks rows with callbacks, all of them forged at first, until every video is saved.

    Args:
        folder: For the data root and the ledger.
        rows: How many.
        seed: Decides every fault.

    Returns:
        What came of it.
    """
    night = Night(seed=seed, rows=rows)
    scripts = _rows(folder, rows)
    habits = WebhookHabits(wrong_signature=True, copies=2, attempts=14)
    ledger_url = f"sqlite:///{folder / 'ledger.sqlite'}"
    with (
        _akool(seed, webhooks=habits) as akool,
        Ledger.open(ledger_url, service="emulator") as ledger,
        webhooks_on(ledger, ClientLogin(akool.client_id, akool.client_secret)) as root,
        opened_tools(akool, folder, rules=_rules(rows, webhook_url=root)) as tools,
    ):
        _walk(tools, scripts, "forged")
        night.forged = _proved(tools)
        akool.emulator.configure(webhooks={"wrong_signature": False})
        for number in range(_ROUNDS):
            akool.emulator.clock.advance(6 * 3600.0)  # what waits to be sent again is sent now
            _wait_for(lambda: not _in(tools, State.IN_DOUBT))
            if all(outcome.ok for outcome in _walk(tools, scripts, f"round-{number}")):
                break
        _count(night, akool, tools, scripts)
        _judge_ids(night, akool, tools)
    night.require(night.forged == 0, "a forged callback settled a doubt")
    night.require(night.doubts > 0, "no create was ever in doubt")
    night.require(night.open_doubts <= 0.01 * night.doubts, "too many doubts stay open")
    return night


@contextlib.contextmanager
def webhooks_on(ledger: Ledger, login: ClientLogin) -> Iterator[str]:
    """Runs the real webhook server in a thread; gives its root address."""
    server = build_server(build_app(ledger, login))
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _akool(
    seed: int, *, webhooks: WebhookHabits = _NO_HABITS
) -> contextlib.AbstractContextManager[RunningEmulator]:
    faults = [
        fault
        for on in CREATES
        for fault in (
            Fault(kind="drop", on=on, when="after", probability=LOST),
            Fault(kind="status", on=on, when="after", probability=BROKEN),
            Fault(kind="truncate", on=on, when="after", probability=HALF),
        )
    ]
    config = EmulatorConfig(
        seed=seed,
        speed=200.0,
        media="tiny",
        slots=1000,
        times=RenderTimes(video=40.0, sigma=0.2),
        faults=tuple(faults),
        webhooks=webhooks,
    )
    return serve(config)


def _rules(rows: int, webhook_url: str | None = None) -> Rules:
    limits = Limits(max_in_flight=10 * rows)  # what is in doubt holds a slot for an hour
    return quick_rules(limits=limits, webhook_url=webhook_url)


def _rows(folder: Path, rows: int) -> list[ScriptRow]:
    lines = [
        csv_line(
            f"r{number}",
            script=f"This is text {number - (number % _TWIN_EVERY == 1)}.",
            voice_id="Emma_en-US",
            avatar_id="Jane_in_Blue_2024",
        )
        for number in range(rows)
    ]
    return list(read_manifest(write_manifest(folder / "manifests", "m", *lines)).rows())


def _walk(tools: Tools, rows: Sequence[ScriptRow], run_id: str) -> list[Outcome]:
    return list(Walk(tools, run_id=run_id).outcomes(rows, stages=STAGES))


def _doubted(outcomes: Sequence[Outcome]) -> set[tuple[str, Stage]]:
    return {(out.key, out.stage) for out in outcomes if out.trouble is Trouble.DOUBT}


def _in(tools: Tools, *states: State) -> list[Attempt]:
    return [
        attempt
        for kind in (Kind.VOICE, Kind.VIDEO)
        for attempt in tools.ledger.attempts.in_states(kind=kind, states=states)
    ]


def _proved(tools: Tools) -> int:
    """Counts the attempts that a callback settled."""
    histories = (tools.ledger.attempts.history(attempt.id) for attempt in _in(tools, *State))
    return sum(
        any("proved by its callback" in (event.detail or "") for event in events)
        for events in histories
    )


def _count(
    night: Night, akool: RunningEmulator, tools: Tools, scripts: Sequence[ScriptRow]
) -> None:
    stats = akool.emulator.stats()
    jobs = akool.emulator.jobs()
    attempts = _in(tools, *State)
    contents = {(Kind.VOICE, row.voice_hash) for row in scripts}
    contents |= {(Kind.VIDEO, row.video_hash) for row in scripts}
    night.contents = len(contents)
    night.arrived = sum(stats.received.values())
    night.accepted = len(jobs)
    night.spoilt = sum(fault["hits"] for fault in stats.faults)
    night.doubts = sum(_was_in_doubt(tools, attempt) for attempt in attempts)
    night.open_doubts = sum(attempt.state is State.IN_DOUBT for attempt in attempts)
    night.saved = sum(tools.storage.video_path(row.key).exists() for row in scripts)
    _judge(night, attempts, [_wanted(job.body) for job in jobs])
    good = {attempt.content_hash for attempt in attempts if attempt.state is State.SAVED}
    expected = sum(row.video_hash in good for row in scripts)
    night.require(night.saved == expected, f"{night.saved} of {expected} good rows are saved")


def _was_in_doubt(tools: Tools, attempt: Attempt) -> bool:
    return any(event.after is State.IN_DOUBT for event in tools.ledger.attempts.history(attempt.id))


def _judge(night: Night, attempts: Sequence[Attempt], wanted: Sequence[str]) -> None:
    twice = [body for body, count in Counter(wanted).items() if count > 1]
    night.require(not twice, f"{len(twice)} contents were paid twice, such as {twice[:1]}")
    night.require(night.arrived == len(attempts), "a create arrived that no attempt stands for")
    night.require(night.accepted == night.arrived, "a create that arrived is no job")
    asked_again = [attempt for attempt in attempts if attempt.number > 1]
    night.require(not asked_again, f"{len(asked_again)} contents were asked for again")


def _judge_ids(night: Night, akool: RunningEmulator, tools: Tools) -> None:
    """Each attempt must have the id of the job that named it in its callback address."""
    jobs = {job.webhook_url.rpartition("/")[2]: job.id for job in akool.emulator.jobs()}
    known = {a.webhook_token: a.remote_id for a in _in(tools, *State) if a.remote_id}
    wrong = [token for token, remote_id in known.items() if jobs.get(token) != remote_id]
    night.require(not wrong, f"{len(wrong)} attempts have the id of another job")
    night.require(
        night.open_doubts > 0 or night.saved == night.rows, f"only {night.saved} rows are saved"
    )


def _wanted(body: dict) -> str:
    return json.dumps(
        {name: value for name, value in body.items() if "webhook" not in name.lower()},
        sort_keys=True,
    )


def _wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
