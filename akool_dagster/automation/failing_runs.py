"""Marks a finished run as failed because AKOOL failed what it had asked for.

Dagster's ``report_run_failed`` is used by its own integrations but is not declared public, so it is
called from here alone. It writes an event: a run whose process lived on would flip the status back
when it ends, therefore only runs that have ended are touched.
"""

import dagster as dg
from dagster import DagsterRunStatus

from akool_dagster.automation.live_runs import ALIVE
from akool_dagster.batch.outcomes import sentences
from akool_dagster.ledger import Attempt, Deliveries, Kind, RunFailure

MARKER_TAG = "akool/marked_failed"
"""Set before the run is marked, so that a crash in between cannot mark it twice."""

_LINES_SHOWN = 20


def mark_failed_runs(instance: dg.DagsterInstance, deliveries: Deliveries) -> list[str]:
    """Marks each ended run whose videos or own avatars are settled and AKOOL failed some.

    Args:
        instance: The Dagster instance.
        deliveries: The ledger's deliveries.

    Returns:
        Ids of the runs that were marked now.
    """
    marked: list[str] = []
    for failure in deliveries.runs_to_fail():
        run = instance.get_run_by_id(failure.run_id)
        if run is not None and run.status in ALIVE:
            continue
        if run is not None and _needs_marking(run):
            instance.add_run_tags(run.run_id, {MARKER_TAG: "true"})
            instance.report_run_failed(run, message=failure_message(failure))
            marked.append(run.run_id)
        deliveries.run_marked(failure.run_id)
    return marked


def failure_message(failure: RunFailure) -> str:
    """Writes what a person reads on the failed run.

    Args:
        failure: The run and its failed videos, or own avatars.

    Returns:
        Several lines: how many, then script, code, reason and what to do for each.
    """
    count = len(failure.failures)
    is_upload = any(attempt.kind is Kind.AVATAR for _, attempt in failure.failures)
    what, asset = ("avatars", "custom_avatars") if is_upload else ("videos", "downloaded_videos")
    lines = [
        f"AKOOL failed {count} of the {failure.asked_for} {what} that this run asked for. "
        "The others are not touched by this."
    ]
    lines += [_line(key, attempt) for key, attempt in failure.failures[:_LINES_SHOWN]]
    if count > _LINES_SHOWN:
        lines.append(f"... and {count - _LINES_SHOWN} more, see {asset}.")
    return "\n".join(lines)


def _line(key: str, attempt: Attempt) -> str:
    code = "no code" if attempt.code is None else f"code {attempt.code}"
    told = sentences(attempt.reason or "", attempt.advice or "")
    return f"{key} ({code}, AKOOL id {attempt.remote_id}): {told}"


def _needs_marking(run: dg.DagsterRun) -> bool:
    return run.status is DagsterRunStatus.SUCCESS and MARKER_TAG not in run.tags
