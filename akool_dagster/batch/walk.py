"""Walks many script rows through their stages, each at its own pace.

One thread plans, a pool of threads does the waiting on the network. A row that waits for AKOOL
holds no thread, and a row that fails holds back no other.

AKOOL's slots are what a batch waits for, so they come first: a slot that frees is taken within a
second by the first row that waits for one, and threads are kept free for that while files are
being saved. Once a second one question to the ledger tells what others did: a callback that came,
a job that another process saw finished, a slot that another run gave back.
"""

import logging
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_futures
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from akool_dagster.batch.catalogs.check import check_before_voice
from akool_dagster.batch.creating import reopen_account
from akool_dagster.batch.outcomes import Later, Outcome, Trouble
from akool_dagster.batch.stages import PAID, STAGES, Stage
from akool_dagster.batch.stages.download import download_stage
from akool_dagster.batch.stages.video import video_stage
from akool_dagster.batch.stages.voice import voice_stage
from akool_dagster.batch.stages.waiting import wait_for
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.watching.lanes import Lanes, Walker
from akool_dagster.batch.watching.look_times import limits_now
from akool_dagster.batch.watching.looking import look
from akool_dagster.ledger import SIGN_SECONDS, Attempt, Kind, Mark, State
from akool_dagster.manifest import ScriptRow

logger = logging.getLogger(__name__)

THREADS = 16

LONG_THREADS = 12
"""Threads that may begin rows or save files; the others stay free for slots and looks."""

ROWS_AHEAD = 100
"""Rows that may wait for a slot, at least, before no further row is begun.

AKOOL deletes a voice 7 days after it was made, so voices must not be made weeks ahead of videos.
"""

NEWS_SECONDS = 1.0
"""How often the ledger is asked what others did."""

_THOROUGH_SECONDS = 10.0  # what changes only with time, such as a doubt that gives its slot back
_UNWATCHED_SECONDS = 0.5
_MOST_UNWATCHED = 32
_LONGEST_NAP_SECONDS = 1.0


@dataclass
class _Stop:
    """Where a walker came to a halt: what it achieved, and when to go on.

    Attributes:
        walker: The walker.
        outcomes: What it achieved.
        later: When to go on; None at its end.
        is_settled: Whether it can go on at once, because AKOOL has settled what it waited for.
    """

    walker: Walker
    outcomes: list[Outcome] = field(default_factory=list)
    later: Later | None = None
    is_settled: bool = False


@dataclass(frozen=True, kw_only=True)
class _News:
    """What the ledger told.

    Attributes:
        changed: Attempts that were settled or called back about.
        mark: Where to read on.
        free_slots: Videos that may be sent now; 0 where nobody asked.
        unwatched: Videos that hold slots and whose look nobody takes.
    """

    changed: Collection[int]
    mark: Mark
    free_slots: int
    unwatched: Sequence[Attempt]


def _wait_for_any(futures: Collection[Future[Any]], seconds: float) -> Collection[Future[Any]]:
    return wait_for_futures(futures, timeout=seconds, return_when=FIRST_COMPLETED).done


class Walk:
    """One batch of rows under way.

    Args:
        tools: What the batch works with.
        run_id: The Dagster run that asks.
        executor: Runs the steps; a pool of threads by default.
        sleep: Waits; takes seconds.
        wait: Waits until one of some futures of the executor is done, for at most so many
            seconds; returns those that are done.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        run_id: str,
        executor: Executor | None = None,
        sleep: Callable[[float], None] = time.sleep,
        wait: Callable[[Collection[Future[Any]], float], Collection[Future[Any]]] = _wait_for_any,
    ) -> None:
        self._tools = tools
        self._run_id = run_id
        self._began_at = tools.clock()
        self._executor = executor or ThreadPoolExecutor(THREADS, thread_name_prefix="akool")
        self._sleep = sleep
        self._wait = wait
        self._lanes = Lanes((), stages=(), ahead=0)
        self._running: dict[Future[Any], Callable[[Any], Iterable[Outcome]]] = {}
        self._long = 0
        self._mark: Mark | None = None
        self._next_news_at = 0.0
        self._next_thorough_at = 0.0
        self._no_slot_before = 0.0
        self._is_asking_news = False
        self._watches_videos = False
        self._next_sign_at = 0.0

    def outcomes(
        self, rows: Iterable[ScriptRow], *, stages: Sequence[Stage]
    ) -> Generator[Outcome, None, None]:
        """Walks the rows and tells each stage's end the moment it is reached.

        Args:
            rows: The rows, in the order in which they should be asked for.
            stages: The stages that are wanted.

        Yields:
            One outcome per row and stage; the stages after a failed one have none.
        """
        wanted = [stage for stage in STAGES if stage in stages]
        if set(wanted) & PAID:
            # A person who has topped up must not wait for the next probe.
            reopen_account(self._tools)
        ahead = max(ROWS_AHEAD, 2 * self._tools.rules.limits.max_in_flight)
        self._lanes = Lanes(rows, stages=wanted, ahead=ahead)
        self._mark = self._tools.ledger.changes.mark()
        self._watches_videos = Stage.DOWNLOAD in wanted
        try:
            while self._lanes or self._running:
                self._show_life()
                self._ask_for_news()
                self._start_what_is_due()
                yield from self._collect()
        finally:
            # What is being sent is seen to its end, so that its answer is written down.
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._tools.ledger.run_signs.end(self._run_id)

    # -- the thread that plans -------------------------------------------------------------

    def _show_life(self) -> None:
        """Tells the sensors that this run looks after its rows itself."""
        if self._tools.clock() >= self._next_sign_at:
            self._tools.ledger.run_signs.give(self._run_id)
            self._next_sign_at = self._tools.clock() + SIGN_SECONDS

    def _ask_for_news(self) -> None:
        now = self._tools.clock()
        is_wanted = self._lanes.wants_slot or self._lanes.waits_for_akool
        if self._is_asking_news or not is_wanted or now < self._next_news_at:
            return
        self._is_asking_news = True
        self._next_news_at = now + NEWS_SECONDS
        is_thorough = now >= self._next_thorough_at
        if is_thorough:
            self._next_thorough_at = now + _THOROUGH_SECONDS
        self._run(self._read_news, self._lanes.wants_slot, is_thorough, then=self._after_news)

    def _start_what_is_due(self) -> None:
        now = self._tools.clock()
        while len(self._running) < THREADS:
            walker = self._lanes.take_due(now)
            if walker is not None:
                self._run(self._go_on, walker, then=self._after_step)
                continue
            if self._long >= LONG_THREADS:
                return
            walker = self._lanes.take_settled() or self._lanes.take_new()
            if walker is None:
                return
            self._long += 1
            self._run(self._go_on, walker, then=self._after_long_step)

    def _run(
        self, work: Callable[..., Any], *args: object, then: Callable[[Any], Iterable[Outcome]]
    ) -> None:
        self._running[self._executor.submit(work, *args)] = then

    def _collect(self) -> Iterator[Outcome]:
        nap = self._nap()
        if not self._running:
            self._sleep(nap)
            return
        for future in self._wait(list(self._running), nap):
            yield from self._running.pop(future)(future.result())

    def _nap(self) -> float:
        """How long nothing is to be done unless something that runs comes to its end."""
        now = self._tools.clock()
        dues = [_LONGEST_NAP_SECONDS]
        next_at = self._lanes.next_at()
        if next_at is not None and len(self._running) < THREADS:
            dues.append(next_at - now)
        if self._lanes.wants_slot and not self._is_asking_news:
            dues.append(self._next_news_at - now)
        return max(0.0, min(dues))

    def _after_long_step(self, stop: _Stop) -> Sequence[Outcome]:
        self._long -= 1
        return self._after_step(stop)

    def _after_step(self, stop: _Stop) -> Sequence[Outcome]:
        """Parks a walker that must wait; one that came further may have left a slot free."""
        if stop.is_settled:
            self._lanes.keep_settled(stop.walker)
        elif stop.later is not None:
            self._lanes.park(stop.walker, stop.later)
            if stop.later.wants_slot and stop.later.at > self._tools.clock():
                self._no_slot_before = stop.later.at
        if stop.is_settled or stop.later is None or stop.outcomes:
            self._look_for_slots()
        return stop.outcomes

    def _look_for_slots(self) -> None:
        self._next_news_at = self._next_thorough_at = 0.0

    def _after_news(self, news: _News) -> Sequence[Outcome]:
        self._is_asking_news = False
        self._mark = news.mark
        now = self._tools.clock()
        self._lanes.wake(news.changed, now=now)
        if now >= self._no_slot_before:
            self._lanes.give_slots(news.free_slots, now=now)
        else:
            self._next_thorough_at = self._no_slot_before
        for attempt in news.unwatched:
            self._run(self._look, attempt, then=self._after_look)
        return ()

    def _after_look(self, seen: Attempt) -> Sequence[Outcome]:
        if seen.state is not State.ACCEPTED:
            self._look_for_slots()
        return ()

    # -- the threads that wait -------------------------------------------------------------

    def _read_news(self, wants_slot: bool, is_thorough: bool) -> _News:
        """Sees what others did; a run that only requests looks after its own videos here."""
        tools, known = self._tools, self._mark
        assert known is not None  # noqa: S101 - set before the first step
        free_slots, unwatched = 0, []
        try:
            changed, mark = tools.ledger.changes.since(known)
            if wants_slot and (is_thorough or mark != known):
                free_slots = tools.ledger.attempts.free_slots(limits_now(tools))
            if wants_slot and not free_slots and (is_thorough or not self._watches_videos):
                unwatched = tools.ledger.attempts.due_looks(
                    kind=Kind.VIDEO, now=tools.clock() - _UNWATCHED_SECONDS, limit=_MOST_UNWATCHED
                )
        except SQLAlchemyError as error:
            logger.warning("The ledger cannot be read now: %s", type(error).__name__)
            return _News(changed=(), mark=known, free_slots=0, unwatched=())
        return _News(changed=changed, mark=mark, free_slots=free_slots, unwatched=unwatched)

    def _look(self, attempt: Attempt) -> Attempt:
        try:
            return look(self._tools, attempt)
        except SQLAlchemyError as error:
            logger.warning("The ledger cannot be used now: %s", type(error).__name__)
            return attempt

    def _go_on(self, walker: Walker) -> _Stop:
        stop = _Stop(walker=walker)
        while walker.left:
            step = self._step(walker)
            if step is None:
                stop.is_settled = True
                return stop
            if isinstance(step, Later):
                stop.later = step
                return stop
            stop.outcomes.append(step)
            walker.left.popleft()
            walker.waiting_since = 0.0
            if not step.ok:
                walker.left.clear()
        return stop

    def _step(self, walker: Walker) -> Outcome | Later | None:
        """Carries a walker one step on; None when AKOOL has settled what it waits for."""
        stage = walker.left[0]
        walker.waiting_since = walker.waiting_since or self._tools.clock()
        waits_for, walker.waits_for = walker.waits_for, None
        try:
            if waits_for is not None:
                return self._wait_on(walker, waits_for, stage)
            return self._stage(walker, stage)
        except Exception as error:
            logger.exception("%s of %s", stage.value, walker.row.key)
            return Outcome(
                key=walker.row.key,
                stage=stage,
                trouble=Trouble.LATER,
                text=f"{type(error).__name__}: {error}",
                advice="Materialize it again: what was paid for is known and not paid twice.",
            )

    def _wait_on(self, walker: Walker, attempt: Attempt, stage: Stage) -> Outcome | Later | None:
        """Looks at what a walker waits for, without going through its stage again."""
        tools = self._tools
        if walker.is_woken:
            attempt = tools.ledger.attempts.get(attempt.id)
        seen = wait_for(
            tools, attempt, key=walker.row.key, stage=stage, waiting_since=walker.waiting_since
        )
        return None if isinstance(seen, Attempt) else seen

    def _stage(self, walker: Walker, stage: Stage) -> Outcome | Later:
        tools, row = self._tools, walker.row
        if stage is Stage.VOICE and not walker.is_checked:
            unfit = check_before_voice(tools, row, waiting_since=walker.waiting_since)
            if unfit is not None:
                return unfit
            walker.is_checked, walker.waiting_since = True, tools.clock()
        if stage is Stage.VOICE:
            return voice_stage(
                tools,
                row,
                run_id=self._run_id,
                run_began_at=self._began_at,
                waiting_since=walker.waiting_since,
            )
        if stage is Stage.VIDEO:
            return video_stage(
                tools,
                row,
                run_id=self._run_id,
                run_began_at=self._began_at,
                waiting_since=walker.waiting_since,
            )
        return download_stage(tools, row, waiting_since=walker.waiting_since)
