"""What a tick of ``video_info_sensor`` asks AKOOL, and which runs it plans of the answers."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import dagster as dg

from akool_dagster.akool import Timeouts
from akool_dagster.assets.check_results import evaluate_all
from akool_dagster.automation.avatar_news import ready_avatars, request_failed_avatars
from akool_dagster.automation.failing_runs import mark_failed_runs
from akool_dagster.automation.jobs import download_videos, write_results
from akool_dagster.automation.live_runs import busy_keys
from akool_dagster.automation.row_runs import plan_row_runs
from akool_dagster.batch.stages.avatar import settle_avatar_doubts
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.watching.looking import settle_in_turn
from akool_dagster.ledger import Deliveries, Kind, Waiting
from akool_dagster.manifest.scripts import read_rows
from akool_dagster.partitions import by_manifest, manifest_of
from akool_dagster.resources import AkoolResource, LedgerResource, StorageResource, open_tools

TICK_SECONDS = 30.0
"""No look begins later in a tick, which must be over well before Dagster's limit of 60 seconds."""

PATIENCE = Timeouts(connect_seconds=5.0, read_seconds=8.0, total_seconds=10.0)
"""A look of a tick gives up sooner than one of a run; the next tick looks again."""

_THREADS = 8

FIRST_PAUSE_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 6 * 3600.0
"""Between two runs that try to save the same video, growing with each failed try."""

LOOKS_PER_SECOND = 50.0
"""A tick begins no more looks in a second, however much is due: the runs need AKOOL as well.

AKOOL publishes no rate limit (docs: error-code page names only code 1005).
"""


def ask_and_plan(
    context: dg.SensorEvaluationContext,
    akool: AkoolResource,
    ledger: LedgerResource,
    storage: StorageResource,
    *,
    longest: int,
) -> dg.SensorResult:
    """Does one tick.

    Args:
        context: Of the tick; its cursor tells what the asset checks said last.
        akool: AKOOL.
        ledger: The ledger.
        storage: The data root.
        longest: Most rows of one run.

    Returns:
        Runs that save what is finished and show what failed, and the news for the assets.
    """
    instance = context.instance
    all_keys = list(instance.get_dynamic_partitions("scripts"))
    with open_tools(akool, ledger, storage, timeouts=PATIENCE) as tools:
        settled = _settle(tools)
        busy = busy_keys(instance, all_keys, signs=tools.ledger.run_signs)
        requests = [
            *request_downloads(
                tools.ledger.deliveries,
                wanted=_wanted_contents(tools, known={manifest_of(key) for key in all_keys}),
                all_keys=all_keys,
                busy=busy,
                longest=longest,
                now=tools.clock(),
            ),
            *request_results(
                tools.ledger.deliveries,
                manifests=instance.get_dynamic_partitions("manifests"),
                busy=busy,
            ),
            *request_failed_avatars(
                tools,
                all_keys=list(instance.get_dynamic_partitions("avatars")),
                longest=longest,
            ),
        ]
        finished = ready_avatars(tools)
        marked = mark_failed_runs(instance, tools.ledger.deliveries)
        evaluations = evaluate_all(tools.ledger, now=tools.clock())
    for run_id in marked:
        context.log.error(f"Run {run_id} is marked failed: AKOOL failed what it asked for.")
    news = _digest(evaluations)
    return dg.SensorResult(
        run_requests=requests,
        asset_events=[*finished, *(evaluations if news != context.cursor else ())],
        cursor=news,
        skip_reason=None if requests else f"{settled} videos settled, nothing to save.",
    )


def _digest(evaluations: Sequence[dg.AssetCheckEvaluation]) -> str:
    """Tells whether the checks say anything new; what they always say would bury what matters."""
    said = [f"{e.asset_key} {e.passed} {e.description} {e.metadata}" for e in evaluations]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _settle(tools: Tools) -> int:
    """Asks for what is due; a process that died leaves its doubt and its voices to this."""
    tools.ledger.attempts.doubt_the_abandoned()
    until = tools.clock() + TICK_SECONDS
    settle_avatar_doubts(tools)
    settled = settle_in_turn(
        tools,
        # Avatars and voices are few, and thousands of rows may wait for one.
        kinds=[Kind.AVATAR, Kind.CLONE, Kind.VOICE, Kind.VIDEO],
        limit=int(TICK_SECONDS * LOOKS_PER_SECOND),
        until=until,
        threads=_THREADS,
        per_second=LOOKS_PER_SECOND,
    )
    return sum(attempt.kind is Kind.VIDEO for attempt in settled)


def _wanted_contents(tools: Tools, *, known: set[str]) -> dict[str, str]:
    """Reads which content each row wants now, of the manifests that have something waiting.

    What of a retired manifest still waits, a failure to be shown, has no partition to show it on.
    """
    waiting = tools.ledger.deliveries.waiting(now=tools.clock())
    wanted: dict[str, str] = {}
    waiting_keys = by_manifest(entry.delivery.script_key for entry in waiting)
    for name in known.intersection(waiting_keys):
        path = tools.storage.scripts_path(name)
        if path.exists():
            rows = read_rows(path, keys=waiting_keys[name])
            wanted.update({key: row.video_hash for key, row in rows.items()})
    return wanted


def request_downloads(
    deliveries: Deliveries,
    *,
    wanted: Mapping[str, str],
    all_keys: Sequence[str],
    busy: Collection[str],
    longest: int,
    now: float,
) -> Iterator[dg.RunRequest]:
    """Plans runs of ``download_videos`` for settled rows, failed ones included.

    Args:
        deliveries: The ledger's deliveries.
        wanted: Content hash by script key, as the manifests are now; what was asked for before a
            row was edited would only overwrite the row's file.
        all_keys: The partition set of the scripts, in its order.
        busy: Keys that a living run handles: it sees the news itself.
        longest: Most rows of one run.
        now: The time.

    Yields:
        One run request per contiguous range, or some for scattered rows. Its rows are left alone
        for a while afterwards, for longer the more often saving them failed.
    """
    waiting = {
        entry.delivery.script_key: entry
        for entry in deliveries.waiting(now=now)
        if wanted.get(entry.delivery.script_key) == entry.delivery.content_hash
        and entry.delivery.script_key not in busy
    }
    for run in plan_row_runs(all_keys, chosen=waiting, longest=longest):
        entries = [waiting[key] for key in run.keys]
        for entry in entries:
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**entry.delivery.tries)
            deliveries.not_before([entry.delivery.id], next_try_at=now + pause)
        yield dg.RunRequest(
            job_name=download_videos.name,
            run_key=_run_key(entries, now=now),
            tags=run.tags,
            run_config=run.run_config,
        )


def request_results(
    deliveries: Deliveries, *, manifests: Sequence[str], busy: Collection[str]
) -> Iterator[dg.RunRequest]:
    """Plans a run of ``write_results`` for each manifest that has news and is at rest.

    Args:
        deliveries: The ledger's deliveries.
        manifests: The manifests that Dagster knows.
        busy: Script keys that a living run handles.

    Yields:
        One run request per manifest; its run key holds the time of the news.
    """
    busy_manifests = {manifest_of(key) for key in busy}
    for name, changed_at in sorted(deliveries.last_changes().items()):
        if name in manifests and name not in busy_manifests:
            yield dg.RunRequest(
                job_name=write_results.name,
                run_key=f"results-{name}-{changed_at:.3f}",
                partition_key=name,
            )


def _run_key(entries: Sequence[Waiting], *, now: float) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.delivery.script_key} {entry.attempt.id}\n".encode())
    return f"download-{digest.hexdigest()[:24]}-{now:.0f}"
