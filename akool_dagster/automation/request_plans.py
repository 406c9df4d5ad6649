"""Plans the runs that ask for scripts which were never asked for."""

import hashlib
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import dagster as dg

from akool_dagster.automation.live_runs import busy_keys
from akool_dagster.automation.row_runs import plan_row_runs
from akool_dagster.batch.planning import keys_to_request
from akool_dagster.batch.row_status import RowStatus, statuses_but_saved
from akool_dagster.ledger import Ledger
from akool_dagster.manifest import read_scripts
from akool_dagster.resources import LedgerResource, StorageResource
from akool_dagster.storage import Storage


def plan_requests(
    instance: dg.DagsterInstance,
    *,
    ledger: LedgerResource,
    storage: StorageResource,
    longest: int,
) -> Iterator[dg.RunRequest]:
    """Plans runs of ``request_videos`` for all scripts that may be asked for.

    Args:
        instance: The Dagster instance.
        ledger: Tells what was asked for before.
        storage: Holds the validated manifests.
        longest: Most rows of one run.

    Yields:
        One run request per contiguous range, or some for scattered scripts. The run key holds the
        content, the attempts so far and the day, so that one and the same work is asked for at
        most once a day.
    """
    all_keys = list(instance.get_dynamic_partitions("scripts"))
    with ledger.open() as book:
        busy = busy_keys(instance, all_keys, signs=book.run_signs)
        statuses = read_statuses(instance, ledger=book, storage=storage.open())
    chosen = keys_to_request(statuses.values(), busy=busy)
    for run in plan_row_runs(all_keys, chosen=chosen, longest=longest):
        yield dg.RunRequest(
            run_key=_run_key([statuses[key] for key in run.keys]),
            tags=run.tags,
            run_config=run.run_config,
        )


def read_statuses(
    instance: dg.DagsterInstance, *, ledger: Ledger, storage: Storage
) -> dict[str, RowStatus]:
    """Looks up where the scripts of every validated manifest stand whose video is not saved.

    Args:
        instance: The Dagster instance; names the manifests.
        ledger: Knows the scripts' history.
        storage: Holds the validated manifests.

    Returns:
        Status by script key.
    """
    statuses: dict[str, RowStatus] = {}
    for name in instance.get_dynamic_partitions("manifests"):
        path = storage.scripts_path(name)
        if path.exists():
            rows, _ = statuses_but_saved(ledger, read_scripts(path))
            statuses.update({status.row.key: status for status in rows})
    return statuses


def _run_key(statuses: list[RowStatus]) -> str:
    digest = hashlib.sha256()
    for status in statuses:
        voice = status.voice.number if status.voice else 0
        video = status.video.number if status.video else 0
        digest.update(f"{status.row.key} {status.row.video_hash} {voice} {video}\n".encode())
    day = datetime.fromtimestamp(time.time(), tz=timezone.utc).date()
    return f"{day}-{digest.hexdigest()[:32]}"
