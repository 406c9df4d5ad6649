"""Tells Dagster that a run is about to materialize scattered partitions.

Dagster writes this event itself for a run of one key or of one contiguous range, and shows a
planned partition as in progress, then as failed when its run fails without having materialized it.
No run handles another set of keys, but the event may name any key. It is not declared public, and
made here alone.
"""

import logging
from collections.abc import Sequence

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent


def plan_partitions(
    context: dg.OpExecutionContext, assets: Sequence[dg.AssetKey], *, keys: Sequence[str]
) -> None:
    """Writes the events.

    Args:
        context: Of the step that will materialize them.
        assets: Which assets.
        keys: Which partitions of each.
    """
    step = context.get_step_execution_context().step.key
    for key in keys:
        for asset in assets:
            planned = AssetMaterializationPlannedData(asset, partition=key, partitions_subset=None)
            event = DagsterEvent.build_asset_materialization_planned_event(
                context.job_name, step, planned
            )
            context.instance.report_dagster_event(event, context.run_id, logging.DEBUG)
