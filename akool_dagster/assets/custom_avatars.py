"""The user's own avatars: each row of ``avatars.csv`` is uploaded to AKOOL once."""

from collections.abc import Iterator

import dagster as dg

from akool_dagster.assets.failures import rows_failure
from akool_dagster.assets.outcome_events import materialization, observation
from akool_dagster.assets.script_videos import PAID_TAGS
from akool_dagster.batch.outcomes import Outcome, Stage, Trouble
from akool_dagster.batch.stages.avatar import upload_avatars
from akool_dagster.manifest import ManifestError
from akool_dagster.manifest.avatars_file import AVATARS_FILE, OwnAvatar, read_avatars
from akool_dagster.partitions import avatars_partitions
from akool_dagster.resources import AkoolResource, LedgerResource, StorageResource, open_tools
from akool_dagster.storage import Storage

CUSTOM_AVATARS = dg.AssetKey(Stage.AVATAR.value)

SHOW_ONLY_TAG = "akool/show_only"
"""On a run that only shows what became of uploads: it sends nothing."""

_SPEC = dg.AssetSpec(
    CUSTOM_AVATARS,
    description=(
        f"Your own presenters: each row of `{AVATARS_FILE}` is uploaded to AKOOL. Green is what "
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
        keys = list(context.partition_keys)
        with open_tools(akool, ledger, storage) as tools:
            avatars, failed = _wanted(tools.storage, keys)
            outcomes = upload_avatars(
                tools,
                avatars,
                run_id=context.run.run_id,
                may_send=SHOW_ONLY_TAG not in context.run.tags,
            )
            for outcome in outcomes:
                if outcome.ok:
                    context.log_event(materialization(outcome, storage=tools.storage))
                else:
                    context.log_event(observation(outcome, storage=tools.storage))
                    failed.append(outcome)
        if failed:
            raise rows_failure(failed, rows=len(keys), what="avatars")
        # Each avatar was reported the moment AKOOL had answered; nothing is left to yield.
        yield from ()

    return custom_avatars


def _wanted(storage: Storage, keys: list[str]) -> tuple[list[OwnAvatar], list[Outcome]]:
    """Finds the rows of some partitions, and an outcome for each key without a row."""
    try:
        known = {a.avatar_id: a for a in read_avatars(storage.path(AVATARS_FILE)).avatars}
    except ManifestError as error:
        raise dg.Failure(
            f"{error}\n\nNothing was sent.",
            metadata={"problems": dg.MetadataValue.md(error.to_markdown())},
            allow_retries=False,
        ) from error
    missing = [
        Outcome(
            key=key,
            stage=Stage.AVATAR,
            trouble=Trouble.ROW,
            text=f"{AVATARS_FILE} has no row with this avatar_id any more.",
            cost="Nothing was sent for it.",
            advice="Leave this partition out; the avatar stays at AKOOL and may be used.",
        )
        for key in keys
        if key not in known
    ]
    return [known[key] for key in keys if key in known], missing
