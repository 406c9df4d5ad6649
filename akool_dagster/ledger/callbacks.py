"""Callbacks: what AKOOL told unasked, and what it did to the attempt whose address it came to.

Each attempt has an address of its own, which only AKOOL is told, so a callback names the attempt
and brings AKOOL's id: the one proof there is that a create whose answer was lost was taken.

A callback never completes or fails an attempt. It settles a doubt, or makes the attempt's next
look due; what came of the job is then asked of AKOOL.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa

from akool_dagster.ledger.attempts import Attempts
from akool_dagster.ledger.database import Database
from akool_dagster.ledger.records import Attempt
from akool_dagster.ledger.states import Kind, State
from akool_dagster.ledger.tables import attempts, callbacks

_QUEUED_WRITERS = 4
_UNPROVED = frozenset({State.SENDING, State.IN_DOUBT})


class Effect(str, Enum):
    """What a callback did."""

    PROVED = "proved"
    """The attempt was being sent or in doubt, and is now accepted with the callback's id."""
    LOOK = "look"
    """The attempt was accepted, and its status is to be asked for now."""
    IGNORED = "ignored"
    """Nothing: the attempt is settled."""
    CONFLICT = "conflict"
    """Nothing: it cannot be true besides what the ledger holds, so that a person should know."""
    UNKNOWN = "unknown"
    """Nothing: no attempt has this address."""


@dataclass(frozen=True, kw_only=True)
class News:
    """One line of the table ``akool_callbacks``.

    Attributes:
        id: Number of the line in the ledger.
        attempt_id: The attempt whose address it came to, None when there is none.
        received_at: When it came first, in seconds since 1970 UTC.
        remote_id: The ``_id`` that it brought.
        status: AKOOL's number for where the job stands: 1 to 4.
        body_sha256: Hash of the body that came first.
        effect: What it did.
        reason: Why.
    """

    id: int
    attempt_id: int | None
    received_at: float
    remote_id: str
    status: int
    body_sha256: str
    effect: Effect
    reason: str

    @classmethod
    def from_row(cls, row: Any) -> "News":
        """Reads a line of the table ``akool_callbacks``.

        Args:
            row: SQLAlchemy row with a value for each column.

        Returns:
            The line.
        """
        values = {name: getattr(row, name) for name in cls.__dataclass_fields__}
        values.update(effect=Effect(row.effect))
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a callback.

    Attributes:
        news: Its line in the ledger.
        is_new: False when the same was told before; a repeated callback changes nothing.
    """

    news: News
    is_new: bool


class Callbacks:
    """The callbacks of one service.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    @property
    def useful_threads(self) -> int:
        """How many threads may record at once with profit.

        All writers of a ledger take turns. PostgreSQL queues them, but on SQLite those that wait
        try again at intervals and overtake each other, so that the unlucky wait for seconds.
        """
        return 1 if self._db.engine.dialect.name == "sqlite" else _QUEUED_WRITERS

    def record(self, *, token: str, remote_id: str, status: int, body_sha256: str) -> Receipt:
        """Writes down a genuine callback and acts on it, both in one transaction.

        A callback that tells the same attempt the same status of the same id is a repeated one,
        however its body differs: AKOOL may sign it anew with another timestamp and nonce.

        An attempt that is still being sent is accepted like one in doubt, and the sender's own
        ``Attempts.accept`` changes nothing afterwards. Should that bring another id, the
        callback's stays: an id that others may have read already is never exchanged.

        Args:
            token: The last part of the address that it came to.
            remote_id: The ``_id`` that it brought, up to 100 characters.
            status: AKOOL's number for where the job stands: 1 to 4.
            body_sha256: Hash of the body, in hex.

        Returns:
            What became of it; it is durable.
        """
        with self._db.writing() as connection:
            attempt = self._named_by(connection, token)
            key = f"{attempt.id if attempt else 0}/{status}/{remote_id}"
            known = self._find(connection, key)
            if known is not None:
                return Receipt(news=known, is_new=False)
            verdict = self._act(connection, attempt, remote_id=remote_id, status=status)
            connection.execute(
                callbacks.insert().values(
                    service=self._db.service,
                    repeat_key=key,
                    attempt_id=attempt.id if attempt else None,
                    received_at=self._db.clock(),
                    remote_id=remote_id,
                    status=status,
                    body_sha256=body_sha256,
                    effect=verdict.effect.value,
                    reason=verdict.reason,
                )
            )
            added = self._find(connection, key)
        assert added is not None  # noqa: S101 - inserted in this very transaction
        return Receipt(news=added, is_new=True)

    def of(self, attempt_id: int | None) -> list[News]:
        """Reads the callbacks that came for an attempt.

        Args:
            attempt_id: The attempt; None for callbacks to addresses that no attempt has.

        Returns:
            The lines, oldest first, each repeated callback once.
        """
        query = (
            sa.select(callbacks)
            .where(
                callbacks.c.service == self._db.service,
                callbacks.c.attempt_id.is_not_distinct_from(attempt_id),
            )
            .order_by(callbacks.c.id)
        )
        with self._db.reading() as connection:
            return [News.from_row(row) for row in connection.execute(query)]

    def conflicts(self) -> list[News]:
        """Reads the callbacks that cannot be true besides what the ledger holds.

        Returns:
            The lines, oldest first.
        """
        query = (
            sa.select(callbacks)
            .where(
                callbacks.c.service == self._db.service,
                callbacks.c.effect == Effect.CONFLICT.value,
            )
            .order_by(callbacks.c.id)
        )
        with self._db.reading() as connection:
            return [News.from_row(row) for row in connection.execute(query)]

    # -- inside ----------------------------------------------------------------------------

    def _named_by(self, connection: sa.Connection, token: str) -> Attempt | None:
        query = sa.select(attempts).where(
            attempts.c.service == self._db.service, attempts.c.webhook_token == token
        )
        row = connection.execute(query).one_or_none()
        return None if row is None else Attempt.from_row(row)

    def _find(self, connection: sa.Connection, key: str) -> News | None:
        query = sa.select(callbacks).where(
            callbacks.c.service == self._db.service, callbacks.c.repeat_key == key
        )
        row = connection.execute(query).one_or_none()
        return None if row is None else News.from_row(row)

    def _act(
        self, connection: sa.Connection, attempt: Attempt | None, *, remote_id: str, status: int
    ) -> "_Verdict":
        if attempt is None:
            return _Verdict(Effect.UNKNOWN, "no attempt has this address")
        if attempt.remote_id is not None and attempt.remote_id != remote_id:
            return _Verdict(Effect.CONFLICT, f"AKOOL's id of this attempt is {attempt.remote_id}")
        if attempt.state in _UNPROVED:
            return self._prove(connection, attempt, remote_id=remote_id, status=status)
        if attempt.state is State.ACCEPTED:
            self._look_now(connection, attempt)
            return _Verdict(Effect.LOOK, "the attempt's status is to be asked for now")
        reason = f"the attempt is {attempt.state.value}"
        if attempt.remote_id is None:
            return _Verdict(Effect.CONFLICT, reason)
        return _Verdict(Effect.IGNORED, reason)

    def _prove(
        self, connection: sa.Connection, attempt: Attempt, *, remote_id: str, status: int
    ) -> "_Verdict":
        owner = connection.scalar(
            sa.select(attempts.c.id).where(
                attempts.c.service == self._db.service,
                attempts.c.kind.in_([kind.value for kind in Kind]),  # the index begins with both
                attempts.c.remote_id == remote_id,
            )
        )
        if owner is not None:
            return _Verdict(Effect.CONFLICT, f"this id belongs to attempt {owner}")
        joined = _OpenTransaction(
            engine=self._db.engine,
            service=self._db.service,
            clock=self._db.clock,
            actor=self._db.actor,
            connection=connection,
        )
        Attempts(joined).accept(
            attempt.id,
            remote_id=remote_id,
            next_look_at=self._db.clock(),
            detail=f"AKOOL id {remote_id}, proved by its callback (status {status}) to the "
            "address of this attempt",
        )
        return _Verdict(Effect.PROVED, f"the attempt was {attempt.state.value}")

    def _look_now(self, connection: sa.Connection, attempt: Attempt) -> None:
        now = self._db.clock()
        connection.execute(
            attempts.update()
            .where(
                attempts.c.id == attempt.id,
                attempts.c.state == State.ACCEPTED.value,
                attempts.c.next_look_at > now,
            )
            .values(next_look_at=now)
        )


@dataclass(frozen=True)
class _Verdict:
    effect: Effect
    reason: str


@dataclass(frozen=True, kw_only=True)
class _OpenTransaction(Database):
    """A ledger whose every step joins a transaction that is already open."""

    connection: sa.Connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        yield self.connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        yield self.connection
