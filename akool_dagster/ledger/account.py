"""The account's stop: AKOOL refuses the account itself, so nothing more is sent."""

import sqlalchemy as sa

from akool_dagster.ledger import statements
from akool_dagster.ledger.database import Database
from akool_dagster.ledger.records import AccountStop
from akool_dagster.ledger.tables import account_stops

PROBE_SECONDS = 60.0
"""Pause between two balance calls that try to reopen a stopped account."""


class Account:
    """Whether this service's account may be used at the moment.

    Args:
        database: Where the stops are kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def open_stop(self) -> AccountStop | None:
        """Reads the stop that is in force.

        Returns:
            The stop, or None when the account may be used.
        """
        with self._db.reading() as connection:
            return self._open_stop(connection)

    def stop(self, *, code: int | None, reason: str, advice: str | None) -> AccountStop:
        """Stops all sending, once; further refusals add nothing.

        Args:
            code: AKOOL's code.
            reason: AKOOL's words.
            advice: What a person must do.

        Returns:
            The stop in force.
        """
        with self._db.writing() as connection:
            known = self._open_stop(connection)
            if known is not None:
                return known
            now = self._db.clock()
            connection.execute(
                account_stops.insert().values(
                    service=self._db.service,
                    stopped_at=now,
                    code=code,
                    reason=reason,
                    advice=advice,
                    next_probe_at=now + PROBE_SECONDS,
                )
            )
            added = self._open_stop(connection)
        assert added is not None  # noqa: S101 - inserted in this very transaction
        return added

    def claim_probe(self, stop: AccountStop) -> bool:
        """Claims the right to ask for the balance now.

        Args:
            stop: The stop, as the caller saw it.

        Returns:
            True for one caller per :data:`PROBE_SECONDS`.
        """
        now = self._db.clock()
        if now < stop.next_probe_at:
            return False
        claim = (
            account_stops.update()
            .where(
                account_stops.c.id == stop.id,
                account_stops.c.next_probe_at == stop.next_probe_at,
                account_stops.c.reopened_at.is_(None),
            )
            .values(next_probe_at=now + PROBE_SECONDS)
        )
        with self._db.writing() as connection:
            return connection.execute(claim).rowcount == 1

    def reopen(self, stop: AccountStop) -> None:
        """Ends a stop.

        Args:
            stop: The stop.
        """
        with self._db.writing() as connection:
            connection.execute(
                account_stops.update()
                .where(account_stops.c.id == stop.id)
                .values(reopened_at=self._db.clock())
            )

    def _open_stop(self, connection: sa.Connection) -> AccountStop | None:
        ours = {"service": self._db.service}
        row = connection.execute(statements.OPEN_STOP, ours).one_or_none()
        if row is None:
            return None
        return AccountStop(
            id=row.id,
            stopped_at=row.stopped_at,
            code=row.code,
            reason=row.reason,
            advice=row.advice,
            next_probe_at=row.next_probe_at,
        )
