"""A list of AKOOL's: what was saved of it, read anew at most once, and only when that is needed."""

import difflib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from akool_dagster.akool import AkoolError

FRESH_SECONDS = 24 * 3600.0
"""A saved list that is older than this is read anew before anything rests on it."""

FAILURE_SECONDS = 60.0
"""How long a list that could not be read is not asked for again: thousands of rows share it."""

_LIKE = 0.6
_SUGGESTED = 3

Item = TypeVar("Item")
Saved = tuple[Mapping[str, Item], float | None]


class CatalogUnreadable(Exception):
    """AKOOL's list is needed and cannot be had; nothing may be sent on the strength of a guess.

    Attributes:
        message: What happened.
        advice: What a person can do.
    """

    def __init__(self, message: str, *, advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class Listing(Generic[Item]):
    """Looks ids up; safe to share between threads.

    Args:
        what: What is listed, in the plural: ``avatars``.
        load: Reads what was saved, when it is first needed: item by id, and when AKOOL was asked
            for it, in seconds since 1970 UTC, or None when that is not known.
        fetch: Reads AKOOL's list; called once, or again a while after it failed.
        clock: Gives the time in seconds since 1970 UTC.
    """

    def __init__(
        self,
        *,
        what: str,
        load: Callable[[], Saved[Item]],
        fetch: Callable[[], Mapping[str, Item]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._what = what
        self._load = load
        self._items: dict[str, Item] | None = None
        self._saved_at: float | None = None
        self._fetch = fetch
        self._clock = clock
        self._is_read = False
        self._failure: tuple[float, CatalogUnreadable] | None = None
        self._lock = threading.Lock()

    def find(self, item_id: str) -> Item | None:
        """Looks an item up: in what was saved within a day, else in AKOOL's list.

        Args:
            item_id: The id.

        Returns:
            The item, None when AKOOL does not list it.

        Raises:
            CatalogUnreadable: The list is needed and cannot be had.
        """
        with self._lock:
            known = self._known()
            if not self._is_read and (not self._is_fresh() or item_id not in known):
                known = self._read()
            return known.get(item_id)

    def items(self) -> dict[str, Item]:
        """What is known now, by id; reads nothing."""
        with self._lock:
            return dict(self._known())

    def replace(self, item_id: str, item: Item) -> None:
        """Puts a newer picture of an item in the place of the old one."""
        with self._lock:
            self._known()[item_id] = item

    def _known(self) -> dict[str, Item]:
        if self._items is None:
            saved, self._saved_at = self._load()
            self._items = dict(saved)
        return self._items

    def _is_fresh(self) -> bool:
        return self._saved_at is not None and self._clock() - self._saved_at <= FRESH_SECONDS

    def _read(self) -> dict[str, Item]:
        now = self._clock()
        if self._failure is not None and now < self._failure[0] + FAILURE_SECONDS:
            raise self._failure[1]
        try:
            items = self._fetched()
        except CatalogUnreadable as error:
            self._failure = (now, error)
            raise
        self._items, self._is_read = items, True
        return items

    def _fetched(self) -> dict[str, Item]:
        try:
            items = dict(self._fetch())
        except AkoolError as error:
            raise CatalogUnreadable(
                f"AKOOL's list of {self._what} could not be read: {error.message}",
                advice=error.advice or "Try again later.",
            ) from error
        if not items:
            raise CatalogUnreadable(
                f"AKOOL's list of {self._what} came back empty, which it never is.",
                advice="Look at the account on AKOOL's site, and try again later.",
            )
        return items


def nearest(wanted: str, names: Mapping[str, str | None]) -> list[str]:
    """Suggests what a person may have meant, by id and by name.

    Args:
        wanted: An id that does not exist.
        names: Display name by id.

    Returns:
        A few ids, the likeliest first; an item that has ``wanted`` as its name comes first.
    """
    by_spelling: dict[str, str] = {}
    for item_id, name in names.items():
        by_spelling.setdefault(item_id.casefold(), item_id)
        if name:
            by_spelling.setdefault(name.casefold(), item_id)
    close = difflib.get_close_matches(
        wanted.casefold(), by_spelling, n=2 * _SUGGESTED, cutoff=_LIKE
    )
    return list(dict.fromkeys(by_spelling[spelling] for spelling in close))[:_SUGGESTED]
