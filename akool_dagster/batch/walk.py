"""Walks many script rows through their stages, each at its own pace.

One thread plans, a pool of threads does the waiting on the network. A row that waits for AKOOL
holds no thread, and a row that fails holds back no other.
"""

import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from akool_dagster.batch.creating import reopen_account
from akool_dagster.batch.download_stage import download_stage
from akool_dagster.batch.looking import settle_due
from akool_dagster.batch.outcomes import PAID, STAGES, Later, Outcome, Stage, Trouble
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.video_stage import video_stage
from akool_dagster.batch.voice_stage import voice_stage
from akool_dagster.ledger import SIGN_SECONDS, Kind
from akool_dagster.manifest import ScriptRow

logger = logging.getLogger(__name__)

THREADS = 16
_LONGEST_NAP_SECONDS = 1.0


@dataclass
class _Walker:
    """One row on its way."""

    row: ScriptRow
    left: deque[Stage]
    waiting_since: float = 0.0
    has_tried_for_slot: bool = False


@dataclass
class _Stop:
    """Where a walker came to a halt: what it achieved, and when to go on."""

    walker: _Walker
    outcomes: list[Outcome] = field(default_factory=list)
    later: Later | None = None


class Walk:
    """One batch of rows under way.

    Args:
        tools: What the batch works with.
        run_id: The Dagster run that asks.
        executor: Runs the steps; a pool of threads by default.
        sleep: Waits; takes seconds.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        run_id: str,
        executor: Executor | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tools = tools
        self._run_id = run_id
        self._began_at = tools.clock()
        self._executor = executor or ThreadPoolExecutor(THREADS, thread_name_prefix="akool")
        self._sleep = sleep
        self._order = itertools.count()
        self._due: list[tuple[float, int, _Walker]] = []
        self._wanting_slot: deque[_Walker] = deque()
        self._slot_look_at = 0.0
        self._next_sign_at = 0.0
        self._running: set[Future[_Stop | None]] = set()

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
        for row in rows:
            self._put(_Walker(row=row, left=deque(wanted)), at=self._began_at)
        try:
            while self._due or self._wanting_slot or self._running:
                self._show_life()
                self._start_what_is_due()
                yield from self._collect()
        finally:
            # What is being sent is seen to its end, so that its answer is written down.
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._tools.ledger.run_signs.end(self._run_id)

    def _show_life(self) -> None:
        """Tells the sensors that this run looks after its rows itself."""
        if self._tools.clock() >= self._next_sign_at:
            self._tools.ledger.run_signs.give(self._run_id)
            self._next_sign_at = self._tools.clock() + SIGN_SECONDS

    def _put(self, walker: _Walker, *, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._order), walker))

    def _start_what_is_due(self) -> None:
        now = self._tools.clock()
        if self._wanting_slot and now >= self._slot_look_at:
            self._slot_look_at = now + _LONGEST_NAP_SECONDS
            self._running.add(self._executor.submit(self._look_at_slots))
            self._put(self._wanting_slot.popleft(), at=now)
        while self._due and self._due[0][0] <= now and len(self._running) < 2 * THREADS:
            _, _, walker = heapq.heappop(self._due)
            self._running.add(self._executor.submit(self._go_on, walker))

    def _collect(self) -> Iterator[Outcome]:
        nap = self._nap()
        if not self._running:
            self._sleep(nap)
            return
        done, self._running = wait(self._running, timeout=nap, return_when=FIRST_COMPLETED)
        for future in done:
            stop = future.result()
            if stop is not None:
                yield from stop.outcomes
                self._after(stop)

    def _nap(self) -> float:
        now = self._tools.clock()
        dues = [self._due[0][0]] if self._due else []
        if self._wanting_slot:
            dues.append(self._slot_look_at)
        return max(0.0, min([due - now for due in dues] + [_LONGEST_NAP_SECONDS]))

    def _after(self, stop: _Stop) -> None:
        """Parks a walker that must wait, and lets the next one try for a slot."""
        if stop.later is None or stop.outcomes:
            self._slot_look_at = 0.0
        if stop.later is None:
            return
        if stop.later.wants_slot:
            self._queue_for_slot(stop.walker)
            self._slot_look_at = max(self._slot_look_at, stop.later.at)
        else:
            self._put(stop.walker, at=stop.later.at)

    def _queue_for_slot(self, walker: _Walker) -> None:
        """Keeps first come, first served: whoever tried in vain keeps its place."""
        if walker.has_tried_for_slot:
            self._wanting_slot.appendleft(walker)
        else:
            walker.has_tried_for_slot = True
            self._wanting_slot.append(walker)

    def _look_at_slots(self) -> None:
        """Sees whether AKOOL has finished something; a run that only requests would not notice."""
        until = self._tools.clock() + _LONGEST_NAP_SECONDS
        settle_due(self._tools, kind=Kind.VIDEO, limit=100, until=until)

    def _go_on(self, walker: _Walker) -> _Stop:
        stop = _Stop(walker=walker)
        while walker.left:
            step = self._step(walker)
            if isinstance(step, Later):
                stop.later = step
                return stop
            stop.outcomes.append(step)
            walker.left.popleft()
            walker.waiting_since = 0.0
            if not step.ok:
                walker.left.clear()
        return stop

    def _step(self, walker: _Walker) -> Outcome | Later:
        stage = walker.left[0]
        walker.waiting_since = walker.waiting_since or self._tools.clock()
        try:
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

    def _stage(self, walker: _Walker, stage: Stage) -> Outcome | Later:
        tools, row = self._tools, walker.row
        if stage is Stage.VOICE:
            return voice_stage(
                tools,
                row,
                run_id=self._run_id,
                run_began_at=self._began_at,
                waiting_since=walker.waiting_since,
            )
        if stage is Stage.VIDEO:
            return video_stage(tools, row, run_id=self._run_id, run_began_at=self._began_at)
        return download_stage(tools, row, waiting_since=walker.waiting_since)
