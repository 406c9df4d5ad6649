"""The job with which a person goes on with scripts by where they stand, in one run."""

from typing import TYPE_CHECKING, TypeVar

import dagster as dg
from pydantic import Field

from akool_dagster.assets.script_videos import PAID_TAGS
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.standing import Standing
from akool_dagster.resources import AkoolResource, LedgerResource, StorageResource, open_tools

if TYPE_CHECKING:
    from akool_dagster.storage import Storage

_Choice = TypeVar("_Choice", Standing, Stage)

_STANDINGS = [Standing.FAILED.value, Standing.REFUSED.value, Standing.EXPIRED.value]


class Retry(dg.Config):
    """Which scripts to go on with, and how far."""

    manifest: str = Field(description="Its name; only its scripts are touched.")
    standings: list[str] = Field(
        default=_STANDINGS,
        description="Scripts that stand like this: " + ", ".join(s.value for s in Standing) + ".",
    )
    stages: list[str] = Field(
        default=[stage.value for stage in STAGES],
        description="The assets to materialize: " + ", ".join(s.value for s in STAGES) + ".",
    )


@dg.op(tags=PAID_TAGS)
def retry_scripts(
    context: dg.OpExecutionContext,
    config: Retry,
    akool: AkoolResource,
    ledger: LedgerResource,
    storage: StorageResource,
) -> None:
    """Materializes the row assets of the scripts that stand as configured."""
    from akool_dagster.assets.row_walk import walk_scattered
    from akool_dagster.batch.row_status import row_statuses
    from akool_dagster.manifest.scripts import read_rows

    standings = [_choice(Standing, word, "standings") for word in config.standings]
    stages = [_choice(Stage, word, "stages") for word in config.stages]
    root = storage.open()
    _check_manifest(context.instance, root, config.manifest)
    with open_tools(akool, ledger, storage) as tools:
        rows = read_rows(root.scripts_path(config.manifest))
        statuses = row_statuses(tools.ledger, rows.values())
        keys = [status.row.key for status in statuses if status.standing in standings]
        context.log.info(f"{len(keys)} of {len(statuses)} scripts stand like this.")
        walk_scattered(context, tools, keys=keys, stages=stages)


def _choice(choices: type[_Choice], word: str, name: str) -> _Choice:
    try:
        return choices(word)
    except ValueError:
        known = ", ".join(choice.value for choice in choices)
        raise dg.Failure(
            f"{name}: {word!r} is none of {known}. Nothing was sent.", allow_retries=False
        ) from None


def _check_manifest(instance: dg.DagsterInstance, storage: "Storage", manifest: str) -> None:
    names = instance.get_dynamic_partitions("manifests")
    known = sorted(name for name in names if storage.scripts_path(name).exists())
    if manifest in known:
        return
    raise dg.Failure(
        f"manifest: there is no validated manifest {manifest!r}; there are: "
        f"{', '.join(known) or 'none'}. One that was retired comes back when its file does. "
        "Nothing was sent.",
        allow_retries=False,
    )


@dg.job(
    tags=PAID_TAGS,
    description=(
        "Goes on with the scripts of a manifest that stand as you say, failed ones by default, "
        "wherever they are in the partition set: one run. Costs credits."
    ),
)
def retry_videos() -> None:
    """Goes on with failed scripts."""
    retry_scripts()
