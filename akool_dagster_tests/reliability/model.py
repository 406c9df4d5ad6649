"""Paid creates, simulated by the million: the real door, the real ledger, an AKOOL of dice.

A world is a few contents, two Dagster runs that ask for all of them at once, several nights of
asking again, a person who settles doubts now and then, and an AKOOL that loses answers, refuses,
slows down and calls back. Each run may be killed before any of its statements, before any commit,
and before or after its request takes effect. Everything that happens follows from the world's
number; two greenlets take the place of two processes, so that their order is drawn as well.

The ledger is SQLite with synchronous=OFF, in memory where the system offers that: what is proved
here is the order of things, not the disk (that is proved with ``kill -9`` of real processes).
"""

import itertools
import os
import random
import socket
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import greenlet
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from akool_dagster.akool import (
    AccountStopped,
    NotSent,
    OutcomeUnknown,
    Refused,
    TooFrequent,
    TryAgainLater,
    Video,
)
from akool_dagster.akool import Status as JobStatus
from akool_dagster.batch.creating import Wish, create, reopen_account
from akool_dagster.batch.outcomes import Later
from akool_dagster.batch.tools import Rules, Tools
from akool_dagster.batch.watching.looking import settle_due
from akool_dagster.ledger import Attempt, Kind, Ledger, Limits, State
from akool_dagster.ledger.attempts import Attempts
from akool_dagster.ledger.database import Database, open_engine

DAY = 86_400.0
NOON = 1_800_057_600.0 + 12 * 3600.0  # of a UTC day: no night's work crosses midnight
ENDPOINT = "POST /api/open/v3/talkingavatar/create"

_ANSWERS: dict[str, float] = {
    "accepted": 60,
    "answer lost": 10,
    "5xx after effect": 5,
    "truncated": 2,
    "lost before effect": 3,
    "refused": 5,
    "try again later": 5,
    "too frequent": 4,
    "never sent": 5,
    "account stopped": 0.2,
}
_TAKEN = {"accepted", "answer lost", "5xx after effect", "truncated"}
_UNCLEAR = {"answer lost", "5xx after effect", "truncated", "lost before effect"}
_MOST_STEPS = 30  # of one content in one run
_MOST_KILLS = 6  # of one world
_LONGEST_LIFE = 400  # statements until a run is killed


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, not even what it would do on errors."""


@dataclass(kw_only=True)
class Job:
    """A create that AKOOL accepted."""

    id: str
    token: str
    price: float
    day: int
    fails: bool
    has_ended_badly: bool = False


@dataclass
class Findings:
    """What was seen in some worlds; adds up."""

    worlds: int = 0
    asked: int = 0
    sent: int = 0
    accepted: int = 0
    kills: int = 0
    words: int = 0
    callbacks: int = 0
    in_doubt: int = 0
    duplicates: int = 0
    lost_ids: int = 0
    cap_passed: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    kill_places: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Takes over what others saw."""
        for name, value in vars(other).items():
            if isinstance(value, list):
                getattr(self, name).extend(value)
            elif isinstance(value, Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


class Hooks:
    """What a database tells of each statement and commit, to the one who runs at the moment."""

    def __init__(self) -> None:
        self.step: Callable[[str], None] | None = None

    def watch(self, engine: sa.Engine) -> None:
        """Begins to tell."""

        @event.listens_for(engine, "connect")
        def _connect(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        @event.listens_for(engine, "before_cursor_execute")
        def _statement(_c: Any, _u: Any, statement: str, *_rest: Any) -> None:
            # To die before a transaction begins is the same as after the one before it.
            if self.step is not None and not statement.startswith("BEGIN"):
                self.step(statement)

        @event.listens_for(engine, "commit")
        def _commit(_connection: sa.Connection) -> None:
            if self.step is not None:
                self.step("COMMIT")

    @contextmanager
    def off(self) -> Iterator[None]:
        """Somebody else's process does something in between."""
        before, self.step = self.step, None
        try:
            yield
        finally:
            self.step = before


@dataclass(frozen=True, kw_only=True)
class SteppedDatabase(Database):
    """A ledger that lets another process go first before each of its transactions."""

    pause: Callable[[], None]

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        self.pause()
        with Database.reading(self) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        self.pause()
        with Database.writing(self) as connection:
            yield connection


class HastyAttempts(Attempts):
    """Opens an attempt by what it read a while ago.

    So does a database that lets two writers decide at once; nothing but the tables' unique
    constraint stands between them then.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._seen: dict[tuple[Kind, str], Attempt | None] = {}
        self._is_opening = False

    def latest(self, *, kind: Kind, content_hash: str) -> Attempt | None:
        found = super().latest(kind=kind, content_hash=content_hash)
        self._seen[kind, content_hash] = found
        return found

    def get(self, attempt_id: int) -> Attempt:
        found = super().get(attempt_id)
        self._seen[found.kind, found.content_hash] = found
        return found

    def open_next(self, **wanted: Any) -> Attempt:
        self._is_opening = True
        try:
            return super().open_next(**wanted)
        finally:
            self._is_opening = False

    def _latest(
        self, connection: sa.Connection, *, kind: Kind, content_hash: str
    ) -> Attempt | None:
        if self._is_opening and (kind, content_hash) in self._seen:
            return self._seen[kind, content_hash]
        return super()._latest(connection, kind=kind, content_hash=content_hash)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the client returns for an accepted create."""

    id: str
    raw: dict[str, Any]


class Akool:
    """AKOOL's side: what it accepted, whatever we believe."""

    def __init__(self, random: random.Random, findings: Findings, *, number: int) -> None:
        self._random = random
        self._findings = findings
        self._number = number
        self._names, self._odds = list(_ANSWERS), list(_ANSWERS.values())
        self.jobs: dict[tuple[Kind, str], list[Job]] = defaultdict(list)
        self.by_token: dict[str, Job] = {}
        self.by_id: dict[str, Job] = {}
        self.returned: dict[str, str] = {}
        self.charged: defaultdict[int, float] = defaultdict(float)
        self.given_up: set[str] = set()
        self._arrived: set[str] = set()

    def draw(self) -> str:
        """What the network and AKOOL do with the next request."""
        (answer,) = self._random.choices(self._names, self._odds)
        self._findings.answers[answer] += 1
        return answer

    def arrive(self, token: str) -> None:
        """A request is there; no attempt may ever send a second one."""
        if token in self._arrived:
            self._findings.duplicates += 1
            self._findings.problems.append(f"world {self._number}: one attempt was sent twice")
        self._arrived.add(token)
        self._findings.sent += 1

    def take(self, kind: Kind, content: str, *, token: str, price: float, now: float) -> Job:
        """Accepts a create; a second one for a content that nobody gave up is a duplicate."""
        known = self.jobs[kind, content]
        if any(not job.has_ended_badly and job.token not in self.given_up for job in known):
            self._findings.duplicates += 1
            self._findings.problems.append(
                f"world {self._number}: {kind.value} {content} was paid twice"
            )
        job = Job(
            id=f"{self._number:x}-{len(self.by_id)}",
            token=token,
            price=price,
            day=int(now // DAY),
            fails=self._random.random() < 0.15,
        )
        known.append(job)
        self.by_token[token] = self.by_id[job.id] = job
        self.charged[job.day] += price
        self._findings.accepted += 1
        return job

    # -- as the client that looks at jobs

    def balance(self) -> float:
        return 1000.0

    def get_video_info(self, video_id: str) -> Video:
        job = self.by_id[video_id]
        if job.fails and not job.has_ended_badly:
            job.has_ended_badly = True
            self.charged[job.day] -= job.price
        return Video(
            id=video_id,
            status=JobStatus.FAILED if job.fails else JobStatus.COMPLETED,
            url=None if job.fails else "http://media.test/v.mp4",
            failure=None,
            locked_credits=None,
            deducted_credits=0.0 if job.fails else job.price,
            created_at=None,
            raw={},
        )


class Run:
    """A process that asks for contents, until it is done or killed; then it is started again."""

    def __init__(self, world: "World", name: str, pid: int, contents: Sequence[str]) -> None:
        self.world = world
        self.name = name
        self.pid = pid
        self.contents = contents
        self.is_dead = False
        self._left = 0
        self._starts = 0

    def step(self, what: str) -> None:
        """Something is about to happen; this may be the moment to die."""
        if self.is_dead:
            raise Killed
        self._left -= 1
        if self._left == 0:
            self.is_dead = True
            self.world.note_kill(what)
            raise Killed

    def live(self) -> None:
        """Runs to the end, however often that takes; or nobody starts it again tonight."""
        while True:
            self._start()
            try:
                self._materialize()
            except Killed:
                if self.world.random.random() < 0.7:
                    continue
            return

    def _start(self) -> None:
        world = self.world
        self._starts += 1
        self.is_dead = False
        may_die = world.findings.kills < _MOST_KILLS and world.random.random() < 0.6
        self._left = world.random.randint(1, _LONGEST_LIFE) if may_die else 0
        host = socket.gethostname() if world.same_host else f"host-{self.name}"
        actor = f"{host}:{self.pid}:{self.name}{self._starts}"
        self.tools = world.tools(actor, pause=world.pause)
        self.began_at = world.now
        self.run_id = f"{self.name}-{self._starts}"

    def _materialize(self) -> None:
        reopen_account(self.tools)
        for content in self.contents:
            self._ask_for(content)

    def _ask_for(self, content: str) -> None:
        world = self.world
        for _ in range(_MOST_STEPS):
            world.findings.asked += 1
            try:
                step = create(self.tools, self._wish(content))
            except IntegrityError:
                return  # as in a walk: this row fails for the moment, the others go on
            if not isinstance(step, Later):
                return
            if step.wants_slot:
                world.finish_some(self.tools)
            world.now = max(world.now, step.at)
            world.pause(always=True)

    def _wish(self, content: str) -> Wish:
        kind = self.world.kind_of(content)
        price = self.world.price_of(content)
        return Wish(
            kind=kind,
            content_hash=content,
            script_key=f"m.{content}",
            run_id=self.run_id,
            run_began_at=self.began_at,
            api="talkingavatar",
            price=price,
            media_seconds=1.0,
            send=lambda url: self._send(kind, content, price=price, url=url or ""),
        )

    def _send(self, kind: Kind, content: str, *, price: float, url: str) -> Reply:
        world, token = self.world, url.rpartition("/")[2]
        answer = world.akool.draw()
        self.step("before the request leaves")
        world.pause()
        if answer == "never sent":
            raise NotSent("no connection", endpoint=ENDPOINT)
        world.akool.arrive(token)
        job = None
        if answer in _TAKEN:
            job = world.akool.take(kind, content, token=token, price=price, now=world.now)
            if world.random.random() < 0.05:
                world.call_back(job)
        self.step("before the answer comes")
        world.pause()
        if answer == "accepted" and job is not None:
            world.akool.returned[token] = job.id
            return Reply(id=job.id, raw={"_id": job.id})
        raise _error(answer, world.random)


def _error(answer: str, random: random.Random) -> Exception:
    if answer in _UNCLEAR:
        return OutcomeUnknown(answer, endpoint=ENDPOINT)
    if answer == "refused":
        return Refused("no", endpoint=ENDPOINT, code=1003, msg="Params error")
    if answer == "try again later":
        code = random.choice([1015, 1205, 2001, 1113])
        return TryAgainLater("later", endpoint=ENDPOINT, code=code, msg="try again later")
    if answer == "too frequent":
        return TooFrequent("slow", endpoint=ENDPOINT, code=1005, msg="Frequent operation")
    return AccountStopped("stop", endpoint=ENDPOINT, code=1006, msg="no credit")


class World:
    """One world.

    Args:
        number: Decides everything that happens in it.
        engine: The ledger's database; worlds are told apart by the name of their service.
        hooks: What the database tells.
    """

    def __init__(self, number: int, engine: sa.Engine, hooks: Hooks) -> None:
        self.number = number
        self.random = random.Random(number)
        self.findings = Findings(worlds=1)
        self.akool = Akool(self.random, self.findings, number=number)
        self.now = NOON
        self.same_host = self.random.random() < 0.5
        self._engine, self._hooks = engine, hooks
        self._service = f"world-{number}"
        self._hub = greenlet.getcurrent()
        self._is_hasty = self.random.random() < 0.15
        contents = self.random.choice([6, 12, 24])
        self._contents = [f"{number:x}.{index}" for index in range(contents)]
        cap = self.random.choice([None, None, contents * 1.0, contents * 2.5])
        slots = self.random.choice([3, 8, 1000, 1000])
        self._rules = Rules(
            limits=Limits(max_in_flight=slots, max_credits=cap), webhook_url="http://hooks.test"
        )
        self._outside = self.tools("person", pause=lambda: None)

    def clock(self) -> float:
        """The world's time."""
        return self.now

    def tools(self, actor: str, *, pause: Callable[[], None]) -> Tools:
        """What a process works with; only what the door needs is real."""
        database = SteppedDatabase(
            engine=self._engine,
            service=self._service,
            clock=self.clock,
            actor=actor,
            pause=pause,
        )
        ledger = Ledger(database)
        if self._is_hasty:
            ledger.attempts = HastyAttempts(database)
        absent = cast(Any, None)
        return Tools(
            client=cast(Any, self.akool),
            ledger=ledger,
            storage=absent,
            downloader=absent,
            avatars=absent,
            rules=self._rules,
            clock=self.clock,
            randomness=self.random,
        )

    def kind_of(self, content: str) -> Kind:
        """A third of the contents are voices."""
        return Kind.VOICE if int(content.rpartition(".")[2]) % 3 == 0 else Kind.VIDEO

    def price_of(self, content: str) -> float:
        """One to four credits."""
        return 1.0 + int(content.rpartition(".")[2]) % 4

    def note_kill(self, what: str) -> None:
        """Counts a kill by its place."""
        self.findings.kills += 1
        self.findings.kill_places[" ".join(what.split()[:3])] += 1

    def pause(self, *, always: bool = False) -> None:
        """Lets the other process go on, or not."""
        if always or self.random.random() < 0.4:
            step = self._hooks.step
            self._hub.switch()
            self._hooks.step = step

    def live(self) -> Findings:
        """Lives through some nights and looks at what came of them."""
        for night in range(self.random.choice([1, 2, 2, 3])):
            self._hooks.step = None
            self._night(night)
            self._morning()
        self._judge()
        return self.findings

    def _night(self, night: int) -> None:
        runs = [
            Run(self, f"n{night}a", 1, self._shuffled(1.0)),
            Run(self, f"n{night}b", os.getpid(), self._shuffled(self.random.choice([0.2, 0.5, 1]))),
        ]
        greenlets = {run: greenlet.greenlet(run.live) for run in runs}
        while alive := [run for run in runs if not greenlets[run].dead]:
            run = self.random.choice(alive)
            self._hooks.step = run.step
            greenlets[run].switch()
            self._hooks.step = None
            if self.random.random() < 0.002:
                self.now += 700.0

    def _shuffled(self, share: float) -> list[str]:
        many = max(1, int(share * len(self._contents)))
        return self.random.sample(self._contents, many)

    def call_back(self, job: Job) -> None:
        """AKOOL tells of a job; whoever runs is not disturbed."""
        with self._hooks.off():
            self._outside.ledger.callbacks.record(
                token=job.token, remote_id=job.id, status=3, body_sha256="0" * 64
            )
        self.findings.callbacks += 1

    def finish_some(self, tools: Tools) -> None:
        """AKOOL finishes what it has, and somebody looks; what is in doubt gives its slot back."""
        self.now += 30.0
        if not settle_due(tools, kind=Kind.VIDEO, limit=10, until=float("inf")):
            self.now += 600.0

    def _morning(self) -> None:
        """A person and late callbacks settle some doubts; then it is the next night."""
        book = self._outside.ledger.attempts
        self.now += 900.0
        book.doubt_the_abandoned()
        settle_due(self._outside, kind=Kind.VIDEO, limit=4, until=float("inf"))
        for kind in (Kind.VOICE, Kind.VIDEO):
            for attempt in book.in_states(kind=kind, states=[State.IN_DOUBT]):
                self._settle(attempt)
        for attempt in book.in_states(kind=Kind.VIDEO, states=[State.COMPLETED]):
            if self.random.random() < 0.1:
                book.expire(attempt.id, reason="its link died", advice=None)
                self.akool.by_token[attempt.webhook_token].has_ended_badly = True
        self.now = NOON + DAY * (1 + int((self.now - NOON) // DAY))

    def _settle(self, attempt: Attempt) -> None:
        book, token = self._outside.ledger.attempts, attempt.webhook_token
        job = self.akool.by_token.get(token)
        choice = self.random.random()
        if choice < 0.4 and job is not None:
            self.call_back(job)
        elif choice < 0.55 and job is not None:
            book.accept(attempt.id, remote_id=job.id, next_look_at=self.now)
            self.findings.words += 1
        elif choice < 0.55:
            book.refuse(attempt.id, code=None, reason="not there", advice=None, try_again=True)
            self.findings.words += 1
        elif choice < 0.65:
            book.allow_paying_again(attempt.id, by="person")
            self.akool.given_up.add(token)
            self.findings.words += 1

    # -- the end of it

    def _judge(self) -> None:
        self._hooks.step = None
        book = self._outside.ledger.attempts
        attempts = {
            attempt.webhook_token: attempt
            for kind in (Kind.VOICE, Kind.VIDEO)
            for attempt in book.in_states(kind=kind, states=list(State))
        }
        self.findings.in_doubt += sum(a.state is State.IN_DOUBT for a in attempts.values())
        for job in self.akool.by_id.values():
            self._judge_job(job, attempts.get(job.token))
        for attempt in attempts.values():
            job = self.akool.by_token.get(attempt.webhook_token)
            if attempt.remote_id is not None and (job is None or job.id != attempt.remote_id):
                self._problem(f"attempt {attempt.id} has the id of another job")
        cap = self._rules.limits.max_credits
        for day, charged in self.akool.charged.items():
            if cap is not None and charged > cap:
                self.findings.cap_passed += 1
                self._problem(f"{charged:g} of {cap:g} credits on day {day}")

    def _judge_job(self, job: Job, attempt: Attempt | None) -> None:
        if attempt is not None and attempt.remote_id == job.id:
            return
        if attempt is not None and attempt.state is State.IN_DOUBT:
            return
        self.findings.lost_ids += 1
        state = attempt.state.value if attempt else "absent"
        told = "whose id was returned" if job.token in self.akool.returned else "in silence"
        self._problem(f"job {job.id}, accepted {told}, is lost: its attempt is {state}")

    def _problem(self, text: str) -> None:
        self.findings.problems.append(f"world {self.number}: {text}")


_WORLDS_PER_DATABASE = 60


def live_through(numbers: Iterable[int]) -> Findings:
    """Lives through worlds, in one database after another.

    Args:
        numbers: Of the worlds.

    Returns:
        What was seen; ``problems`` is empty when every promise was held.
    """
    total, left = Findings(), list(numbers)
    while left:
        some, left = left[:_WORLDS_PER_DATABASE], left[_WORLDS_PER_DATABASE:]
        with _quick_database() as (engine, hooks):
            for number in some:
                total.add(World(number, engine, hooks).live())
    return total


@contextmanager
def _quick_database() -> Iterator[tuple[sa.Engine, Hooks]]:
    """A ledger whose commits are real but not waited for on a disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    hooks = Hooks()
    with tempfile.TemporaryDirectory(dir=memory, prefix="akool-model-") as folder:
        engine = open_engine(f"sqlite:///{folder}/ledger.sqlite")
        engine.dispose()  # the connections from now on do not sync
        hooks.watch(engine)
        try:
            yield engine, hooks
        finally:
            engine.dispose()


def chunks_of_worlds(seed: int) -> Iterator[list[int]]:
    """The worlds that a seed stands for, as many at a time as share a database.

    Args:
        seed: Up to ten million worlds of one seed are no worlds of another.

    Yields:
        Their numbers, without an end.
    """
    for first in itertools.count(seed * 10_000_000, _WORLDS_PER_DATABASE):
        yield list(range(first, first + _WORLDS_PER_DATABASE))


def live_until(*, creates: int, seed: int) -> Findings:
    """Lives through worlds until so many creates were sent.

    Args:
        creates: How many.
        seed: Stands for the worlds.

    Returns:
        What was seen.
    """
    total = Findings()
    for chunk in chunks_of_worlds(seed):
        total.add(live_through(chunk))
        if total.sent >= creates:
            break
    return total
