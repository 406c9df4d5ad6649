"""Which partitions runs are working on right now."""

from collections.abc import Sequence

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from akool_dagster.ledger import RunSigns

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

ALIVE = (
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)
"""Statuses of a run that may still do something."""


AT_WORK = (DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
"""Statuses of a run whose process should be giving signs of life."""


def range_tags(*, first: str, last: str) -> dict[str, str]:
    """Makes the tags with which one run handles a contiguous range of partitions.

    Args:
        first: Its first key.
        last: Its last key.

    Returns:
        The tags.
    """
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


def busy_keys(
    instance: dg.DagsterInstance, all_keys: Sequence[str], *, signs: RunSigns
) -> set[str]:
    """Finds the partitions that living runs handle.

    A run whose process was killed stays "started" in Dagster; without a sign of life in the
    ledger it holds nothing back.

    Args:
        instance: The Dagster instance.
        all_keys: The partition set, in its order.
        signs: The ledger's signs of life.

    Returns:
        Their keys.
    """
    position = {key: index for index, key in enumerate(all_keys)}
    busy: set[str] = set()
    living = signs.living()
    for run in instance.get_runs(filters=RunsFilter(statuses=list(ALIVE))):
        if run.status in AT_WORK and run.run_id not in living:
            continue
        first = run.tags.get(RANGE_START_TAG, run.tags.get(PARTITION_TAG, ""))
        last = run.tags.get(RANGE_END_TAG, first)
        if first in position and last in position:
            busy.update(all_keys[position[first] : position[last] + 1])
    return busy
