"""Whose turn it is: the rows of a walk that are not at work just now, and what each waits for."""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from akool_dagster.batch.outcomes import Later
from akool_dagster.batch.stages import Stage
from akool_dagster.ledger import Attempt
from akool_dagster.manifest import ScriptRow

_NEWS_KEPT = 200  # of attempts that no row waits for yet: one may be at work on it


@dataclass(eq=False)
class Walker:
    """One row on its way.

    Attributes:
        number: Its place among the rows.
        row: The row.
        left: The stages that it still has to pass.
        waiting_since: When it began to wait in its present stage, 0 while it does not.
        waits_for: The accepted attempt that it waits for, as last seen.
        is_woken: Whether that attempt has changed since.
        is_checked: Whether what it needs of AKOOL is known to be there.
        ticket: Of its entry among the rows that wait for a time, -1 without one.
    """

    number: int
    row: ScriptRow
    left: deque[Stage]
    waiting_since: float = 0.0
    waits_for: Attempt | None = None
    is_woken: bool = False
    is_checked: bool = False
    ticket: int = -1


class Lanes:
    """The rows that are not at work.

    Args:
        rows: The rows, in the order in which they should be asked for.
        stages: The stages that each has to pass.
        ahead: While so many rows wait for a slot, no further row is begun.
    """

    def __init__(self, rows: Iterable[ScriptRow], *, stages: Sequence[Stage], ahead: int) -> None:
        self._ahead = ahead
        self.tickets = itertools.count()
        self._not_begun = deque(
            Walker(number=number, row=row, left=deque(stages)) for number, row in enumerate(rows)
        )
        self._timed: list[tuple[float, int, Walker]] = []
        self._parked = 0
        self._by_attempt: dict[int, dict[int, Walker]] = {}  # and by the rows' numbers
        self._missed: deque[int] = deque(maxlen=_NEWS_KEPT)
        self._settled: deque[Walker] = deque()
        self._wanting_slot: list[tuple[int, Walker]] = []

    def __len__(self) -> int:
        """How many rows are kept."""
        return len(self._not_begun) + self._parked + len(self._settled) + len(self._wanting_slot)

    @property
    def wants_slot(self) -> bool:
        """Whether a row waits for one of AKOOL's slots."""
        return bool(self._wanting_slot)

    @property
    def waits_for_akool(self) -> bool:
        """Whether a row waits for an attempt."""
        return bool(self._by_attempt)

    def next_at(self) -> float | None:
        """Tells when the next row is due.

        Returns:
            The time, None when no row waits for one.
        """
        while self._timed and self._timed[0][2].ticket != self._timed[0][1]:
            heapq.heappop(self._timed)
        return self._timed[0][0] if self._timed else None

    def take_due(self, now: float) -> Walker | None:
        """Takes the row that has been due the longest.

        Args:
            now: The time.

        Returns:
            The row, None when none is due.
        """
        at = self.next_at()
        if at is None or at > now:
            return None
        walker = heapq.heappop(self._timed)[2]
        self._unpark(walker)
        return walker

    def take_settled(self) -> Walker | None:
        """Takes a row whose voice or video AKOOL has settled.

        Returns:
            The row, None when there is none.
        """
        return self._settled.popleft() if self._settled else None

    def take_new(self) -> Walker | None:
        """Takes the first row that was not begun yet.

        Returns:
            The row; None when there is none, or so many wait for a slot that it would too.
        """
        if not self._not_begun or len(self._wanting_slot) >= self._ahead:
            return None
        return self._not_begun.popleft()

    def park(self, walker: Walker, later: Later) -> None:
        """Keeps a row until it is due, or a slot is free.

        Args:
            walker: The row.
            later: What it waits for.
        """
        walker.waits_for, walker.is_woken = later.waits_for, False
        if later.wants_slot:
            heapq.heappush(self._wanting_slot, (walker.number, walker))
            return
        self._parked += 1
        if later.waits_for is not None:
            self._by_attempt.setdefault(later.waits_for.id, {})[walker.number] = walker
            walker.is_woken = later.waits_for.id in self._missed
        self._put(walker, at=0.0 if walker.is_woken else later.at)

    def keep_settled(self, walker: Walker) -> None:
        """Keeps a row that can go on at once, but may take long.

        Args:
            walker: The row.
        """
        walker.waits_for = None
        self._settled.append(walker)

    def give_slots(self, count: int, *, now: float) -> None:
        """Lets the first rows that wait for a slot try.

        Args:
            count: How many slots are free.
            now: The time.
        """
        for _ in range(min(count, len(self._wanting_slot))):
            self._parked += 1
            self._put(heapq.heappop(self._wanting_slot)[1], at=now)

    def wake(self, attempt_ids: Iterable[int], *, now: float) -> None:
        """Makes the rows due that wait for attempts of which there is news.

        Args:
            attempt_ids: The attempts.
            now: The time.
        """
        for attempt_id in attempt_ids:
            waiting = self._by_attempt.get(attempt_id, {})
            for walker in waiting.values():
                walker.is_woken = True
                self._put(walker, at=now)
            if not waiting:
                self._missed.append(attempt_id)

    def _put(self, walker: Walker, *, at: float) -> None:
        walker.ticket = next(self.tickets)
        heapq.heappush(self._timed, (at, walker.ticket, walker))

    def _unpark(self, walker: Walker) -> None:
        walker.ticket = -1
        self._parked -= 1
        if walker.waits_for is not None:
            waiting = self._by_attempt[walker.waits_for.id]
            del waiting[walker.number]
            if not waiting:
                del self._by_attempt[walker.waits_for.id]
