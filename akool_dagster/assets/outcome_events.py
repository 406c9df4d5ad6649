"""Shows what became of one partition on the partition itself."""

import dagster as dg

from akool_dagster.batch.outcomes import Outcome
from akool_dagster.storage import Storage


def log_outcome(context: dg.OpExecutionContext, outcome: Outcome, *, storage: Storage) -> None:
    """Shows one partition's end: green when it got through, else why not.

    Args:
        context: Of the step.
        outcome: What became of it.
        storage: The data root.
    """
    show = materialization if outcome.ok else observation
    context.log_event(show(outcome, storage=storage))


def materialization(outcome: Outcome, *, storage: Storage) -> dg.AssetMaterialization:
    """Shows a partition that got through.

    Args:
        outcome: What became of it.
        storage: The data root.

    Returns:
        The event, to be logged.
    """
    return dg.AssetMaterialization(
        asset_key=outcome.stage.value,
        partition=outcome.key,
        description=outcome.text,
        metadata=_metadata(outcome, storage=storage),
    )


def observation(outcome: Outcome, *, storage: Storage) -> dg.AssetObservation:
    """Puts the cause onto the failed partition itself, where Dagster alone shows only a run.

    Args:
        outcome: What became of it.
        storage: The data root.

    Returns:
        The event, to be logged.
    """
    told = {
        "what_happened": outcome.text,
        "akool_code": outcome.code,
        "paid": outcome.cost,
        "what_to_do": outcome.advice,
    }
    metadata = {name: value for name, value in told.items() if value not in (None, "")}
    return dg.AssetObservation(
        asset_key=outcome.stage.value,
        partition=outcome.key,
        description=outcome.report,
        metadata={**metadata, **_metadata(outcome, storage=storage)},
    )


def _metadata(outcome: Outcome, *, storage: Storage) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {}
    if outcome.poster is not None:
        metadata["poster"] = dg.MetadataValue.md(f"![{outcome.key}]({outcome.poster})")
    for name, value in outcome.facts.items():
        metadata[name] = _metadata_value(name, value, storage=storage)
    return metadata


def _metadata_value(name: str, value: object, *, storage: Storage) -> dg.MetadataValue:
    if name == "path":
        return dg.MetadataValue.path(str(storage.path(str(value))))
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    text = str(value)
    is_link = text.startswith(("http://", "https://"))
    return dg.MetadataValue.url(text) if is_link else dg.MetadataValue.text(text)
