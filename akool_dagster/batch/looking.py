"""Asks AKOOL how an accepted job is doing and writes the answer into the ledger."""

import logging
from concurrent.futures import ThreadPoolExecutor

from akool_dagster.akool import (
    AccountStopped,
    AkoolError,
    Audio,
    NotFound,
    NotReady,
    Status,
    Video,
)
from akool_dagster.batch.look_times import next_look
from akool_dagster.batch.tools import LINK_LIFE_SECONDS, Tools
from akool_dagster.ledger import Attempt, Kind, State

logger = logging.getLogger(__name__)

GRACE_SECONDS = 60.0
"""Straight after a create AKOOL may not know its own id yet (seen in public clients)."""

LATE_LINK_LOOKS = 10
"""How often a finished job without a link is looked at again before it counts as failed."""

_NO_LINK = "AKOOL says that it is finished, but gives no link"
_ASK_AGAIN = "Materialize the row again to ask AKOOL once more; that is a new, paid request."


def look(tools: Tools, attempt: Attempt) -> Attempt:
    """Looks at one accepted job, if this caller is the one whose turn it is.

    Args:
        tools: What the batch works with.
        attempt: An accepted attempt whose look is due.

    Returns:
        The attempt as the ledger has it afterwards. It is still accepted when AKOOL is not done,
        cannot be reached, or answers with something that is not understood.
    """
    if not tools.ledger.attempts.claim_look(attempt, next_look_at=next_look(tools, attempt)):
        return tools.ledger.attempts.get(attempt.id)
    try:
        job = _ask(tools, attempt)
    except NotFound as error:
        return _not_found(tools, attempt, error)
    except NotReady:
        return tools.ledger.attempts.get(attempt.id)
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
    if job.url is None or job.url == attempt.url:
        return None
    tools.ledger.attempts.renew_link(attempt.id, url=job.url)
    return job.url


def _ask(tools: Tools, attempt: Attempt) -> Audio | Video:
    assert attempt.remote_id is not None  # noqa: S101 - every accepted attempt has one
    if attempt.kind is Kind.VOICE:
        return tools.client.get_audio(attempt.remote_id, api="v3" if attempt.api == "v3" else "v4")
    return tools.client.get_video_info(attempt.remote_id)


def _write(tools: Tools, attempt: Attempt, job: Audio | Video) -> Attempt:
    if job.status is Status.COMPLETED:
        return _completed(tools, attempt, job)
    if job.status is Status.FAILED:
        return _failed(tools, attempt, job)
    return tools.ledger.attempts.get(attempt.id)


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
    )


def _failed(tools: Tools, attempt: Attempt, job: Audio | Video) -> Attempt:
    failure = job.failure
    code = failure.code if failure else None
    reason = failure.reason if failure else f"AKOOL failed this {attempt.kind.value}."
    return _give_up(tools, attempt, code=code, reason=reason, job=job)


def _give_up(
    tools: Tools, attempt: Attempt, *, code: int | None, reason: str, job: Audio | Video
) -> Attempt:
    return tools.ledger.attempts.fail(
        attempt.id,
        code=code,
        reason=reason,
        advice=_ASK_AGAIN,
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
        advice=_ASK_AGAIN,
        spent_credits=None,
        answer=None,
    )


def _credits(job: Audio | Video) -> float | None:
    return job.deduction_credit if isinstance(job, Audio) else job.deducted_credits


def settle_due(
    tools: Tools, *, kind: Kind, limit: int, until: float, threads: int = 1
) -> list[Attempt]:
    """Looks at the jobs that are due, longest due first.

    Args:
        tools: What the batch works with.
        kind: Voices or videos.
        limit: At most so many.
        until: Begin no look after this time; the rest stays due.
        threads: Looks at once.

    Returns:
        The attempts that are no longer accepted now.
    """
    due = tools.ledger.attempts.due_looks(kind=kind, now=tools.clock(), limit=limit)

    def look_in_time(attempt: Attempt) -> Attempt:
        return look(tools, attempt) if tools.clock() < until else attempt

    if threads == 1 or len(due) <= 1:
        seen = [look_in_time(attempt) for attempt in due]
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="akool-look") as pool:
            seen = list(pool.map(look_in_time, due))
    return [attempt for attempt in seen if attempt.state is not State.ACCEPTED]
