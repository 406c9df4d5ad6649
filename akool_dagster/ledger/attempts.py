"""Attempts: every move of every paid create, each in one transaction with its line of history."""

import os
import secrets
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import sqlalchemy as sa

from akool_dagster.ledger import statements
from akool_dagster.ledger.database import Database
from akool_dagster.ledger.learned_limit import learned_limit, lower_limit, raise_limit
from akool_dagster.ledger.records import Attempt, Event
from akool_dagster.ledger.states import Kind, State, may_move
from akool_dagster.ledger.tables import attempts, history

SENDING_LIMIT_SECONDS = 600.0
"""A create is over long before this; one that still says "sending" lost its process."""

DOUBT_HOLDS_SLOT_SECONDS = 3600.0
"""How long a create in doubt may still be rendering, and so holds its slot, by default."""

_CHUNK = 500  # values in one IN (...): below SQLite's oldest limit


class Hold(Enum):
    """Why an attempt may not be sent now."""

    NO_SLOT = "no slot"
    """AKOOL_MAX_IN_FLIGHT videos are at AKOOL."""
    OVER_CAP = "over cap"
    """Reserving it would pass AKOOL_MAX_CREDITS for this UTC day."""
    TAKEN = "taken"
    """Another process has moved it on meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a reservation must respect.

    Attributes:
        max_in_flight: Videos that may be at AKOOL at once.
        max_credits: Credits reserved or spent in one UTC day, None for no cap.
        doubt_seconds: How long a create in doubt may still be rendering, and so holds its slot.
    """

    max_in_flight: int
    max_credits: float | None = None
    doubt_seconds: float = DOUBT_HOLDS_SLOT_SECONDS


class Attempts:
    """The attempts of one service.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    # -- looking ---------------------------------------------------------------------------

    def get(self, attempt_id: int) -> Attempt:
        """Reads one attempt.

        Args:
            attempt_id: Its number in the ledger.

        Returns:
            The attempt.

        Raises:
            LookupError: There is none.
        """
        with self._db.reading() as connection:
            return self._get(connection, attempt_id)

    def latest(self, *, kind: Kind, content_hash: str) -> Attempt | None:
        """Reads the newest attempt for a content.

        Args:
            kind: What is made.
            content_hash: Of what.

        Returns:
            The attempt with the highest number, or None.
        """
        with self._db.reading() as connection:
            return self._latest(connection, kind=kind, content_hash=content_hash)

    def latest_of(self, *, kind: Kind, content_hashes: Iterable[str]) -> dict[str, Attempt]:
        """Reads the newest attempt of each of many contents.

        Args:
            kind: What is made.
            content_hashes: Of what.

        Returns:
            Attempt by content hash; contents without one are left out.
        """
        found: dict[str, Attempt] = {}
        wanted = list(dict.fromkeys(content_hashes))
        with self._db.reading() as connection:
            for start in range(0, len(wanted), _CHUNK):
                rows = connection.execute(
                    self._mine(kind)
                    .where(attempts.c.content_hash.in_(wanted[start : start + _CHUNK]))
                    .order_by(attempts.c.number)
                )
                found.update({row.content_hash: Attempt.from_row(row) for row in rows})
        return found

    def in_states(self, *, kind: Kind, states: Iterable[State]) -> list[Attempt]:
        """Reads all attempts that stand in some of the states.

        Args:
            kind: What is made.
            states: Which states.

        Returns:
            The attempts, oldest first.
        """
        query = self._mine(kind).where(attempts.c.state.in_([s.value for s in states]))
        with self._db.reading() as connection:
            return [
                Attempt.from_row(row) for row in connection.execute(query.order_by(attempts.c.id))
            ]

    def due_looks(self, *, kind: Kind, now: float, limit: int) -> list[Attempt]:
        """Reads the accepted attempts whose status should be asked for.

        Args:
            kind: What is made.
            now: The time.
            limit: At most so many.

        Returns:
            The attempts, longest due first.
        """
        wanted = {"service": self._db.service, "kind": kind.value, "now": now, "most": limit}
        with self._db.reading() as connection:
            return [Attempt.from_row(row) for row in connection.execute(statements.DUE, wanted)]

    def opened_since(self, *, kind: Kind, content_hash: str, since: float) -> int:
        """Counts the attempts for a content that were opened since a time.

        Args:
            kind: What is made.
            content_hash: Of what.
            since: The time.

        Returns:
            Their number.
        """
        content = self._content(kind=kind, content_hash=content_hash)
        with self._db.reading() as connection:
            return connection.scalar(statements.OPENED_SINCE, {**content, "since": since}) or 0

    def history(self, attempt_id: int) -> list[Event]:
        """Reads what happened to an attempt.

        Args:
            attempt_id: Its number in the ledger.

        Returns:
            The lines, oldest first.
        """
        query = sa.select(history).where(history.c.attempt_id == attempt_id).order_by(history.c.id)
        with self._db.reading() as connection:
            return [
                Event(
                    at=row.at,
                    before=State(row.before) if row.before else None,
                    after=State(row.after),
                    actor=row.actor,
                    detail=row.detail,
                )
                for row in connection.execute(query)
            ]

    # -- the way to AKOOL ------------------------------------------------------------------

    def open_next(
        self, *, kind: Kind, content_hash: str, api: str, after: int, media_seconds: float | None
    ) -> Attempt:
        """Opens the next attempt for a content, unless somebody already did.

        Args:
            kind: What is made.
            content_hash: Of what.
            api: Which of AKOOL's interfaces it will be sent to.
            after: Number of the newest attempt that the caller knows, 0 for none.
            media_seconds: Length of the speech that the job works on, when known.

        Returns:
            The newest attempt: the one just opened, or that of a quicker process.

        Raises:
            ValueError: The newest attempt does not allow another one.
        """
        with self._db.writing() as connection:
            newest = self._latest(connection, kind=kind, content_hash=content_hash)
            if newest is not None and newest.number > after:
                return newest
            if newest is not None and not newest.may_be_followed:
                raise ValueError(
                    f"Attempt {newest.number} for {kind.value} {content_hash[:12]} is "
                    f"{newest.state.value}: only a refused, failed or expired attempt, or a "
                    "person's word, opens the next one."
                )
            opened = {
                **self._content(kind=kind, content_hash=content_hash),
                "number": after + 1,
                "state": State.PLANNED.value,
                "api": api,
                "webhook_token": secrets.token_urlsafe(24),
                "media_seconds": media_seconds,
                "planned_at": self._db.clock(),
            }
            row = connection.execute(statements.OPEN_ATTEMPT, opened).one()
            self._write_history(connection, row.id, None, State.PLANNED, None)
            return Attempt.from_row(row)

    def reserve(self, attempt_id: int, *, price: float, limits: Limits) -> Attempt | Hold:
        """Sets a slot and the price aside, or says why that cannot be.

        Args:
            attempt_id: The attempt.
            price: Credits that it will cost at most, as far as known.
            limits: What may not be passed.

        Returns:
            The reserved attempt, or why it has to wait.
        """
        with self._db.writing() as connection:
            attempt = self._get(connection, attempt_id)
            if attempt.state is State.RESERVED and (attempt.reserved_at or 0.0) >= self._today():
                return attempt
            # What was set aside on an earlier day, and never sent, would be spent today.
            if attempt.state not in (State.PLANNED, State.RESERVED):
                return Hold.TAKEN
            if attempt.kind is Kind.VIDEO and not self._free_slots(connection, limits):
                return Hold.NO_SLOT
            if (
                limits.max_credits is not None
                and self._spent_today(connection) + price > limits.max_credits
            ):
                return Hold.OVER_CAP
            return self._move(
                connection,
                attempt,
                State.RESERVED,
                detail=f"{price:g} credits reserved",
                reserved_credits=price,
                reserved_at=self._db.clock(),
            )

    def start_sending(self, attempt_id: int) -> bool:
        """Claims the one send of an attempt; the intent is durable when this returns.

        Args:
            attempt_id: The attempt.

        Returns:
            True for exactly one caller. Only that one may send.
        """
        with self._db.writing() as connection:
            attempt = self._get(connection, attempt_id)
            if attempt.state is not State.RESERVED:
                return False
            self._move(
                connection,
                attempt,
                State.SENDING,
                sending_at=self._db.clock(),
                sender=self._db.actor,
            )
            return True

    def accept(
        self,
        attempt_id: int,
        *,
        remote_id: str,
        next_look_at: float,
        answer: Mapping[str, Any] | None = None,
        detail: str | None = None,
    ) -> Attempt:
        """Writes down that AKOOL took it.

        Args:
            attempt_id: The attempt.
            remote_id: AKOOL's ``_id``.
            next_look_at: When to ask for its status first.
            answer: AKOOL's ``data``.
            detail: How this became known, where it was not the plain answer.

        Returns:
            The attempt as it is now.
        """
        now = self._db.clock()
        with self._db.writing() as connection:
            attempt = self._get(connection, attempt_id)
            if attempt.state is State.ACCEPTED and attempt.remote_id != remote_id:
                conflict = f"conflict: AKOOL also gave the id {remote_id}; the first one is kept"
                self._write_history(connection, attempt_id, attempt.state, attempt.state, conflict)
            if not may_move(before=attempt.state, after=State.ACCEPTED):
                return attempt
            if attempt.kind is Kind.VIDEO:
                raise_limit(connection, service=self._db.service, now=now)
            return self._move(
                connection,
                attempt,
                State.ACCEPTED,
                detail=detail or f"AKOOL id {remote_id}",
                remote_id=remote_id,
                next_look_at=next_look_at,
                answer=_json(answer),
                answered_at=now,
            )

    def refuse(
        self, attempt_id: int, *, code: int | None, reason: str, advice: str | None, try_again: bool
    ) -> Attempt:
        """Writes down that nothing was accepted and nothing charged.

        Args:
            attempt_id: The attempt.
            code: AKOOL's code, None when the request never left.
            reason: AKOOL's words or ours.
            advice: What a person can do.
            try_again: Whether asking again may help.

        Returns:
            The attempt as it is now.
        """
        now = self._db.clock()
        return self._settle(
            attempt_id,
            State.REFUSED,
            detail=reason,
            code=code,
            reason=reason,
            advice=advice,
            try_again=try_again,
            answered_at=now,
            settled_at=now,
        )

    def excuse(self, attempt_id: int, *, reason: str) -> Attempt:
        """Writes down that a refusal was not the content's fault, so that asking again may help.

        Args:
            attempt_id: The refused attempt; of any other one nothing is changed.
            reason: Whose fault it was.

        Returns:
            The attempt as it is now.
        """
        with self._db.writing() as connection:
            attempt = self._get(connection, attempt_id)
            if attempt.state is not State.REFUSED or attempt.try_again:
                return attempt
            connection.execute(
                attempts.update().where(attempts.c.id == attempt_id).values(try_again=True)
            )
            self._write_history(connection, attempt_id, attempt.state, attempt.state, reason)
            return self._get(connection, attempt_id)

    def refuse_for_now(
        self,
        attempt_id: int,
        *,
        code: int,
        reason: str,
        doubt_seconds: float = DOUBT_HOLDS_SLOT_SECONDS,
    ) -> Attempt:
        """Writes down that AKOOL calls creates too frequent; lowers the learned limit for videos.

        Args:
            attempt_id: The attempt.
            code: AKOOL's code.
            reason: AKOOL's words.
            doubt_seconds: As in the ``Limits`` that it was reserved with.

        Returns:
            The attempt as it is now.
        """
        now = self._db.clock()
        with self._db.writing() as connection:
            attempt = self._get(connection, attempt_id)
            if attempt.state is not State.SENDING:
                return attempt
            if attempt.kind is Kind.VIDEO:
                others = self._in_flight(connection, doubt_seconds=doubt_seconds) - 1
                lower_limit(connection, service=self._db.service, in_work=others, now=now)
            return self._move(
                connection,
                attempt,
                State.REFUSED,
                detail=reason,
                code=code,
                reason=reason,
                try_again=True,
                answered_at=now,
                settled_at=now,
            )

    def free_slots(self, limits: Limits) -> int:
        """Counts the videos that may be sent now.

        Args:
            limits: What may not be passed.

        Returns:
            Slots at AKOOL that nothing holds.
        """
        with self._db.reading() as connection:
            return self._free_slots(connection, limits)

    def learned_limit(self) -> float | None:
        """Tells how many videos AKOOL seems to take at once.

        Returns:
            The limit, None while AKOOL has refused nothing as too frequent.
        """
        with self._db.reading() as connection:
            return learned_limit(connection, service=self._db.service)

    def doubt(self, attempt_id: int, *, reason: str, advice: str | None) -> Attempt:
        """Writes down that the request may have been accepted and charged, and nobody knows.

        Args:
            attempt_id: The attempt.
            reason: What happened instead of an answer.
            advice: What a person can do.

        Returns:
            The attempt as it is now.
        """
        return self._settle(attempt_id, State.IN_DOUBT, detail=reason, reason=reason, advice=advice)

    def doubt_the_abandoned(self) -> list[Attempt]:
        """Finds creates whose process died while sending, and puts them in doubt.

        Returns:
            The attempts that are now in doubt.
        """
        with self._db.reading() as connection:
            sending = self._sending(connection)
        if not any(self._is_abandoned(attempt) for attempt in sending):
            return []
        with self._db.writing() as connection:
            return [
                self._move(
                    connection,
                    attempt,
                    State.IN_DOUBT,
                    detail="its process ended while the request was on its way",
                    reason="The process that sent it ended before AKOOL's answer was written down.",
                )
                for attempt in self._sending(connection)
                if self._is_abandoned(attempt)
            ]

    # -- after AKOOL took it ---------------------------------------------------------------

    def claim_look(self, attempt: Attempt, *, next_look_at: float) -> bool:
        """Claims the right to ask for the status now, so that two processes do not both ask.

        Args:
            attempt: As the caller last saw it.
            next_look_at: When the look after this one is due.

        Returns:
            True for the caller that may ask.
        """
        claim = {
            "which": attempt.id,
            "was_due_at": attempt.next_look_at,
            "had_looks": attempt.looks,
            "due_at": next_look_at,
            "looked_at": self._db.clock(),
        }
        with self._db.writing() as connection:
            return connection.execute(statements.CLAIM_LOOK, claim).rowcount == 1

    def complete(
        self,
        attempt_id: int,
        *,
        url: str | None,
        url_expires_at: float | None,
        spent_credits: float | None,
        media_seconds: float | None,
        answer: Mapping[str, Any],
        unfinished_at: float | None = None,
    ) -> Attempt:
        """Writes down AKOOL's link to the finished file.

        Args:
            attempt_id: The attempt.
            url: The link; None only for what is no file of AKOOL's.
            url_expires_at: When it dies, None for never.
            spent_credits: What AKOOL says it took.
            media_seconds: Length, when AKOOL tells it.
            answer: AKOOL's ``data``.
            unfinished_at: When AKOOL was last asked before and had not finished, if it was.

        Returns:
            The attempt as it is now.
        """
        values: dict[str, Any] = {
            "url": url,
            "url_expires_at": url_expires_at,
            "spent_credits": spent_credits,
            "answer": _json(answer),
            "settled_at": self._db.clock(),
            "unfinished_at": unfinished_at,
        }
        if media_seconds is not None:
            values["media_seconds"] = media_seconds
        return self._settle(attempt_id, State.COMPLETED, detail="finished at AKOOL", **values)

    def renew_link(self, attempt_id: int, *, url: str) -> Attempt:
        """Replaces the link of a finished job by a fresh one from AKOOL.

        Args:
            attempt_id: The attempt.
            url: The fresh link.

        Returns:
            The attempt as it is now.
        """
        with self._db.writing() as connection:
            connection.execute(attempts.update().where(attempts.c.id == attempt_id).values(url=url))
            return self._get(connection, attempt_id)

    def fail(
        self,
        attempt_id: int,
        *,
        code: int | None,
        reason: str,
        advice: str | None,
        spent_credits: float | None,
        answer: Mapping[str, Any] | None,
    ) -> Attempt:
        """Writes down that AKOOL could not make it.

        Args:
            attempt_id: The attempt.
            code: AKOOL's error code, when it gave one.
            reason: AKOOL's words or ours.
            advice: What a person can do.
            spent_credits: What AKOOL says it kept.
            answer: AKOOL's ``data``.

        Returns:
            The attempt as it is now.
        """
        return self._settle(
            attempt_id,
            State.FAILED,
            detail=reason,
            code=code,
            reason=reason,
            advice=advice,
            spent_credits=spent_credits,
            answer=_json(answer),
            settled_at=self._db.clock(),
        )

    def save(self, attempt_id: int, *, media_seconds: float) -> Attempt:
        """Writes down that a verified file is on our storage.

        Args:
            attempt_id: The attempt.
            media_seconds: Measured length of the file.

        Returns:
            The attempt as it is now.
        """
        return self._settle(
            attempt_id, State.SAVED, detail="file saved", media_seconds=media_seconds
        )

    def expire(self, attempt_id: int, *, reason: str, advice: str | None) -> Attempt:
        """Writes down that the link died before the file was saved.

        Args:
            attempt_id: The attempt.
            reason: What was seen.
            advice: What a person can do.

        Returns:
            The attempt as it is now.
        """
        return self._settle(attempt_id, State.EXPIRED, detail=reason, reason=reason, advice=advice)

    def delete(self, attempt_id: int, *, reason: str, advice: str | None) -> Attempt:
        """Writes down that what was made is no longer at AKOOL; the history tells who says so.

        Args:
            attempt_id: The attempt.
            reason: Who deleted it, as far as known.
            advice: What a person can do.

        Returns:
            The attempt as it is now.
        """
        return self._settle(attempt_id, State.DELETED, detail=reason, reason=reason, advice=advice)

    # -- a person's word -------------------------------------------------------------------

    def allow_paying_again(self, attempt_id: int, *, by: str) -> Attempt:
        """Lets the next attempt be opened at the risk of a second charge.

        Args:
            attempt_id: The attempt that is given up.
            by: Who said so.

        Returns:
            The attempt as it is now.
        """
        with self._db.writing() as connection:
            attempt = self._get(connection, attempt_id)
            connection.execute(
                attempts.update()
                .where(attempts.c.id == attempt_id)
                .values(pay_again_at=self._db.clock(), pay_again_by=by)
            )
            detail = f"{by} allows a new attempt that may be charged again"
            self._write_history(connection, attempt_id, attempt.state, attempt.state, detail)
            return self._get(connection, attempt_id)

    # -- inside ----------------------------------------------------------------------------

    def _mine(self, kind: Kind) -> sa.Select:
        return sa.select(attempts).where(
            attempts.c.service == self._db.service, attempts.c.kind == kind.value
        )

    def _content(self, *, kind: Kind, content_hash: str) -> dict[str, Any]:
        return {"service": self._db.service, "kind": kind.value, "content_hash": content_hash}

    def _sending(self, connection: sa.Connection) -> list[Attempt]:
        rows = connection.execute(statements.SENDING, {"service": self._db.service})
        return [Attempt.from_row(row) for row in rows]

    def _get(self, connection: sa.Connection, attempt_id: int) -> Attempt:
        row = connection.execute(statements.ATTEMPT, {"attempt_id": attempt_id}).one_or_none()
        if row is None:
            raise LookupError(f"The ledger has no attempt {attempt_id}.")
        return Attempt.from_row(row)

    def _latest(
        self, connection: sa.Connection, *, kind: Kind, content_hash: str
    ) -> Attempt | None:
        wanted = self._content(kind=kind, content_hash=content_hash)
        row = connection.execute(statements.NEWEST_ATTEMPT, wanted).one_or_none()
        return None if row is None else Attempt.from_row(row)

    def _free_slots(self, connection: sa.Connection, limits: Limits) -> int:
        learned = learned_limit(connection, service=self._db.service)
        slots = limits.max_in_flight if learned is None else min(limits.max_in_flight, int(learned))
        return max(0, slots - self._in_flight(connection, doubt_seconds=limits.doubt_seconds))

    def _in_flight(self, connection: sa.Connection, *, doubt_seconds: float) -> int:
        now = self._db.clock()
        since = {
            "service": self._db.service,
            "reserved_since": now - SENDING_LIMIT_SECONDS,
            "doubted_since": now - doubt_seconds,
        }
        return connection.scalar(statements.IN_FLIGHT, since) or 0

    def _today(self) -> float:
        """When this UTC day began."""
        now = datetime.fromtimestamp(self._db.clock(), tz=timezone.utc)
        return now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()

    def _spent_today(self, connection: sa.Connection) -> float:
        """Adds up what this UTC day may cost: spent where AKOOL told, reserved where not."""
        today = {"service": self._db.service, "since": self._today()}
        return float(connection.scalar(statements.SPENT_SINCE, today) or 0.0)

    def _is_abandoned(self, attempt: Attempt) -> bool:
        if attempt.state is not State.SENDING:
            return False
        if self._db.clock() - (attempt.sending_at or 0.0) > SENDING_LIMIT_SECONDS:
            return True
        return _is_dead(attempt.sender or "", me=self._db.actor)

    def _settle(
        self, attempt_id: int, after: State, *, detail: str | None, **values: Any
    ) -> Attempt:
        """Moves an attempt on; a signal that is late or repeated changes nothing."""
        with self._db.writing() as connection:
            attempt = self._get(connection, attempt_id)
            if not may_move(before=attempt.state, after=after):
                return attempt
            return self._move(connection, attempt, after, detail=detail, **values)

    def _move(
        self,
        connection: sa.Connection,
        attempt: Attempt,
        after: State,
        *,
        detail: str | None = None,
        **values: Any,
    ) -> Attempt:
        change = {"which": attempt.id, "was": attempt.state.value, "state": after.value, **values}
        row = connection.execute(statements.MOVE, change).one()
        self._write_history(connection, attempt.id, attempt.state, after, detail)
        return Attempt.from_row(row)

    def _write_history(
        self,
        connection: sa.Connection,
        attempt_id: int,
        before: State | None,
        after: State,
        detail: str | None,
    ) -> None:
        line = {
            "attempt_id": attempt_id,
            "at": self._db.clock(),
            "before": before.value if before else None,
            "after": after.value,
            "actor": self._db.actor,
            "detail": detail,
        }
        connection.execute(statements.WRITE_HISTORY, line)


def _json(answer: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if answer is None else dict(answer)


def _is_dead(sender: str, *, me: str) -> bool:
    """Tells whether a sender on this machine is gone; of other machines nothing is known."""
    host, pid, token = _parts(sender)
    if host != socket.gethostname() or pid is None:
        return False
    my_host, my_pid, my_token = _parts(me)
    if (host, pid) == (my_host, my_pid):
        return token != my_token
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _parts(sender: str) -> tuple[str, int | None, str]:
    pieces: Sequence[str] = sender.rsplit(":", 2)
    if len(pieces) != 3 or not pieces[1].isdigit():
        return sender, None, ""
    return pieces[0], int(pieces[1]), pieces[2]
