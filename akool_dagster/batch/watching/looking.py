"""Asks AKOOL how an accepted job is doing and writes the answer into the ledger."""

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import zip_longest

from akool_dagster.akool import (
    AccountStopped,
    AkoolError,
    Audio,
    Avatar,
    NotFound,
    NotReady,
    Status,
    Video,
    Voice,
)
from akool_dagster.batch.catalogs.avatar_book import TAKEN_OVER
from akool_dagster.batch.tools import LINK_LIFE_SECONDS, Tools
from akool_dagster.batch.watching.look_times import next_look
from akool_dagster.ledger import Attempt, Kind, State

logger = logging.getLogger(__name__)

GRACE_SECONDS = 60.0
"""Straight after a create AKOOL may not know its own id yet (seen in public clients)."""

LATE_LINK_LOOKS = 10
"""How often a finished job without a link is looked at again before it counts as failed."""

_NO_LINK = "AKOOL says that it is finished, but gives no link"
_NO_VOICE = "AKOOL says that the clone is finished, but gives no voice_id"
_ASK_AGAIN = "Materialize the row again to ask AKOOL once more; that is a new, paid request."
_CLONE_ANOTHER = (
    "Use another sample: a file that differs is cloned by itself. Or say `akool-dagster resolve "
    "KEY --clone --pay-again` and materialize the row again; that is a new request, maybe paid."
)


_UPLOAD_ANOTHER = (
    "Give avatars.csv a better video and, because AKOOL keeps ids, another avatar_id; then "
    "materialize custom_avatars for it."
)

Job = Audio | Video | Voice | Avatar
"""What AKOOL tells of a job, by its kind."""


def look(tools: Tools, attempt: Attempt) -> Attempt:
    """Looks at one accepted job, if this caller is the one whose turn it is.

    Args:
        tools: What the batch works with.
        attempt: An accepted attempt whose look is due.

    Returns:
        The attempt as the ledger has it afterwards. It is still accepted when AKOOL is not done,
        cannot be reached, or answers with something that is not understood.
    """
    next_look_at = next_look(tools, attempt)
    if not tools.ledger.attempts.claim_look(attempt, next_look_at=next_look_at):
        return tools.ledger.attempts.get(attempt.id)
    looked_at = tools.clock()
    seen = _ask_and_write(tools, attempt)
    if seen.state is not State.ACCEPTED:
        return seen
    # What the claim has written: reading it back would cost as much as the claim.
    return replace(
        attempt,
        next_look_at=next_look_at,
        looks=attempt.looks + 1,
        unfinished_at=looked_at,
    )


def _ask_and_write(tools: Tools, attempt: Attempt) -> Attempt:
    try:
        job = _ask(tools, attempt)
    except NotFound as error:
        return _not_found(tools, attempt, error)
    except NotReady:
        return attempt
    except AccountStopped as error:
        tools.ledger.account.stop(
            code=error.code, reason=error.msg or error.message, advice=error.advice
        )
        return tools.ledger.attempts.get(attempt.id)
    except AkoolError as error:
        logger.warning("Status of %s not known: %s", attempt.remote_id, error)
        return tools.ledger.attempts.get(attempt.id)
    return _write(tools, attempt, job)


def fresh_link(tools: Tools, attempt: Attempt) -> str | None:
    """Asks AKOOL for the link of a finished job once more.

    Args:
        tools: What the batch works with.
        attempt: A completed attempt whose link is dead.

    Returns:
        A link that differs from the dead one, or None.

    Raises:
        AkoolError: AKOOL cannot be asked.
    """
    try:
        job = _ask(tools, attempt)
    except (NotFound, NotReady):
        return None
    if isinstance(job, Voice | Avatar) or job.url is None or job.url == attempt.url:
        return None
    tools.ledger.attempts.renew_link(attempt.id, url=job.url)
    return job.url


def _ask(tools: Tools, attempt: Attempt) -> Job:
    assert attempt.remote_id is not None  # noqa: S101 - every accepted attempt has one
    if attempt.kind is Kind.AVATAR:
        return tools.client.avatar_detail(attempt.remote_id)
    if attempt.kind is Kind.CLONE:
        return tools.client.get_voice(attempt.remote_id)
    if attempt.kind is Kind.VOICE:
        return tools.client.get_audio(attempt.remote_id, api="v3" if attempt.api == "v3" else "v4")
    return tools.client.get_video_info(attempt.remote_id)


def _write(tools: Tools, attempt: Attempt, job: Job) -> Attempt:
    if job.status is Status.COMPLETED:
        if isinstance(job, Avatar):
            return _ready(tools, attempt, job)
        if isinstance(job, Voice):
            return _cloned(tools, attempt, job)
        return _completed(tools, attempt, job)
    if job.status is Status.FAILED:
        return _failed(tools, attempt, job)
    return attempt


def _completed(tools: Tools, attempt: Attempt, job: Audio | Video) -> Attempt:
    if job.url is None:
        if attempt.looks < LATE_LINK_LOOKS:
            return tools.ledger.attempts.get(attempt.id)
        return _give_up(tools, attempt, code=None, reason=f"{_NO_LINK}.", job=job)
    return tools.ledger.attempts.complete(
        attempt.id,
        url=job.url,
        # Whether the 7 days count from the create or from the end is not documented.
        url_expires_at=(attempt.answered_at or tools.clock()) + LINK_LIFE_SECONDS,
        spent_credits=_credits(job),
        media_seconds=job.duration_seconds if isinstance(job, Audio) else None,
        answer=job.raw,
        unfinished_at=attempt.unfinished_at,
    )


def _cloned(tools: Tools, attempt: Attempt, voice: Voice) -> Attempt:
    if not voice.voice_id:
        if attempt.looks < LATE_LINK_LOOKS:
            return attempt
        return _give_up(tools, attempt, code=None, reason=f"{_NO_VOICE}.", job=voice)
    return tools.ledger.attempts.complete(
        attempt.id,
        url=voice.preview_url,
        url_expires_at=None,
        spent_credits=_credits(voice),
        media_seconds=None,
        answer=voice.raw,
    )


def _ready(tools: Tools, attempt: Attempt, avatar: Avatar) -> Attempt:
    """An avatar is no file: it stays at AKOOL, and there is nothing to save."""
    was_there = bool((attempt.answer or {}).get(TAKEN_OVER))
    return tools.ledger.attempts.complete(
        attempt.id,
        url=None,
        url_expires_at=None,
        spent_credits=0.0 if was_there else _credits(avatar),
        media_seconds=None,
        answer={**avatar.raw, TAKEN_OVER: was_there},
    )


def _failed(tools: Tools, attempt: Attempt, job: Job) -> Attempt:
    failure = job.failure
    code = failure.code if failure else None
    reason = failure.reason if failure else f"AKOOL failed this {attempt.kind.value}."
    return _give_up(tools, attempt, code=code, reason=reason, job=job)


def _give_up(tools: Tools, attempt: Attempt, *, code: int | None, reason: str, job: Job) -> Attempt:
    return tools.ledger.attempts.fail(
        attempt.id,
        code=code,
        reason=reason,
        advice=_advice(attempt),
        spent_credits=_credits(job),
        answer=job.raw,
    )


def _not_found(tools: Tools, attempt: Attempt, error: NotFound) -> Attempt:
    age = tools.clock() - (attempt.answered_at or 0.0)
    if age < GRACE_SECONDS:
        return tools.ledger.attempts.get(attempt.id)
    told = error.msg or error.message
    return tools.ledger.attempts.fail(
        attempt.id,
        code=error.code,
        reason=f"AKOOL no longer knows its own id {attempt.remote_id}: {told}",
        advice=_advice(attempt),
        spent_credits=None,
        answer=None,
    )


def _advice(attempt: Attempt) -> str:
    return {Kind.CLONE: _CLONE_ANOTHER, Kind.AVATAR: _UPLOAD_ANOTHER}.get(attempt.kind, _ASK_AGAIN)


def _credits(job: Job) -> float | None:
    return job.deducted_credits if isinstance(job, Video) else job.deduction_credit


def settle_due(
    tools: Tools, *, kind: Kind, limit: int, until: float, threads: int = 1
) -> list[Attempt]:
    """Looks at the jobs of one kind that are due, longest due first.

    Args:
        tools: What the batch works with.
        kind: Which kind.
        limit: At most so many.
        until: Begin no look after this time; the rest stays due.
        threads: Looks at once.

    Returns:
        The attempts that are no longer accepted now.
    """
    return settle_in_turn(tools, kinds=[kind], limit=limit, until=until, threads=threads)


def settle_in_turn(
    tools: Tools,
    *,
    kinds: Sequence[Kind],
    limit: int,
    until: float,
    threads: int = 1,
    per_second: float = math.inf,
) -> list[Attempt]:
    """Looks at the jobs that are due: of each kind the longest due first, the kinds by turns.

    However many jobs of one kind are due, those of another have their share of the time. What is
    left over is the longest due next time.

    Args:
        tools: What the batch works with.
        kinds: Which kinds.
        limit: At most so many of each kind.
        until: Begin no look after this time; the rest stays due.
        threads: Looks at once.
        per_second: Begin at most so many looks in a second.

    Returns:
        The attempts that are no longer accepted now.
    """
    now = tools.clock()
    due = [
        attempt
        for turn in zip_longest(
            *(tools.ledger.attempts.due_looks(kind=kind, now=now, limit=limit) for kind in kinds)
        )
        for attempt in turn
        if attempt is not None
    ]
    spaced = [(attempt, now + place / per_second) for place, attempt in enumerate(due)]

    def look_in_time(one: tuple[Attempt, float]) -> Attempt:
        attempt, at = one
        wait = at - tools.clock()
        if max(at, tools.clock()) >= until:
            return attempt
        if wait > 0:
            tools.sleep(wait)
        return look(tools, attempt)

    if threads == 1 or len(due) <= 1:
        seen = [look_in_time(one) for one in spaced]
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="akool-look") as pool:
            seen = list(pool.map(look_in_time, spaced))
    return [attempt for attempt in seen if attempt.state is not State.ACCEPTED]
