"""The stage ``downloaded_videos``: the row's finished video is waited for and saved."""

from akool_dagster.batch import wording
from akool_dagster.batch.outcomes import Later, Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.stages.saving import NotSaved, is_saved, save
from akool_dagster.batch.stages.waiting import wait_for
from akool_dagster.batch.tools import Tools
from akool_dagster.ledger import Attempt, Delivery, Kind, State
from akool_dagster.manifest import ScriptRow
from akool_dagster.media import UnplayableMedia, data_uri, poster_frame

_STAGE = Stage.DOWNLOAD


def download_stage(tools: Tools, row: ScriptRow, *, waiting_since: float) -> Outcome | Later:
    """Carries a row's download one step on; sends nothing that costs.

    Args:
        tools: What the batch works with.
        row: The row.
        waiting_since: When this run began to wait for this row's video.

    Returns:
        The outcome once the video is saved or cannot be had, else when to look again.
    """
    delivery = tools.ledger.deliveries.ask(
        script_key=row.key, kind=Kind.VIDEO, content_hash=row.video_hash
    )
    attempt = tools.ledger.attempts.latest(kind=Kind.VIDEO, content_hash=row.video_hash)
    if attempt is None or attempt.state in (State.PLANNED, State.RESERVED):
        return wording.trouble(
            Trouble.LATER,
            "No video of this script was requested yet.",
            key=row.key,
            stage=_STAGE,
            advice="Materialize video_requests of this script first, or all three assets together.",
            facts={},
        )
    if attempt.state is State.SENDING:
        tools.ledger.attempts.doubt_the_abandoned()
        return Later(at=tools.clock() + 1.0)
    seen = wait_for(tools, attempt, key=row.key, stage=_STAGE, waiting_since=waiting_since)
    if not isinstance(seen, Attempt):
        return seen
    if seen.state in (State.COMPLETED, State.SAVED):
        return _finished(tools, row, delivery, seen)
    if seen.state is State.FAILED:
        tools.ledger.deliveries.failure_shown(delivery.id, attempt_id=seen.id)
    return wording.from_attempt(seen, key=row.key, stage=_STAGE)


def _finished(tools: Tools, row: ScriptRow, delivery: Delivery, attempt: Attempt) -> Outcome:
    reused = is_saved(tools, delivery, attempt_id=attempt.id)
    if not reused:
        try:
            delivery = save(tools, delivery, attempt)
        except NotSaved as error:
            return _not_saved(tools, row, attempt, error)
    return Outcome(
        key=row.key,
        stage=_STAGE,
        text="The video was saved before; nothing was done." if reused else "Video saved.",
        facts={
            **({"title": row.title} if row.title else {}),
            **wording.attempt_facts(tools.ledger.attempts.get(attempt.id)),
            **wording.file_facts(delivery),
        },
        poster=_poster(tools, delivery),
    )


def _not_saved(tools: Tools, row: ScriptRow, attempt: Attempt, error: NotSaved) -> Outcome:
    now = tools.ledger.attempts.get(attempt.id)
    if now.state is State.EXPIRED:
        return wording.from_attempt(now, key=row.key, stage=_STAGE)
    advice = (
        f"Its file is gone from our storage as well. Say `akool-dagster resolve {row.key} "
        "--pay-again` to have it made anew."
        if error.expired
        else f"Materialize downloaded_videos of this script again before "
        f"{wording.when(attempt.url_expires_at)}; it costs nothing."
    )
    return wording.trouble(
        Trouble.ROW if error.expired else Trouble.LATER,
        f"AKOOL made the video, but it could not be saved: {error}",
        key=row.key,
        stage=_STAGE,
        advice=advice,
        facts=wording.attempt_facts(now),
    )


def _poster(tools: Tools, delivery: Delivery) -> str | None:
    """Takes a picture of the video; a video without one is still a good video."""
    try:
        return data_uri(poster_frame(tools.storage.path(delivery.path or "")))
    except UnplayableMedia:
        return None
