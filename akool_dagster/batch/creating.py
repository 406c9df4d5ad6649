"""The one door through which every paid create passes.

No other module calls a ``create_...`` method of the client. The intent is durable before the
request leaves, AKOOL's id before anything else happens, and whatever cannot be told apart from an
accepted request is left in doubt.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sqlalchemy.exc import SQLAlchemyError

from akool_dagster.akool import (
    AccountStopped,
    AkoolError,
    NotSent,
    Refused,
    TooFrequent,
    TryAgainLater,
)
from akool_dagster.batch.outcomes import Later, NotRequested
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.watching.look_times import first_look, limits_now
from akool_dagster.ledger import AccountStop, Attempt, Hold, Kind, State

logger = logging.getLogger(__name__)

TRIES = 3
"""Creates for one row of one run when AKOOL answers "try again later": one and two more."""

ASKED_AGAIN = frozenset({1015, 1101, 1108, 1201, 1205, 1211, 2001})
"""Codes that AKOOL words "try again later" (docs: error-code page), and the expired login token.

It is an assumption that AKOOL charges nothing for a create that it answers with such a code. Other
codes that might pass by themselves are left to a person, because bad input causes them as well.
"""

TOO_FREQUENT_TRIES = 20
"""Creates for one row of one run while AKOOL answers "too frequent"."""

TOO_FREQUENT = 1005
"""AKOOL's code for it (docs: error-code page); a gateway's HTTP 429 is filed under it as well."""

KEEPING_PAUSES = (0.2, 1.0, 4.0, 15.0, 30.0)
"""Seconds between tries to write AKOOL's id into a ledger that cannot be written."""

_TAKEN_SECONDS = 1.0


Step = Literal["open", "send", "stay"]
"""What to do about a content: open its next attempt, send the open one, or leave it as it is."""


class IdNotKept(Exception):
    """AKOOL accepted a create, and the ledger could not be written; the text holds the id."""


class Accepted(Protocol):
    """What the client returns for an accepted create."""

    @property
    def id(self) -> str:
        """AKOOL's ``_id``."""
        ...

    @property
    def raw(self) -> Mapping[str, Any]:
        """AKOOL's ``data``."""
        ...


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a row wants AKOOL to make.

    Attributes:
        kind: Voice or video.
        content_hash: Of what; rows with the same hash share one attempt.
        script_key: The row.
        run_id: The Dagster run that asks.
        run_began_at: When it began; an attempt made since then answers for all rows of the same
            content, an older one that came to nothing may be followed by a new one.
        api: Which of AKOOL's interfaces is asked.
        price: Credits that it will cost at most, as far as known.
        media_seconds: Length of the speech that the job works on, when known.
        send: Sends the create; gets the callback address, None without webhooks.
    """

    kind: Kind
    content_hash: str
    script_key: str
    run_id: str
    run_began_at: float
    api: str
    price: float
    media_seconds: float | None
    send: Callable[[str | None], Accepted]


def create(tools: Tools, wish: Wish) -> Attempt | Later | NotRequested:
    """Carries a wish one step on: opens an attempt, reserves it, sends it, or says what it is.

    Args:
        tools: What the batch works with.
        wish: What is wanted.

    Returns:
        The newest attempt for the content once there is nothing to send, :class:`Later` when it
        must wait for its turn, or :class:`NotRequested` when nothing may be sent at all.
    """
    attempts = tools.ledger.attempts
    attempt = attempts.latest(kind=wish.kind, content_hash=wish.content_hash)
    if attempt is not None and attempt.state is State.SENDING:
        attempts.doubt_the_abandoned()
        attempt = attempts.get(attempt.id)
    step = _what_next(tools, wish, attempt)
    if isinstance(step, Later):
        return step
    if step == "stay":
        assert attempt is not None  # noqa: S101 - "stay" is never said of nothing
        _note_request(tools, wish, attempt)
        return attempt
    stop = _open_stop(tools)
    if stop is not None:
        return _stopped(stop)
    if step == "open":
        attempt = attempts.open_next(
            kind=wish.kind,
            content_hash=wish.content_hash,
            api=wish.api,
            after=attempt.number if attempt else 0,
            media_seconds=wish.media_seconds,
        )
    assert attempt is not None  # noqa: S101 - opened just now, or planned before
    sent = _reserve_and_send(tools, wish, attempt)
    if isinstance(sent, Attempt) and sent.try_again:
        again = _asks_again(tools, wish, sent)
        if isinstance(again, Later):
            return again
        return sent if again == "stay" else Later(at=tools.clock())
    return sent


def _what_next(tools: Tools, wish: Wish, attempt: Attempt | None) -> Step | Later:
    """Decides between opening an attempt, carrying a planned one on, waiting, and leaving it."""
    if attempt is None:
        return "open"
    if attempt.state in (State.PLANNED, State.RESERVED):
        return "send"
    if attempt.state is State.SENDING:
        return Later(at=tools.clock() + _TAKEN_SECONDS)
    if attempt.pay_again_at is not None:
        return "open"
    if not attempt.may_be_followed:
        return "stay"
    if attempt.planned_at < wish.run_began_at:
        return "open"
    return _asks_again(tools, wish, attempt)


def _asks_again(tools: Tools, wish: Wish, attempt: Attempt) -> Step | Later:
    """Applies the rule for "try again later": a few more attempts, further and further apart."""
    if not attempt.try_again:
        return "stay"
    made = tools.ledger.attempts.opened_since(
        kind=wish.kind, content_hash=wish.content_hash, since=wish.run_began_at
    )
    if made >= (TOO_FREQUENT_TRIES if attempt.code == TOO_FREQUENT else TRIES):
        return "stay"
    pause = _pause(tools, attempt, made=made)
    again_at = (attempt.settled_at or 0.0) + pause
    return "open" if tools.clock() >= again_at else Later(at=again_at)


def _pause(tools: Tools, attempt: Attempt, *, made: int) -> float:
    if attempt.code == TOO_FREQUENT:
        return tools.pace.pause_seconds
    return tools.rules.poll_seconds * 3 ** (made - 1)


def _reserve_and_send(tools: Tools, wish: Wish, attempt: Attempt) -> Attempt | Later | NotRequested:
    turn_at = tools.pace.take_turn(tools.clock())
    if turn_at is not None:
        return Later(at=turn_at, wants_slot=wish.kind is Kind.VIDEO)
    held = tools.ledger.attempts.reserve(attempt.id, price=wish.price, limits=limits_now(tools))
    if held is Hold.NO_SLOT:
        return Later(at=tools.clock(), wants_slot=True)
    if held is Hold.OVER_CAP:
        return NotRequested(
            reason=(
                f"AKOOL_MAX_CREDITS={tools.rules.limits.max_credits:g} would be passed by the "
                f"{wish.price:g} credits that this {wish.kind.value} may cost."
            ),
            advice="Raise the cap, or materialize this row again after midnight UTC.",
        )
    if held is Hold.TAKEN or not tools.ledger.attempts.start_sending(attempt.id):
        return Later(at=tools.clock() + _TAKEN_SECONDS)
    _note_request(tools, wish, attempt)
    return _send(tools, wish, attempt)


def _note_request(tools: Tools, wish: Wish, attempt: Attempt) -> None:
    tools.ledger.deliveries.requested(
        attempt_id=attempt.id, script_key=wish.script_key, run_id=wish.run_id
    )


def _send(tools: Tools, wish: Wish, attempt: Attempt) -> Attempt:
    """Sends once; every way out of here is written down."""
    try:
        accepted = wish.send(_callback_address(tools, attempt))
    except NotSent as error:
        return _refused(tools, attempt, error, try_again=True)
    except Refused as error:
        return _refused_by_akool(tools, attempt, error)
    except AkoolError as error:
        return tools.ledger.attempts.doubt(attempt.id, reason=error.message, advice=error.advice)
    except BaseException as error:
        # Whatever this is, the request may have left before it.
        tools.ledger.attempts.doubt(
            attempt.id,
            reason=f"{type(error).__name__} while the request was on its way",
            advice=None,
        )
        raise
    tools.pace.went_through()
    return _keep_id(tools, attempt, accepted)


def _keep_id(tools: Tools, attempt: Attempt, accepted: Accepted) -> Attempt:
    """Makes AKOOL's id durable; this is the one write that must not be given up quickly."""
    for pause in KEEPING_PAUSES:
        try:
            return tools.ledger.attempts.accept(
                attempt.id,
                remote_id=accepted.id,
                next_look_at=first_look(tools, attempt),
                answer=accepted.raw,
            )
        except SQLAlchemyError as error:
            # The id now stands in the log as well, should the ledger stay closed.
            logger.critical(
                "AKOOL accepted %s attempt %d as %s, and the ledger cannot be written (%s).",
                attempt.kind.value,
                attempt.id,
                accepted.id,
                type(error).__name__,
            )
            tools.sleep(pause)
    raise IdNotKept(
        f"AKOOL accepted this {attempt.kind.value} as {accepted.id}, and the ledger could not be "
        "written. Make room on its disk, then say `akool-dagster resolve KEY "
        f"--{attempt.kind.value}-id {accepted.id}` once the row is in doubt."
    )


def _refused_by_akool(tools: Tools, attempt: Attempt, error: Refused) -> Attempt:
    if isinstance(error, AccountStopped):
        tools.ledger.account.stop(
            code=error.code, reason=error.msg or error.message, advice=error.advice
        )
    if isinstance(error, TooFrequent):
        tools.pace.too_frequent(tools.clock())
        return tools.ledger.attempts.refuse_for_now(
            attempt.id,
            code=TOO_FREQUENT,
            reason=error.msg or error.message,
            doubt_seconds=limits_now(tools).doubt_seconds,
        )
    return _refused(tools, attempt, error, try_again=_is_asked_again(error))


def _is_asked_again(error: Refused) -> bool:
    if isinstance(error, AccountStopped):
        # It is not the row's fault: once the account is open again it may be asked for.
        return True
    return isinstance(error, TryAgainLater) and error.code in ASKED_AGAIN


def _refused(tools: Tools, attempt: Attempt, error: AkoolError, *, try_again: bool) -> Attempt:
    return tools.ledger.attempts.refuse(
        attempt.id,
        code=error.code,
        reason=error.msg or error.message,
        advice=error.advice,
        try_again=try_again,
    )


def _callback_address(tools: Tools, attempt: Attempt) -> str | None:
    if tools.rules.webhook_url is None:
        return None
    return f"{tools.rules.webhook_url.rstrip('/')}/akool/{attempt.webhook_token}"


def reopen_account(tools: Tools) -> AccountStop | None:
    """Asks for the balance when the account is stopped; an answer with credit reopens it.

    Args:
        tools: What the batch works with.

    Returns:
        The stop that is still in force, or None.
    """
    stop = tools.ledger.account.open_stop()
    if stop is None:
        return None
    try:
        balance = tools.client.balance()
    except AkoolError:
        return stop
    if balance <= 0:
        return stop
    tools.ledger.account.reopen(stop)
    return None


def _open_stop(tools: Tools) -> AccountStop | None:
    """Reads the account's stop; once in a while it is tried whether it may be lifted."""
    stop = tools.ledger.account.open_stop()
    if stop is None or not tools.ledger.account.claim_probe(stop):
        return stop
    return reopen_account(tools)


def _stopped(stop: AccountStop) -> NotRequested:
    return NotRequested(
        reason=f"AKOOL stopped this account: {stop.reason}",
        advice=stop.advice or "Look at the account on AKOOL's site.",
        code=stop.code,
    )
