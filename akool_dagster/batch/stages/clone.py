"""The voice of a sample: cloned once per file with the v4 API, then used by all rows that need it.

A clone belongs to the bytes of its sample, not to the link: rows whose samples are equal share
one, across manifests and runs. A row is still known by its link (``ScriptRow.voice_hash``): what
was spoken is not spoken and paid again because the file behind the link was encoded anew. Rows
that are spoken after such a change get the clone of the new file. To have all rows spoken anew,
give the new file a new link.

AKOOL reads the sample from its link by itself, some moments after it was looked into here; a file
that changes in between is cloned as it is then.
"""

from dataclasses import dataclass

from akool_dagster.akool import AkoolError, NotFound, VoiceCloneRequest
from akool_dagster.batch import wording
from akool_dagster.batch.creating import Accepted, Wish, create
from akool_dagster.batch.outcomes import Later, NotRequested, Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.stages.sample_book import Sample, UnusableSample
from akool_dagster.batch.stages.waiting import wait_for
from akool_dagster.batch.tools import Tools
from akool_dagster.downloads import redacted
from akool_dagster.ledger import Attempt, Kind, State
from akool_dagster.manifest import ScriptRow

_STAGE = Stage.VOICE
_OTHER_THREAD_SECONDS = 0.2
CLONED_ANEW = "Materialize the row again: its sample is cloned anew."
"""What is said of a clone that was deleted while a row needed it."""

_ENDED = frozenset({State.COMPLETED, State.FAILED})


@dataclass(frozen=True, kw_only=True)
class ClonedVoice:
    """A clone that can speak.

    Attributes:
        attempt: The attempt that made it.
        voice_id: What a create of speech takes.
        delivery_id: The row's line for the clone.
    """

    attempt: Attempt
    voice_id: str
    delivery_id: int


def cloned_voice(
    tools: Tools, row: ScriptRow, *, run_id: str, run_began_at: float, waiting_since: float
) -> ClonedVoice | Later | Outcome:
    """Gets the clone of a row's sample, having it made where there is none.

    Args:
        tools: What the batch works with.
        row: A row with a ``voice_sample_url``.
        run_id: The Dagster run that asks.
        run_began_at: When it began.
        waiting_since: When this run began to wait for this row's voice.

    Returns:
        The clone once AKOOL has made it, when to look again, or why it cannot be had.
    """
    url = row.voice_sample_url or ""
    try:
        sample = tools.samples.sample(url)
    except UnusableSample as error:
        return _unusable(tools, row, error)
    if sample is None:
        return Later(at=tools.clock() + _OTHER_THREAD_SECONDS)
    tools.ledger.samples.saw(
        url,
        link=sample.link,
        sha256=sample.sha256,
        size_bytes=sample.size_bytes,
        seconds=sample.seconds,
    )
    delivery = tools.ledger.deliveries.ask(
        script_key=row.key, kind=Kind.CLONE, content_hash=sample.sha256
    )
    wish = _wish(tools, row, sample, run_id=run_id, run_began_at=run_began_at)
    attempt = _made(tools, wish, waiting_since=waiting_since)
    if isinstance(attempt, NotRequested):
        return wording.not_requested(attempt, key=row.key, stage=_STAGE)
    if not isinstance(attempt, Attempt):
        return attempt
    if attempt.state is not State.COMPLETED:
        return wording.from_attempt(attempt, key=row.key, stage=_STAGE)
    voice_id = str((attempt.answer or {})["voice_id"])
    return ClonedVoice(attempt=attempt, voice_id=voice_id, delivery_id=delivery.id)


def forget_if_gone(tools: Tools, voice: ClonedVoice) -> bool:
    """Sees whether AKOOL still has a clone, after it refused to speak with it.

    Somebody may have deleted it on AKOOL's site.

    Args:
        tools: What the batch works with.
        voice: The clone.

    Returns:
        True when it is gone: it is then made anew by the next run that needs it.
    """
    attempt = tools.ledger.attempts.get(voice.attempt.id)
    if attempt.state is not State.COMPLETED:
        return attempt.state is State.DELETED
    try:
        tools.client.get_voice(attempt.remote_id or "")
    except NotFound:
        tools.ledger.attempts.delete(
            attempt.id, reason="AKOOL no longer has this voice", advice=CLONED_ANEW
        )
        return True
    except AkoolError:
        return False
    return False


def _made(
    tools: Tools, wish: Wish, *, waiting_since: float
) -> Attempt | Later | NotRequested | Outcome:
    known = tools.ledger.attempts.latest(kind=Kind.CLONE, content_hash=wish.content_hash)
    # AKOOL could not clone these very bytes: trying them again for each run would cost each time.
    if known is not None and known.state in _ENDED and known.pay_again_at is None:
        return known
    step = create(tools, wish)
    if not isinstance(step, Attempt):
        return step
    return wait_for(tools, step, key=wish.script_key, stage=_STAGE, waiting_since=waiting_since)


def _wish(
    tools: Tools, row: ScriptRow, sample: Sample, *, run_id: str, run_began_at: float
) -> Wish:
    def send(webhook_url: str | None) -> Accepted:
        return tools.client.create_voice_clone(
            VoiceCloneRequest(
                sample_url=row.voice_sample_url or "",
                name=wording.clone_name(sample.sha256),
                webhook_url=webhook_url,
            )
        )

    return Wish(
        kind=Kind.CLONE,
        content_hash=sample.sha256,
        script_key=row.key,
        run_id=run_id,
        run_began_at=run_began_at,
        api="v4",
        price=tools.prices.voice_clone(),
        media_seconds=sample.seconds,
        send=send,
    )


def _unusable(tools: Tools, row: ScriptRow, error: UnusableSample) -> Outcome:
    text = f"The sample behind voice_sample_url cannot be used: {error}"
    voice = tools.ledger.deliveries.find(
        script_key=row.key, kind=Kind.VOICE, content_hash=row.voice_hash
    )
    if voice is not None:
        tools.ledger.deliveries.not_saved(voice.id, problem=text)
    return wording.trouble(
        Trouble.LATER if error.is_passing else Trouble.ROW,
        f"{text}. Nothing was sent.",
        key=row.key,
        stage=_STAGE,
        advice=(
            "Materialize the row again later."
            if error.is_passing
            else "Put a link into voice_sample_url that anyone can open without logging in, to "
            "sound such as mp3 or wav of at most 30 MB."
        ),
        facts={"voice_sample_url": redacted(row.voice_sample_url or "")},
    )
