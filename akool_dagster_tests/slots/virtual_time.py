"""A clock that jumps from event to event, and an executor that works by it.

What is written for threads runs here unchanged, one greenlet for each thread: whoever sleeps gives
way to whoever is due next, in an order that never varies.
"""

import heapq
import itertools
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from typing import Any

import greenlet

START = 1_800_057_600.0
"""A midnight UTC, in seconds since 1970."""


class VirtualTime:
    """The time, and what is to happen when."""

    def __init__(self) -> None:
        self.now = START
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._hub = greenlet.getcurrent()

    def clock(self) -> float:
        """The time in seconds since 1970 UTC."""
        return self.now

    def call_at(self, at: float, what: Callable[[], object]) -> None:
        """Has something happen; it must not sleep."""
        heapq.heappush(self._events, (at, next(self._order), what))

    def spawn(self, work: Callable[[], object]) -> greenlet.greenlet:
        """Begins work that may sleep."""
        worker = greenlet.greenlet(work, parent=self._hub)
        self.call_at(self.now, worker.switch)
        return worker

    def sleep(self, seconds: float) -> None:
        """Lets time pass for the caller, who is somebody's work."""
        self.call_at(self.now + seconds, greenlet.getcurrent().switch)
        self._hub.switch()

    def give_way(self) -> None:
        """Sleeps until somebody switches back to the caller."""
        self._hub.switch()

    def run(self, *workers: greenlet.greenlet) -> None:
        """Lets everything happen until the workers have come to their ends."""
        while not all(worker.dead for worker in workers):
            self.now, _, what = heapq.heappop(self._events)
            what()


class VirtualExecutor(Executor):
    """A pool of threads in virtual time, for one walk, whose planner is the only one that waits.

    Args:
        time: The time.
    """

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._waiting: greenlet.greenlet | None = None
        self._waits = 0
        self._done: set[Future[Any]] = set()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begins a piece of work."""
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)
            self._done.add(future)
            self._wake(self._waits)

        self._time.spawn(work)
        return future

    def wait(self, futures: Collection[Future[Any]], seconds: float) -> Collection[Future[Any]]:
        """Waits until one is done, for at most so long; see ``Walk``."""
        if not self._done:
            self._waiting = greenlet.getcurrent()
            mine = self._waits
            self._time.call_at(self._time.now + seconds, lambda: self._wake(mine))
            self._time.give_way()
        done, self._done = self._done, set()
        return [future for future in futures if future in done]

    def _wake(self, number: int) -> None:
        """Ends the wait of this number, unless it is over."""
        if number != self._waits or self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        self._waits += 1
        self._time.call_at(self._time.now, waiting.switch)
