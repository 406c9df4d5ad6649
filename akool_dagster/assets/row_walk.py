"""Walks script rows through their stages and shows each row's end on its own partition."""

from collections.abc import Iterable, Sequence

import dagster as dg

from akool_dagster.assets.failures import rows_failure
from akool_dagster.assets.outcome_events import log_outcome
from akool_dagster.assets.planned_partitions import plan_partitions
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.manifest import ScriptRow
from akool_dagster.manifest.scripts import read_rows
from akool_dagster.partitions import by_manifest, manifest_of
from akool_dagster.storage import Storage


def walk_scattered(
    context: dg.OpExecutionContext, tools: Tools, *, keys: Sequence[str], stages: Iterable[Stage]
) -> None:
    """Walks rows that are no contiguous range, so that Dagster does not know of all of them yet.

    Args:
        context: Of the step.
        tools: What the batch works with.
        keys: Partition keys of scripts.
        stages: The wanted stages.

    Raises:
        dagster.Failure: Some rows did not get through; Dagster shows just these as failed.
    """
    wanted = [stage for stage in STAGES if stage in set(stages)]
    assets = [dg.AssetKey(stage.value) for stage in wanted]
    known = context.partition_keys if context.has_partition_key_range else ()
    plan_partitions(context, assets, keys=[key for key in keys if key not in known])
    walk_rows(context, tools, keys=keys, stages=wanted)


def walk_rows(
    context: dg.OpExecutionContext, tools: Tools, *, keys: Sequence[str], stages: Sequence[Stage]
) -> None:
    """Walks rows, and shows each row's end the moment it is reached.

    Args:
        context: Of the step.
        tools: What the batch works with.
        keys: Partition keys of scripts.
        stages: The wanted stages.

    Raises:
        dagster.Failure: Some rows did not get through.
    """
    rows, failed = load_rows(tools.storage, keys)
    for outcome in Walk(tools, run_id=context.run_id).outcomes(rows, stages=stages):
        log_outcome(context, outcome, storage=tools.storage)
        if not outcome.ok:
            failed.append(outcome)
    if failed:
        raise rows_failure(failed, rows=len(keys))


def load_rows(storage: Storage, keys: Sequence[str]) -> tuple[list[ScriptRow], list[Outcome]]:
    """Finds the rows of script partitions in their validated manifests.

    Args:
        storage: The data root.
        keys: Partition keys of scripts.

    Returns:
        The rows in the order of the keys, and an outcome for each key without a row.
    """
    found: dict[str, ScriptRow] = {}
    missing: list[Outcome] = []
    for name, wanted in by_manifest(keys).items():
        path = storage.scripts_path(name)
        is_validated = path.exists()
        if is_validated:
            found.update(read_rows(path, keys=wanted))
        missing += [
            _without_row(key, has_manifest=is_validated) for key in wanted if key not in found
        ]
    return [found[key] for key in keys if key in found], missing


def _without_row(key: str, *, has_manifest: bool) -> Outcome:
    name = manifest_of(key)
    return Outcome(
        key=key,
        stage=Stage.VOICE,
        trouble=Trouble.ROW,
        text=(
            f"The manifest {name!r} has no row with this script_id any more."
            if has_manifest
            else f"The manifest {name!r} was not validated yet, or never existed."
        ),
        cost="Nothing was sent for it.",
        advice=(
            "Leave this partition out; what was made for it stays."
            if has_manifest
            else f"Materialize script_manifests for {name!r} first."
        ),
    )
