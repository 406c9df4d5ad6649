"""How a run of a row job is told which scripts it handles, and how to read that back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from akool_dagster.assets.script_videos import STEP
from akool_dagster.automation.retrying import retry_scripts
from akool_dagster.batch.planning import KeyGroup, group_keys
from akool_dagster.partitions import manifest_of

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True, kw_only=True)
class RowRun:
    """One run of a row job.

    Attributes:
        keys: The scripts that it handles.
        tags: Its tags: a contiguous range is told by them.
        run_config: Its run config: scattered scripts are told by it.
    """

    keys: tuple[str, ...]
    tags: Mapping[str, str]
    run_config: Mapping[str, Any] = field(default_factory=dict)


def plan_row_runs(
    all_keys: Sequence[str], *, chosen: Collection[str], longest: int
) -> list[RowRun]:
    """Puts scripts into as few runs as possible.

    Args:
        all_keys: The partition set, in its order.
        chosen: The scripts; those that are not in the set are left out.
        longest: Most scripts of one run.

    Returns:
        The runs, in the order of the set.
    """
    groups = group_keys(all_keys, chosen=chosen, longest=longest)
    return [_row_run(group) for group in groups]


def range_tags(*, first: str, last: str) -> dict[str, str]:
    """Makes the tags with which one run handles a contiguous range of partitions.

    Args:
        first: Its first key.
        last: Its last key.

    Returns:
        The tags.
    """
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def keys_of(
    run: dg.DagsterRun, *, all_keys: Sequence[str], position: Mapping[str, int]
) -> set[str]:
    """Tells which scripts a run handles.

    Args:
        run: A run of any job.
        all_keys: The partition set, in its order.
        position: Place of each key in it.

    Returns:
        Their keys, none for a run that handles no scripts.
    """
    ops: Any = dict(run.run_config).get("ops") or {}
    scattered = ops.get(STEP, {}).get("config", {})
    retried = ops.get(retry_scripts.name, {}).get("config", {})
    first = run.tags.get(RANGE_START_TAG, run.tags.get(PARTITION_TAG, ""))
    last = run.tags.get(RANGE_END_TAG, first)
    keys = set(scattered.get("scripts", ()))
    # Which scripts of its manifest a retry has chosen, only its process knows.
    keys.update(key for key in all_keys if manifest_of(key) == retried.get("manifest"))
    if first in position and last in position:
        keys.update(all_keys[position[first] : position[last] + 1])
    return keys


def _row_run(group: KeyGroup) -> RowRun:
    first = group.keys[0]
    if group.is_range:
        return RowRun(keys=group.keys, tags=range_tags(first=first, last=group.keys[-1]))
    config = {"ops": {STEP: {"config": {"scripts": list(group.keys)}}}}
    # A run of a partitioned asset must name a partition: it names the first of its scripts.
    return RowRun(keys=group.keys, tags=range_tags(first=first, last=first), run_config=config)
