"""Decides which rows to ask for and how to put them into runs; pure functions."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from akool_dagster.batch.row_status import RowStatus


@dataclass(frozen=True, kw_only=True)
class KeyGroup:
    """Partition keys for one Dagster run.

    Attributes:
        keys: The keys, in the order of the partition set; never empty.
        is_range: Whether they are contiguous, so that Dagster can be told of them as a range.
    """

    keys: tuple[str, ...]
    is_range: bool = True

    @property
    def first(self) -> str:
        """The first key."""
        return self.keys[0]

    @property
    def last(self) -> str:
        """The last key."""
        return self.keys[-1]


def keys_to_request(
    statuses: Iterable[RowStatus], *, busy: Collection[str] = frozenset()
) -> list[str]:
    """Chooses the rows that may be asked for without a person's word.

    Rows that AKOOL refused or failed for their own sake, and rows in doubt, are left to a person:
    asking for them every night would pay for the same failure every night.

    Args:
        statuses: The rows.
        busy: Keys that a run is working on.

    Returns:
        Their keys, in the same order.
    """
    return [
        status.row.key
        for status in statuses
        if status.may_be_asked_again and status.row.key not in busy
    ]


MORE_RUNS = 3
"""Runs that gaps may cost beyond what the number of keys needs, before keys count as scattered."""


def group_keys(all_keys: Sequence[str], *, chosen: Collection[str], longest: int) -> list[KeyGroup]:
    """Puts chosen keys into few groups: ranges where they lie together, else plain sets.

    A run costs seconds: a retry of 300 rows scattered over 10,000 must not take 300 of them.

    Args:
        all_keys: The partition set, in its order.
        chosen: The keys to cover; those that are not in the set are left out.
        longest: Most keys of one group.

    Returns:
        The groups, in the order of the set.
    """
    ranges = contiguous_ranges(all_keys, chosen=chosen, longest=longest)
    keys = [key for stretch in ranges for key in stretch.keys]
    if len(ranges) <= math.ceil(len(keys) / longest) + MORE_RUNS:
        return ranges
    parts = [tuple(keys[start : start + longest]) for start in range(0, len(keys), longest)]
    return [KeyGroup(keys=part, is_range=len(part) == 1) for part in parts]


def contiguous_ranges(
    all_keys: Sequence[str], *, chosen: Collection[str], longest: int
) -> list[KeyGroup]:
    """Puts chosen keys into contiguous ranges of the partition set.

    A Dagster run handles one key or one contiguous range, and a run costs seconds: the fewer
    ranges the better.

    Args:
        all_keys: The partition set, in its order.
        chosen: The keys to cover; those that are not in the set are left out.
        longest: Most keys of one range.

    Returns:
        Groups that are ranges; they hold the chosen keys and no other.
    """
    wanted = set(chosen)
    ranges: list[KeyGroup] = []
    current: list[str] = []
    for key in all_keys:
        if current and (key not in wanted or len(current) == longest):
            ranges.append(KeyGroup(keys=tuple(current)))
            current = []
        if key in wanted:
            current.append(key)
    if current:
        ranges.append(KeyGroup(keys=tuple(current)))
    return ranges
