"""The three row assets: a script's voice, its video request and its finished video.

They are one multi-asset in one step, so that each row walks by itself: row 1's video is asked for
while row 100 still gets its voice, and a row that fails holds back no other.
"""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from akool_dagster.assets.manifests import script_manifests
from akool_dagster.batch.stages import Stage
from akool_dagster.partitions import lineage_only, scripts_partitions
from akool_dagster.resources import AkoolResource, LedgerResource, StorageResource, open_tools

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


STEP = "script_videos"
"""Name of the step that makes the three row assets."""


class ScatteredScripts(dg.Config):
    """Scripts that are no contiguous range of the partition set, for one run."""

    scripts: list[str] = Field(
        default=[],
        description=(
            "Partition keys, wherever they stand, in place of the partitions of the run; the run's "
            "own partition must be one of them. Empty for the partitions of the run."
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
        name=STEP,
        specs=_SPECS,
        can_subset=True,
        partitions_def=scripts_partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=max_scripts_per_run),
        op_tags=PAID_TAGS,
    )
    def script_videos(
        context: dg.AssetExecutionContext,
        config: ScatteredScripts,
        akool: AkoolResource,
        ledger: LedgerResource,
        storage: StorageResource,
    ) -> Iterator[dg.Output]:
        from akool_dagster.assets.row_walk import walk_rows, walk_scattered

        stages = [Stage(key.to_user_string()) for key in context.selected_asset_keys]
        step = context.op_execution_context
        with open_tools(akool, ledger, storage) as tools:
            if config.scripts:
                walk_scattered(step, tools, keys=config.scripts, stages=stages)
            else:
                walk_rows(step, tools, keys=list(context.partition_keys), stages=stages)
        # Each row was reported the moment it was safe; nothing is left to yield.
        yield from ()

    return script_videos
