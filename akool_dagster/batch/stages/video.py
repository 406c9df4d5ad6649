"""The stage ``video_requests``: the row's video is asked for, once."""

from akool_dagster.akool import LinkedAvatar, ListedAvatar, VideoRequest
from akool_dagster.batch import wording
from akool_dagster.batch.catalogs.check import usable_avatar
from akool_dagster.batch.creating import Accepted, Wish, create
from akool_dagster.batch.outcomes import Later, NotRequested, Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.tools import Tools
from akool_dagster.ledger import Attempt, Delivery, Kind, State
from akool_dagster.manifest import ScriptRow

_STAGE = Stage.VIDEO
_REQUESTED = frozenset({State.ACCEPTED, State.COMPLETED, State.SAVED})

LINK_MARGIN_SECONDS = 3600.0
"""A voice link must live at least this long, for AKOOL reads it when the render begins."""


def video_stage(
    tools: Tools, row: ScriptRow, *, run_id: str, run_began_at: float, waiting_since: float
) -> Outcome | Later:
    """Carries a row's video request one step on.

    Args:
        tools: What the batch works with.
        row: The row; its voice must be saved.
        run_id: The Dagster run that asks.
        run_began_at: When it began.
        waiting_since: When this run began to wait for this row's request.

    Returns:
        The outcome once AKOOL has accepted or refused the video, else when to look again.
    """
    tools.ledger.deliveries.ask(script_key=row.key, kind=Kind.VIDEO, content_hash=row.video_hash)
    known = tools.ledger.attempts.latest(kind=Kind.VIDEO, content_hash=row.video_hash)
    if known is not None and known.state in _REQUESTED and known.pay_again_at is None:
        return _requested(known, row, text="The video was requested before; nothing was sent.")
    wish = _wish(tools, row, run_id=run_id, run_began_at=run_began_at, waiting_since=waiting_since)
    if not isinstance(wish, Wish):
        return wish
    step = create(tools, wish)
    if isinstance(step, Later):
        return step
    if isinstance(step, NotRequested):
        return wording.not_requested(step, key=row.key, stage=_STAGE)
    if step.state in _REQUESTED:
        return _requested(step, row, text="AKOOL accepted the video.")
    return wording.from_attempt(step, key=row.key, stage=_STAGE)


def _requested(attempt: Attempt, row: ScriptRow, *, text: str) -> Outcome:
    facts = wording.attempt_facts(attempt)
    if row.title:
        facts["title"] = row.title
    return Outcome(key=row.key, stage=_STAGE, text=text, facts=facts)


def _wish(
    tools: Tools, row: ScriptRow, *, run_id: str, run_began_at: float, waiting_since: float
) -> Wish | Later | Outcome:
    """Gathers what the create needs, all of it free of charge."""
    voice = tools.ledger.deliveries.find(
        script_key=row.key, kind=Kind.VOICE, content_hash=row.voice_hash
    )
    if voice is None or voice.saved_at is None:
        return wording.trouble(
            Trouble.LATER,
            "This script has no saved voice yet. Nothing was sent.",
            key=row.key,
            stage=_STAGE,
            advice="Materialize voice_files of this script first, or both assets together.",
            facts={},
        )
    avatar = _avatar(tools, row, waiting_since=waiting_since)
    if isinstance(avatar, Later | Outcome):
        return avatar
    link = _voice_link(tools, row, voice)
    if isinstance(link, Outcome):
        return link
    seconds = voice.media_seconds or 0.0

    def send(webhook_url: str | None) -> Accepted:
        return tools.client.create_video(
            VideoRequest(
                avatar=avatar,
                audio_url=link,
                audio_seconds=seconds,
                background=row.background,
                width=row.width,
                height=row.height,
                webhook_url=webhook_url,
            ),
            api=tools.rules.video_api,
        )

    return Wish(
        kind=Kind.VIDEO,
        content_hash=row.video_hash,
        script_key=row.key,
        run_id=run_id,
        run_began_at=run_began_at,
        api=tools.rules.video_api,
        price=tools.prices.avatar_video(seconds),
        media_seconds=seconds,
        send=send,
    )


def _voice_link(tools: Tools, row: ScriptRow, voice: Delivery) -> str | Outcome:
    """Finds the audio link that AKOOL is to read, and makes sure that it lives."""
    if row.voice_url is not None:
        return row.voice_url
    spoken = tools.ledger.attempts.latest(kind=Kind.VOICE, content_hash=row.voice_hash)
    assert spoken is not None and spoken.url is not None  # noqa: S101 - its file is saved
    expires = spoken.url_expires_at or 0.0
    is_recent = tools.clock() - (spoken.settled_at or 0.0) < LINK_MARGIN_SECONDS
    if expires - tools.clock() > LINK_MARGIN_SECONDS and (
        is_recent or tools.downloader.is_alive(spoken.url)
    ):
        return spoken.url
    return wording.trouble(
        Trouble.ROW,
        f"AKOOL's link to this script's voice is dead or about to die (7 days, until "
        f"{wording.when(expires)}), and AKOOL needs a living link. Nothing was sent.",
        key=row.key,
        stage=_STAGE,
        advice=(
            f"The audio itself is safe in {voice.path}: put it where AKOOL can read it and name "
            f"that address in the column voice_url, or say `akool-dagster resolve {row.key} "
            "--voice --pay-again` and materialize voice_files again to pay for it once more."
        ),
        facts={"voice_file": voice.path, "voice_link_expired": wording.when(expires)},
    )


def _avatar(
    tools: Tools, row: ScriptRow, *, waiting_since: float
) -> ListedAvatar | LinkedAvatar | Later | Outcome:
    if row.avatar_url is not None:
        return LinkedAvatar(url=row.avatar_url)
    return usable_avatar(
        tools, row.avatar_id or "", key=row.key, stage=_STAGE, waiting_since=waiting_since
    )
