"""The user's own avatars: each row of ``avatars.csv`` is uploaded to AKOOL once."""

from collections.abc import Iterator

import dagster as dg

from akool_dagster.assets.script_videos import PAID_TAGS
from akool_dagster.batch.stages import Stage
from akool_dagster.partitions import avatars_partitions
from akool_dagster.resources import AkoolResource, LedgerResource, StorageResource, open_tools

CUSTOM_AVATARS = dg.AssetKey(Stage.AVATAR.value)

SHOW_ONLY_TAG = "akool/show_only"
"""On a run that only shows what became of uploads: it sends nothing."""

_SPEC = dg.AssetSpec(
    CUSTOM_AVATARS,
    description=(
        "Your own presenters: each row of `avatars.csv` is uploaded to AKOOL. Green is what "
        "AKOOL accepted; its metadata tell when it is ready, for `video_info_sensor` follows it. "
        "Materializing again what was accepted sends nothing. **May cost credits.**"
    ),
    group_name="catalogs",
    kinds={"akool", "video"},
    skippable=True,
)


def build_custom_avatars(*, max_avatars_per_run: int) -> dg.AssetsDefinition:
    """Builds the asset.

    Args:
        max_avatars_per_run: Most avatars of one Dagster run.

    Returns:
        The asset, one partition per avatar.
    """

    # As a multi-asset of one, whose partitions may be skipped, like the row assets.
    @dg.multi_asset(
        name=CUSTOM_AVATARS.to_user_string(),
        specs=[_SPEC],
        can_subset=True,
        partitions_def=avatars_partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=max_avatars_per_run),
        op_tags=PAID_TAGS,
    )
    def custom_avatars(
        context: dg.AssetExecutionContext,
        akool: AkoolResource,
        ledger: LedgerResource,
        storage: StorageResource,
    ) -> Iterator[dg.Output]:
        from akool_dagster.assets.avatar_uploads import upload_rows

        with open_tools(akool, ledger, storage) as tools:
            upload_rows(
                context.op_execution_context,
                tools,
                keys=list(context.partition_keys),
                may_send=SHOW_ONLY_TAG not in context.run.tags,
            )
        # Each avatar was reported the moment AKOOL had answered; nothing is left to yield.
        yield from ()

    return custom_avatars
