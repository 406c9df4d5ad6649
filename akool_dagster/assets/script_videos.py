"""The three row assets: a script's voice, its video request and its finished video.

They are one multi-asset in one step, so that each row walks by itself: row 1's video is asked for
while row 100 still gets its voice, and a row that fails holds back no other.
"""

from collections.abc import Iterable, Iterator

import dagster as dg

from akool_dagster.assets.failures import rows_failure
from akool_dagster.assets.manifests import script_manifests
from akool_dagster.batch.outcomes import Outcome, Stage, Trouble
from akool_dagster.batch.walk import Walk
from akool_dagster.manifest import ScriptRow, read_scripts
from akool_dagster.partitions import lineage_only, manifest_of, scripts_partitions
from akool_dagster.resources import AkoolResource, LedgerResource, StorageResource, open_tools
from akool_dagster.storage import Storage

VOICE_FILES = dg.AssetKey(Stage.VOICE.value)
VIDEO_REQUESTS = dg.AssetKey(Stage.VIDEO.value)
DOWNLOADED_VIDEOS = dg.AssetKey(Stage.DOWNLOAD.value)

PAID_TAGS = {"dagster/max_retries": "0", "dagster/retry_on_asset_or_op_failure": "false"}
"""Dagster must never repeat by itself what may cost money."""

_SPECS = (
    dg.AssetSpec(
        VOICE_FILES,
        description=(
            "The spoken script on our storage: text to speech, a cloned sample, or the row's own "
            "audio. AKOOL's link to it lives 7 days. **Costs credits** where AKOOL speaks."
        ),
        group_name="videos",
        kinds={"akool", "mp3"},
        skippable=True,
        deps=[dg.AssetDep(script_manifests, partition_mapping=lineage_only)],
    ),
    dg.AssetSpec(
        VIDEO_REQUESTS,
        description=(
            "The video that AKOOL accepted, with its id. Materializing again what was accepted "
            "sends nothing. **Costs credits.**"
        ),
        group_name="videos",
        kinds={"akool", "video"},
        skippable=True,
        deps=[VOICE_FILES, dg.AssetKey("avatar_catalog")],
    ),
    dg.AssetSpec(
        DOWNLOADED_VIDEOS,
        description=(
            "The finished MP4 on our storage, checked and hashed. A run that holds this asset "
            "waits for AKOOL; without it `video_info_sensor` does the rest. Costs nothing."
        ),
        group_name="videos",
        kinds={"video", "mp4"},
        skippable=True,
        deps=[VIDEO_REQUESTS],
    ),
)


def build_script_videos(*, max_scripts_per_run: int) -> dg.AssetsDefinition:
    """Builds the three row assets.

    Args:
        max_scripts_per_run: Most rows of one Dagster run.

    Returns:
        The multi-asset, any part of which can be materialized.
    """

    @dg.multi_asset(
        name="script_videos",
        specs=_SPECS,
        can_subset=True,
        partitions_def=scripts_partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=max_scripts_per_run),
        op_tags=PAID_TAGS,
    )
    def script_videos(
        context: dg.AssetExecutionContext,
        akool: AkoolResource,
        ledger: LedgerResource,
        storage: StorageResource,
    ) -> Iterator[dg.Output]:
        stages = [Stage(key.to_user_string()) for key in context.selected_asset_keys]
        keys = list(context.partition_keys)
        with open_tools(akool, ledger, storage) as tools:
            rows, failed = load_rows(tools.storage, keys)
            walk = Walk(tools, run_id=context.run.run_id)
            for outcome in walk.outcomes(rows, stages=stages):
                if outcome.ok:
                    context.log_event(_materialization(outcome, storage=tools.storage))
                else:
                    context.log_event(_observation(outcome, storage=tools.storage))
                    failed.append(outcome)
        if failed:
            raise rows_failure(failed, rows=len(keys))
        # Each row was reported the moment it was safe; nothing is left to yield.
        yield from ()

    return script_videos


def load_rows(storage: Storage, keys: Iterable[str]) -> tuple[list[ScriptRow], list[Outcome]]:
    """Finds the rows of script partitions in their validated manifests.

    Args:
        storage: The data root.
        keys: Partition keys of scripts.

    Returns:
        The rows in the order of the keys, and an outcome for each key without a row.
    """
    by_manifest: dict[str, dict[str, ScriptRow]] = {}
    rows: list[ScriptRow] = []
    missing: list[Outcome] = []
    for key in keys:
        name = manifest_of(key)
        if name not in by_manifest:
            by_manifest[name] = _rows_of(storage, name)
        row = by_manifest[name].get(key)
        if row is None:
            missing.append(_without_row(key, has_manifest=bool(by_manifest[name])))
        else:
            rows.append(row)
    return rows, missing


def _rows_of(storage: Storage, manifest: str) -> dict[str, ScriptRow]:
    path = storage.scripts_path(manifest)
    return {row.key: row for row in read_scripts(path).rows()} if path.exists() else {}


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


def _materialization(outcome: Outcome, *, storage: Storage) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key=outcome.stage.value,
        partition=outcome.key,
        description=outcome.text,
        metadata=_metadata(outcome, storage=storage),
    )


def _observation(outcome: Outcome, *, storage: Storage) -> dg.AssetObservation:
    """Puts the cause onto the failed partition itself, where Dagster alone shows only a run."""
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
