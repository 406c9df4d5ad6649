"""Shows in Dagster what became of the uploads of avatars, once AKOOL has told."""

import hashlib
from collections.abc import Iterator, Sequence

import dagster as dg

from akool_dagster.assets.custom_avatars import SHOW_ONLY_TAG
from akool_dagster.assets.outcome_events import materialization
from akool_dagster.automation.jobs import upload_avatars
from akool_dagster.automation.row_runs import range_tags
from akool_dagster.batch.planning import contiguous_ranges
from akool_dagster.batch.stages.avatar import ready
from akool_dagster.batch.tools import Tools
from akool_dagster.ledger import Kind, State, Waiting
from akool_dagster.manifest import ManifestError
from akool_dagster.manifest.avatars_file import AVATARS_FILE, read_avatars
from akool_dagster.storage import Storage

PAUSE_SECONDS = 900.0
"""Between two runs that try to show the same failure."""


def ready_avatars(tools: Tools) -> list[dg.AssetMaterialization]:
    """Tells which avatars AKOOL has finished since the last time; no run is needed for that.

    Args:
        tools: What the batch works with.

    Returns:
        One event per avatar, for a sensor to record.
    """
    events = []
    for entry in tools.ledger.deliveries.waiting(now=tools.clock(), kind=Kind.AVATAR):
        if entry.attempt.state is not State.FAILED:
            outcome = ready(tools, entry.delivery, entry.attempt)
            events.append(materialization(outcome, storage=tools.storage))
    return events


def request_failed_avatars(
    tools: Tools, *, all_keys: Sequence[str], longest: int
) -> Iterator[dg.RunRequest]:
    """Plans runs that make the partitions of failed avatars red; they send nothing.

    Args:
        tools: What the batch works with.
        all_keys: The partition set of the avatars, in its order.
        longest: Most avatars of one run.

    Yields:
        One run request per contiguous range. An avatar whose row was changed since is left out.
    """
    now = tools.clock()
    failed = {
        entry.delivery.script_key: entry
        for entry in tools.ledger.deliveries.waiting(now=now, kind=Kind.AVATAR)
        if entry.attempt.state is State.FAILED
    }
    wanted = _wanted_contents(tools.storage) if failed else {}
    chosen = {
        key: entry
        for key, entry in failed.items()
        if wanted.get(key) == entry.delivery.content_hash
    }
    for stretch in contiguous_ranges(all_keys, chosen=chosen, longest=longest):
        entries = [chosen[key] for key in stretch.keys]
        tools.ledger.deliveries.not_before(
            [entry.delivery.id for entry in entries], next_try_at=now + PAUSE_SECONDS
        )
        yield dg.RunRequest(
            job_name=upload_avatars.name,
            run_key=_run_key(entries, now=now),
            tags={**range_tags(first=stretch.first, last=stretch.last), SHOW_ONLY_TAG: "true"},
        )


def _wanted_contents(storage: Storage) -> dict[str, str]:
    try:
        avatars = read_avatars(storage.path(AVATARS_FILE)).avatars
    except ManifestError:
        return {}
    return {avatar.avatar_id: avatar.content_hash for avatar in avatars}


def _run_key(entries: Sequence[Waiting], *, now: float) -> str:
    ids = " ".join(str(entry.attempt.id) for entry in entries)
    return f"avatars-{hashlib.sha256(ids.encode()).hexdigest()[:24]}-{now:.0f}"
