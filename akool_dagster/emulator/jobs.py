"""What AKOOL works on: one state machine for videos, voices, cloned voices and avatars.

A job is queued (1), in work (2), then completed (3) or failed (4). Nothing happens in between
that depends on when somebody looks: the book keeps its events in the order of their virtual times
and `JobBook.advance` lets those happen whose time has come.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

JobKind = Literal["video", "voice", "clone", "avatar"]

QUEUED, WORKING, COMPLETED, FAILED = 1, 2, 3, 4
KINDS: tuple[JobKind, ...] = ("video", "voice", "clone", "avatar")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One accepted create.

    Attributes:
        id: ``_id``.
        kind: ``video``, ``voice`` (speech), ``clone`` (cloned voice) or ``avatar`` (upload).
        page: The endpoint that accepted it, such as ``talkingavatar/create``.
        number: Position among all accepted creates, from 1.
        body: The request's body as received.
        details: What the emulator made of it: text, voice, scene, names; JSON values only.
        created: Virtual epoch seconds.
        queueing: Virtual seconds from the start to status 2.
        work: Virtual seconds from status 2 to the end; infinite for a stuck job.
        seconds: Length of its audio.
        locked: Credits held until it ends.
        price: Credits charged when it completes.
        fails: Whether it ends in status 4.
        error_code: Of a failed job; None when AKOOL names none.
        error_reason: Of a failed job; empty when AKOOL names none.
        webhook_url: Where its callbacks go; empty for nowhere.
        started: When it got its slot; None while it waits for one.
    """

    id: str
    kind: JobKind
    page: str
    number: int
    body: dict[str, Any]
    details: dict[str, Any]
    created: float
    queueing: float = 0.0
    work: float = 0.0
    seconds: float = 0.0
    locked: float = 0.0
    price: float = 0.0
    fails: bool = False
    error_code: int | None = None
    error_reason: str = ""
    webhook_url: str = ""
    started: float | None = None

    @property
    def working_from(self) -> float:
        """When status 2 begins; infinite while it waits for a slot."""
        return math.inf if self.started is None else self.started + self.queueing

    @property
    def ended(self) -> float:
        """When status 3 or 4 begins; infinite while it waits for a slot, or is stuck."""
        return self.working_from + self.work

    def status(self, now: float) -> int:
        """1 queued, 2 in work, 3 completed, 4 failed."""
        if now >= self.ended:
            return FAILED if self.fails else COMPLETED
        return WORKING if now >= self.working_from else QUEUED


@dataclass(frozen=True, kw_only=True)
class Change:
    """A job's step into another status.

    Attributes:
        job: The job.
        status: 2, 3 or 4.
        at: Virtual epoch seconds.
    """

    job: Job
    status: int
    at: float


@dataclass(frozen=True, order=True)
class _Event:
    at: float
    number: int
    status: int = field(compare=False)
    job_id: str = field(compare=False)


class JobBook:
    """All accepted jobs and the queue for the render slots.

    Not safe for several threads by itself: its owner holds a lock.

    Attributes:
        slots: May be changed; the next `advance` acts on it.
        on_keep: Called with each job that is new or has started.

    Args:
        slots: Videos in work at once; other kinds are never queued. A stuck job holds no slot,
            so that one cannot block a rehearsal.
    """

    def __init__(self, *, slots: int) -> None:
        self.slots = slots
        self.on_keep: Callable[[Job], None] = lambda job: None
        self._jobs: dict[str, Job] = {}
        self._by_kind: dict[JobKind, list[str]] = {kind: [] for kind in KINDS}
        self._events: list[_Event] = []
        self._waiting: deque[str] = deque()
        self._rendering = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def rendering(self) -> int:
        """Videos that hold a slot."""
        return self._rendering

    @property
    def waiting(self) -> int:
        """Videos that wait for a slot."""
        return len(self._waiting)

    @property
    def has_free_slot(self) -> bool:
        """Whether a video that is added now starts at once."""
        return self._rendering < self.slots

    def get(self, job_id: str, kind: JobKind | None = None) -> Job | None:
        """The job with this ``_id``, if there is one (of this kind)."""
        job = self._jobs.get(job_id)
        return job if job is not None and kind in (None, job.kind) else None

    def of_kind(self, kind: JobKind) -> Iterator[Job]:
        """The jobs of a kind in the order of their creation."""
        return (self._jobs[job_id] for job_id in self._by_kind[kind])

    def all(self) -> list[Job]:
        """All jobs in the order of their creation."""
        return list(self._jobs.values())

    def add(self, job: Job, *, now: float) -> Job:
        """Takes a new job in and starts it if it needs no slot or one is free.

        Returns:
            The job as it is now kept.
        """
        self._keep(job)
        if job.kind != "video" or math.isinf(job.work):
            return self._start(job, now)
        if self.has_free_slot:
            self._rendering += 1
            return self._start(job, now)
        self._waiting.append(job.id)
        self.on_keep(job)
        return job

    def restore(self, jobs: Iterable[Job], *, now: float) -> None:
        """Takes the jobs of an earlier run in, as they were; call it once, on an empty book."""
        for job in jobs:
            self._keep(job)
            if job.started is None:
                self._waiting.append(job.id)
            elif job.ended > now:
                self._rendering += job.kind == "video" and not math.isinf(job.work)
                self._announce(job)

    def advance(self, now: float) -> list[Change]:
        """Lets everything happen that was due by ``now``.

        Returns:
            The changes in the order of their times. A job whose slot became free starts at
            that very time, however late this is called.
        """
        self._fill_slots(now)
        changes: list[Change] = []
        while self._events and self._events[0].at <= now:
            event = heapq.heappop(self._events)
            job = self._jobs[event.job_id]
            changes.append(Change(job=job, status=event.status, at=event.at))
            if event.status != WORKING and job.kind == "video":
                self._rendering -= 1
                self._fill_slots(event.at)
        return changes

    def next_event(self) -> float | None:
        """The virtual time of the next change, if one is to come."""
        return self._events[0].at if self._events else None

    def _keep(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._by_kind[job.kind].append(job.id)

    def _fill_slots(self, at: float) -> None:
        while self._waiting and self.has_free_slot:
            self._rendering += 1
            self._start(self._jobs[self._waiting.popleft()], at)

    def _start(self, job: Job, at: float) -> Job:
        started = replace(job, started=at)
        self._jobs[job.id] = started
        self.on_keep(started)
        self._announce(started)
        return started

    def _announce(self, job: Job) -> None:
        self._push(job, job.working_from, WORKING)
        if not math.isinf(job.ended):
            self._push(job, job.ended, FAILED if job.fails else COMPLETED)

    def _push(self, job: Job, at: float, status: int) -> None:
        heapq.heappush(self._events, _Event(at, job.number * 4 + status, status, job.id))
