"""All items of a list that AKOOL hands out in pages, whose rules its pages leave half open.

Neither the largest page nor a total is documented for every list, so the next page is asked for
while a page brings something new and is either full or known not to be the last. A list that
ignores the page number repeats itself, brings nothing new, and so ends too.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from akool_dagster.akool.parsing import Page

PAGE_SIZE = 100
MAX_PAGES = 1000

_log = logging.getLogger("akool_dagster.akool")


def all_items(read_page: Callable[[dict[str, str | int]], Page], *, key: str) -> list[Any]:
    """Read every page of a list.

    Args:
        read_page: Reads one page, given ``page`` (from 1) and ``size`` for its query.
        key: Name of the field that tells items apart.

    Returns:
        The items in order, each key once. Items without the key come along, for the caller to
        count.
    """
    items: list[Any] = []
    seen: set[str] = set()
    received = 0
    for number in range(1, MAX_PAGES + 1):
        page = read_page({"page": number, "size": PAGE_SIZE})
        known = len(seen)
        items += _new(page.items, key=key, seen=seen)
        received += len(page.items)
        is_full = len(page.items) >= min(PAGE_SIZE, page.size or PAGE_SIZE)
        is_last = not is_full and received >= (page.total or 0)
        if is_last or len(seen) == known:
            return items
    _log.warning("a list was cut off after %d pages with %d items", MAX_PAGES, len(items))
    return items


def unique(items: Iterable[Any], *, key: str) -> list[Any]:
    """Leave out every item whose key was there before; keep those without a key."""
    return _new(items, key=key, seen=set())


def _new(items: Iterable[Any], *, key: str, seen: set[str]) -> list[Any]:
    """The items whose key is not among the seen ones, which grow."""
    kept: list[Any] = []
    for item in items:
        value = item.get(key) if isinstance(item, Mapping) else None
        if not isinstance(value, str):
            kept.append(item)
        elif value not in seen:
            seen.add(value)
            kept.append(item)
    return kept
