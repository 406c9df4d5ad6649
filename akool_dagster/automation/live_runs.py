"""Which partitions runs are working on right now."""

import time
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
    return {key for keys in keys_by_run(instance, all_keys, signs=signs).values() for key in keys}


def keys_by_run(
    instance: dg.DagsterInstance,
    all_keys: Sequence[str],
    *,
    signs: RunSigns,
    young_seconds: float = 0.0,
) -> dict[str, set[str]]:
    """Finds the partitions that each living run handles, see `busy_keys`.

    Args:
        instance: The Dagster instance.
        all_keys: The partition set of the scripts or, for the runs that handle whole manifests,
            of the manifests; in its order.
        signs: The ledger's signs of life.
        young_seconds: A run that started so recently needs no sign: it may be about to give its
            first one, and runs that ask for nothing never give any.

    Returns:
        Their keys by id of the run, for runs that handle any.
    """
    position = {key: index for index, key in enumerate(all_keys)}
    found: dict[str, set[str]] = {}
    living, latest = signs.living(), time.time() - young_seconds
    for record in instance.get_run_records(filters=RunsFilter(statuses=list(ALIVE))):
        run = record.dagster_run
        is_young = young_seconds > 0 and (record.start_time or 0.0) >= latest
        if run.status in AT_WORK and run.run_id not in living and not is_young:
            continue
        keys = keys_of(run, all_keys=all_keys, position=position)
        if keys:
            found[run.run_id] = keys
    return found
