"""The stage ``voice_files``: the row's speech is made, or its own audio fetched, and saved."""

from akool_dagster.akool import ClonedSpeechRequest, SpeechRequest
from akool_dagster.batch import wording
from akool_dagster.batch.creating import Accepted, Wish, create
from akool_dagster.batch.outcomes import Later, NotRequested, Outcome, Trouble
from akool_dagster.batch.prices import speech_seconds
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.stages.clone import ClonedVoice, cloned_voice, forget_if_gone
from akool_dagster.batch.stages.saving import NotSaved, is_saved, save, save_given
from akool_dagster.batch.stages.waiting import wait_for
from akool_dagster.batch.tools import Tools
from akool_dagster.ledger import Attempt, Delivery, Kind, State
from akool_dagster.manifest import ScriptRow

_STAGE = Stage.VOICE
_NEEDS_NO_VOICE = frozenset({State.ACCEPTED, State.COMPLETED, State.SAVED, State.IN_DOUBT})
_VOICE_MAY_BE_GONE = frozenset({1003, 1008, 1014, 1112, 1201})
"""Codes with which AKOOL may refuse a voice that it no longer has (docs: error-code page)."""


def voice_stage(
    tools: Tools, row: ScriptRow, *, run_id: str, run_began_at: float, waiting_since: float
) -> Outcome | Later:
    """Carries a row's voice one step on.

    Args:
        tools: What the batch works with.
        row: The row.
        run_id: The Dagster run that asks.
        run_began_at: When it began.
        waiting_since: When this run began to wait for this row's voice.

    Returns:
        The outcome once the voice is saved or cannot be had, else when to look again.
    """
    delivery = tools.ledger.deliveries.ask(
        script_key=row.key, kind=Kind.VOICE, content_hash=row.voice_hash
    )
    if row.voice_url is not None:
        return _given(tools, row, delivery, url=row.voice_url)
    spoken = _spoken(
        tools, row, run_id=run_id, run_began_at=run_began_at, waiting_since=waiting_since
    )
    if not isinstance(spoken, Attempt):
        return spoken
    seen = wait_for(tools, spoken, key=row.key, stage=_STAGE, waiting_since=waiting_since)
    if not isinstance(seen, Attempt):
        return seen
    if seen.state in (State.COMPLETED, State.SAVED):
        return _finished(tools, row, delivery, seen)
    return wording.from_attempt(seen, key=row.key, stage=_STAGE)


def _spoken(
    tools: Tools, row: ScriptRow, *, run_id: str, run_began_at: float, waiting_since: float
) -> Attempt | Later | Outcome:
    """Has the script spoken; with v4 a sample is cloned first, v3 takes the sample itself."""
    if row.voice_sample_url is None or tools.rules.voice_api == "v3":
        wish = _wish(tools, row, row.voice_id, run_id=run_id, run_began_at=run_began_at)
        return _asked_for(tools, row, wish)
    known = tools.ledger.attempts.latest(kind=Kind.VOICE, content_hash=row.voice_hash)
    if known is not None and known.state in _NEEDS_NO_VOICE and known.pay_again_at is None:
        return known
    voice = cloned_voice(
        tools, row, run_id=run_id, run_began_at=run_began_at, waiting_since=waiting_since
    )
    if not isinstance(voice, ClonedVoice):
        return voice
    wish = _wish(tools, row, voice.voice_id, run_id=run_id, run_began_at=run_began_at)
    spoken = _asked_for(tools, row, wish)
    if not isinstance(spoken, Attempt):
        return spoken
    if _may_lack_voice(spoken) and forget_if_gone(tools, voice):
        tools.ledger.attempts.excuse(spoken.id, reason="AKOOL no longer had the cloned voice")
        return Later(at=tools.clock())
    tools.ledger.deliveries.served(voice.delivery_id, attempt_id=voice.attempt.id)
    return spoken


def _may_lack_voice(spoken: Attempt) -> bool:
    is_new = spoken.state is State.REFUSED and not spoken.try_again
    return is_new and spoken.code in _VOICE_MAY_BE_GONE


def _asked_for(tools: Tools, row: ScriptRow, wish: Wish) -> Attempt | Later | Outcome:
    step = create(tools, wish)
    if isinstance(step, NotRequested):
        return wording.not_requested(step, key=row.key, stage=_STAGE)
    return step


def _given(tools: Tools, row: ScriptRow, delivery: Delivery, *, url: str) -> Outcome:
    reused = is_saved(tools, delivery, attempt_id=None)
    if not reused:
        try:
            delivery = save_given(tools, delivery, url=url)
        except NotSaved as error:
            return wording.trouble(
                Trouble.ROW,
                f"The audio behind voice_url cannot be used: {error}",
                key=row.key,
                stage=_STAGE,
                advice="Put a link into voice_url that anyone can open without logging in.",
                facts={"voice_url": url},
            )
    return Outcome(
        key=row.key,
        stage=_STAGE,
        text="Audio was saved before; nothing was done." if reused else "Audio saved.",
        facts={"way": "given link", "voice_url": url, **wording.file_facts(delivery)},
    )


def _finished(tools: Tools, row: ScriptRow, delivery: Delivery, attempt: Attempt) -> Outcome:
    reused = is_saved(tools, delivery, attempt_id=attempt.id)
    if not reused:
        try:
            delivery = save(tools, delivery, attempt)
        except NotSaved as error:
            return wording.trouble(
                Trouble.ROW if error.expired else Trouble.LATER,
                f"AKOOL made the voice, but it could not be saved: {error}",
                key=row.key,
                stage=_STAGE,
                advice=(
                    f"Say `akool-dagster resolve {row.key} --voice --pay-again` to have it "
                    "spoken anew."
                    if error.expired
                    else "Materialize the row again to save it; it is not asked for anew."
                ),
                facts=wording.attempt_facts(attempt),
            )
    return Outcome(
        key=row.key,
        stage=_STAGE,
        text="Voice was saved before; nothing was done." if reused else "Voice saved.",
        facts={
            "way": "cloned sample" if row.voice_sample_url else "text to speech",
            **wording.attempt_facts(tools.ledger.attempts.get(attempt.id)),
            **wording.file_facts(delivery),
        },
    )


def _wish(
    tools: Tools, row: ScriptRow, voice_id: str | None, *, run_id: str, run_began_at: float
) -> Wish:
    """Describes the speech; without a voice it is v3's, spoken in the voice of the sample."""
    text = row.script or ""

    def send(webhook_url: str | None) -> Accepted:
        if voice_id is None:
            return tools.client.create_cloned_speech(
                ClonedSpeechRequest(
                    text=text,
                    sample_url=row.voice_sample_url or "",
                    rate_percent=row.rate_percent,
                    webhook_url=webhook_url,
                )
            )
        return tools.client.create_speech(
            SpeechRequest(
                text=text,
                voice_id=voice_id,
                rate_percent=row.rate_percent,
                language=row.language,
                webhook_url=webhook_url,
            ),
            api=tools.rules.voice_api,
        )

    return Wish(
        kind=Kind.VOICE,
        content_hash=row.voice_hash,
        script_key=row.key,
        run_id=run_id,
        run_began_at=run_began_at,
        api=tools.rules.voice_api,
        price=tools.prices.speech(text, rate_percent=row.rate_percent),
        media_seconds=speech_seconds(text, rate_percent=row.rate_percent),
        send=send,
    )
