"""Which partitions runs are working on right now."""

from collections.abc import Sequence

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from akool_dagster.automation.row_runs import keys_of
from akool_dagster.ledger import RunSigns

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
        busy |= keys_of(run, all_keys=all_keys, position=position)
    return busy
