"""Uploads rows of ``avatars.csv`` and shows each one's end on its own partition."""

from collections.abc import Sequence

import dagster as dg

from akool_dagster.assets.failures import rows_failure
from akool_dagster.assets.outcome_events import log_outcome
from akool_dagster.batch.outcomes import Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.stages.avatar import upload_avatars
from akool_dagster.batch.tools import Tools
from akool_dagster.manifest import ManifestError
from akool_dagster.manifest.avatars_file import AVATARS_FILE, OwnAvatar, read_avatars
from akool_dagster.storage import Storage


def upload_rows(
    context: dg.OpExecutionContext, tools: Tools, *, keys: Sequence[str], may_send: bool
) -> None:
    """Uploads avatars, and shows each one's end the moment it is reached.

    Args:
        context: Of the step.
        tools: What the batch works with.
        keys: Partition keys of avatars.
        may_send: Whether anything may be asked of AKOOL, or only shown what became of it.

    Raises:
        dagster.Failure: The file has an error, or some avatars did not get through.
    """
    avatars, failed = _wanted(tools.storage, keys)
    for outcome in upload_avatars(tools, avatars, run_id=context.run_id, may_send=may_send):
        log_outcome(context, outcome, storage=tools.storage)
        if not outcome.ok:
            failed.append(outcome)
    if failed:
        raise rows_failure(failed, rows=len(keys), what="avatars")


def _wanted(storage: Storage, keys: Sequence[str]) -> tuple[list[OwnAvatar], list[Outcome]]:
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
