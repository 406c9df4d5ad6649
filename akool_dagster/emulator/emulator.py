"""The emulated account: its jobs, credits, clock and habits, and the ASGI app that shows them."""

import asyncio
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from akool_dagster.emulator.answers import MESSAGES, Refusal
from akool_dagster.emulator.clock import VirtualClock
from akool_dagster.emulator.config import EmulatorConfig, changed
from akool_dagster.emulator.credits import Credits, held_for
from akool_dagster.emulator.faults import FaultPlan
from akool_dagster.emulator.ids import further_ids, object_id, replayed_part, seeded
from akool_dagster.emulator.jobs import COMPLETED, FAILED, KINDS, Change, Job, JobBook, JobKind
from akool_dagster.emulator.keys import check_credentials
from akool_dagster.emulator.links import result_path
from akool_dagster.emulator.media.library import MediaLibrary
from akool_dagster.emulator.rehearsal import Plan, Rehearsals
from akool_dagster.emulator.store import StateStore
from akool_dagster.emulator.webhooks import WebhookSender

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_FIXED = frozenset({"seed", "speed", "start", "state_dir"})
_SHORTEST_WAIT = 0.005  # real seconds between two looks of the background task
_LONGEST_WAIT = 60.0
_RENDER_ERROR = 1205

# Docs: webhook page; talking-avatar callbacks were seen with "avatar".
_CALLBACK_TYPES = {"voice": "audio", "clone": "audio", "avatar": "avatar", "video": "avatar"}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A create that is about to be accepted.

    Attributes:
        kind: Of the job.
        page: The endpoint, such as ``talkingavatar/create``.
        body: As received.
        details: What the emulator made of it, JSON values only.
        plan: As its rehearsal markers say.
        mean: Mean work time in virtual seconds.
        key: Its content, apart from what differs between two runs: decides its drawn work time
            and, with the number of earlier creates of the same content, its ids and failing.
        seconds: Length of its audio.
        price: Credits.
        webhook_url: For callbacks; empty for none.
    """

    kind: JobKind
    page: str
    body: dict[str, Any]
    details: dict[str, Any]
    plan: Plan
    mean: float
    key: tuple[str, ...]
    seconds: float = 0.0
    price: float = 0.0
    webhook_url: str = ""


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What an emulator has seen and done.

    Attributes:
        now: Virtual epoch seconds.
        received: Create requests that arrived, by kind, even if a fault swallowed them.
        accepted: Creates that became a job, by kind.
        statuses: Jobs by kind and status (``queued``, ``working``, ``completed``, ``failed``).
        rendering: Videos that hold a render slot.
        waiting: Videos that wait for one.
        credits: ``available``, ``held`` and ``spent``.
        requests: Requests by endpoint, such as ``GET /api/open/v3/avatar/list``.
        refusals: Answers with a code other than 1000, by code.
        polls: Status requests by job.
        webhooks: ``attempts``, ``delivered``, ``given_up``, ``lost`` and ``forged``.
        faults: The armed faults and how often each hit.
    """

    now: float
    received: Mapping[str, int]
    accepted: Mapping[str, int]
    statuses: Mapping[str, Mapping[str, int]]
    rendering: int
    waiting: int
    credits: Mapping[str, float]
    requests: Mapping[str, int]
    refusals: Mapping[int, int]
    polls: Mapping[str, int]
    webhooks: Mapping[str, int]
    faults: list[dict[str, Any]]


class Emulator:
    """One emulated AKOOL account.

    Its methods may be called from any thread while a server runs `app`.

    Args:
        config: Its habits.
    """

    def __init__(self, config: EmulatorConfig | None = None) -> None:
        self.config = config or EmulatorConfig()
        self.lock = threading.RLock()
        self.base_url = ""
        self._state_dir = Path(self.config.state_dir) if self.config.state_dir else None
        self._store = StateStore(self._state_dir / "account.sqlite" if self._state_dir else None)
        self.clock = VirtualClock(start=self._first_moment(), speed=self.config.speed)
        self._began = self.clock.now()
        self.faults = FaultPlan(seed=self.config.seed, faults=self.config.faults)
        self.library = MediaLibrary(self._state_dir / "media" if self._state_dir else None)
        self.rehearsals = Rehearsals()
        self.credits = Credits(available=self._store.fact("granted", self.config.credits))
        self.book = JobBook(slots=self.config.slots)
        self.webhooks = WebhookSender(
            seed=self.config.seed,
            now=self.clock.now,
            told=self.milliseconds,
            habits=lambda: self.config.webhooks,
            client=lambda: self.config.clients[0],
            wake=self._wake,
        )
        self.deleted: set[str] = set(self._store.fact("deleted", []))
        self.received: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.refusals: Counter[int] = Counter()
        self.polls: Counter[str] = Counter()
        self.done_polls: Counter[str] = Counter()
        self._twins: Counter[tuple[str, ...]] = Counter()
        self._recent: deque[float] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self.clock.watch(self._wake)
        self._restore()

    @cached_property
    def app(self) -> "ASGIApp":
        """The ASGI application."""
        from akool_dagster.emulator.app import build_app

        return build_app(self)

    # ----- for people and tests -----

    def configure(self, **changes: Any) -> EmulatorConfig:
        """Changes habits while it runs.

        Args:
            **changes: Fields of `EmulatorConfig`; for ``times``, ``prices``, ``shapes`` and
                ``webhooks`` also a dict with some of their fields.

        Returns:
            The new configuration.

        Raises:
            ValueError: For an unknown field, a bad value or a field that is fixed at the start.
        """
        fixed = sorted(_FIXED & set(changes))
        if fixed:
            raise ValueError(f"{', '.join(fixed)} is fixed when the emulator starts.")
        with self.lock:
            self.config = changed(self.config, changes)
            self.book.slots = self.config.slots
        self.catch_up()
        self._wake()
        return self.config

    def stats(self) -> Stats:
        """Everything countable, as of now."""
        with self.lock:
            self.catch_up()
            now = self.clock.now()
            return Stats(
                now=now,
                received=dict(self.received),
                accepted={kind: len(self.jobs(kind)) for kind in KINDS},
                statuses={kind: _status_counts(self.jobs(kind), now) for kind in KINDS},
                rendering=self.book.rendering,
                waiting=self.book.waiting,
                credits=asdict(self.credits),
                requests=dict(self.requests),
                refusals=dict(self.refusals),
                polls=dict(self.polls),
                webhooks=dict(self.webhooks.counts),
                faults=self.faults.listing(),
            )

    def jobs(self, kind: JobKind | None = None) -> list[Job]:
        """The accepted jobs (of a kind) in the order of their creation, with their bodies."""
        with self.lock:
            self.catch_up()
            return self.book.all() if kind is None else list(self.book.of_kind(kind))

    def set_credits(self, available: float) -> None:
        """Sets what ``quota/info`` tells, as if somebody had topped the account up."""
        with self.lock:
            self.catch_up()
            self.credits.available = available
            self._save()

    def close(self) -> None:
        """Ends its threads, closes its files and removes its temporary folder."""
        with self.lock:
            self._save()
            self._store.close()
        self.library.close()

    # ----- for the endpoints -----

    def admit(self, headers: Mapping[str, str]) -> None:
        """Lets a call pass, by its credentials and its frequency.

        Raises:
            Refusal: 1102, 1101, 1109, 1200 or 1005.
        """
        now = self.clock.now()
        check_credentials(headers, self.config, now=now)
        limit = self.config.requests_per_second
        if limit is None:
            return
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= limit:
            raise Refusal(1005)
        self._recent.append(now)

    def accept(self, draft: Draft) -> Job:
        """Turns a checked create into a job and holds its credits.

        Raises:
            Refusal: 1006 without enough credits, 1005 beyond the slots if so configured.
        """
        with self.lock:
            self.catch_up()
            refuses = draft.kind == "video" and self.config.refuse_beyond_slots
            if refuses and not self.book.has_free_slot:
                raise Refusal(1005)
            # Speech is charged by the character at once, so nothing has to be rounded up.
            locked = held_for(draft.price) if draft.kind == "video" else draft.price
            self.credits.hold(locked)
            job = self.book.add(self._new_job(draft, locked), now=self.clock.now())
        if job.webhook_url:
            self._wake()
        return job

    def catch_up(self) -> None:
        """Lets everything happen that is due: jobs start and end, credits settle."""
        with self.lock:
            for change in self.book.advance(self.clock.now()):
                self._settle(change)
                self.webhooks.announce(change, self._callback(change))

    def job(self, job_id: str, kind: JobKind) -> Job:
        """A job by its ``_id``.

        Raises:
            Refusal: 1008 when there is none of this kind.
        """
        with self.lock:
            self.catch_up()
            job = self.book.get(job_id, kind)
            if job is None or job_id in self.deleted:
                raise Refusal(1008)
            return job

    def delete(self, job_id: str) -> None:
        """Takes a cloned voice out of the account."""
        with self.lock:
            self.deleted.add(job_id)
            self._save()

    def milliseconds(self, moment: float) -> int:
        """A virtual moment as the account's clock tells it: epoch milliseconds, maybe skewed."""
        return int((moment + self.config.clock_skew) * 1000)

    def link(self, path: str) -> str:
        """The full address of a path of this server, as it is reached now."""
        return f"{self.base_url.rstrip('/')}/{path.lstrip('/')}"

    def link_is_alive(self, job: Job) -> bool:
        """Whether a job's result exists and is not yet older than the links live."""
        now = self.clock.now()
        return job.status(now) == COMPLETED and now < job.ended + self.config.link_life

    # ----- in the background -----

    async def run(self) -> None:
        """Keeps jobs and callbacks moving while nobody asks; ends by cancellation."""
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        try:
            while True:
                self._news.clear()
                self.catch_up()
                await self.webhooks.send_due()
                await self._pause(self._news)
        finally:
            self._loop = None
            await self.webhooks.close()

    async def _pause(self, news: asyncio.Event) -> None:
        moments = [self.book.next_event(), self.webhooks.next_due()]
        waits = [self.clock.real_seconds_until(at) for at in moments if at is not None]
        wait = min([*waits, _LONGEST_WAIT])
        await asyncio.sleep(_SHORTEST_WAIT)
        if wait > _SHORTEST_WAIT:
            try:
                await asyncio.wait_for(news.wait(), wait)
            except asyncio.TimeoutError:
                return

    def _wake(self) -> None:
        loop, news = self._loop, self._news
        if loop is not None and news is not None and not loop.is_closed():
            loop.call_soon_threadsafe(news.set)

    # ----- inside -----

    def _new_job(self, draft: Draft, locked: float) -> Job:
        times, now = self.config.times, self.clock.now()
        number = len(self.book) + 1
        at_once = draft.kind == "video" and self._answers_late(draft.webhook_url)
        job_id = self._new_id(draft)
        plan = self._plan(draft, job_id)
        work = plan.work_seconds(
            mean=draft.mean, sigma=times.sigma, key=(self.config.seed, draft.kind, *draft.key)
        )
        return Job(
            id=job_id,
            kind=draft.kind,
            page=draft.page,
            number=number,
            body=draft.body,
            details=draft.details | further_ids(draft.kind, job_id) | {"lost": plan.lost},
            created=now,
            queueing=0.0 if at_once else times.queueing,
            work=0.0 if at_once else work,
            seconds=draft.seconds,
            locked=locked,
            price=draft.price,
            fails=plan.fails,
            error_code=plan.error_code,
            error_reason=plan.error_reason,
            webhook_url=draft.webhook_url,
        )

    def _new_id(self, draft: Draft) -> str:
        content = (draft.kind, *draft.key)
        while True:
            self._twins[content] += 1
            job_id = object_id(
                # Not the moment of the create: it would be another in each replay.
                at=self._began,
                seed=self.config.seed,
                number=self._twins[content],
                salt=repr(content),
            )
            if self.book.get(job_id) is None:
                return job_id

    def _plan(self, draft: Draft, job_id: str) -> Plan:
        share = self.config.failing_renders if draft.kind == "video" else 0.0
        drawn = seeded(self.config.seed, "render", replayed_part(job_id)).random()
        if draft.plan.fails or drawn >= share:
            return draft.plan
        reason = MESSAGES[_RENDER_ERROR]
        return replace(draft.plan, fails=True, error_code=_RENDER_ERROR, error_reason=reason)

    def _answers_late(self, webhook_url: str) -> bool:
        return bool(webhook_url) and self.config.webhooks.before_answer

    def _settle(self, change: Change) -> None:
        if change.status in (COMPLETED, FAILED):
            price = change.job.price if change.status == COMPLETED else 0.0
            self.credits.settle(held=change.job.locked, price=price)

    def _callback(self, change: Change) -> dict[str, Any]:
        job = change.job
        done = change.status == COMPLETED
        kind = "talking photo" if "talkingphoto" in job.page else _CALLBACK_TYPES[job.kind]
        path = result_path(job) if done else ""
        payload: dict[str, Any] = {
            "_id": job.id,
            "status": change.status,
            "type": kind,
            "url": self.link(path) if path else "",
        }
        # Seen in a real callback, though not documented.
        return payload | ({"deduction_credit": math.ceil(job.price)} if done else {})

    def _first_moment(self) -> float | None:
        stored = self._store.fact("now", 0.0)
        return max(stored, time.time() if self.config.start is None else self.config.start)

    def _restore(self) -> None:
        now = self.clock.now()
        jobs = self._store.jobs()
        self.book.restore(jobs, now=now)
        for job in jobs:
            self.credits.available -= job.locked
            self.credits.held += job.locked
            if job.ended <= now:
                self.credits.settle(held=job.locked, price=0.0 if job.fails else job.price)
        self.book.on_keep = self._save

    def _save(self, *jobs: Job) -> None:
        granted = self.credits.available + self.credits.held + self.credits.spent
        facts = {"now": self.clock.now(), "granted": granted, "deleted": sorted(self.deleted)}
        self._store.save(*jobs, facts=facts)


def _status_counts(jobs: list[Job], now: float) -> dict[str, int]:
    names = {1: "queued", 2: "working", 3: "completed", 4: "failed"}
    counts = Counter(job.status(now) for job in jobs)
    return {name: counts[status] for status, name in names.items()}
