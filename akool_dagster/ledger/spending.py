"""What was reserved and spent: per day, per manifest, and per second of media."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timezone

import sqlalchemy as sa

from akool_dagster.ledger.database import Database
from akool_dagster.ledger.states import Kind, State
from akool_dagster.ledger.tables import attempts, requests

OWN_AVATARS = "own avatars"
"""Stands among the manifests for what belongs to none; no manifest can have this name."""


@dataclass(frozen=True, kw_only=True)
class Spend:
    """Credits of some paid creates.

    Attributes:
        creates: How many creates were sent.
        estimated: Reserved before they were sent; refused ones are not counted.
        spent: What AKOOL says it took, of those that it told.
        open: Reserved for creates whose price AKOOL has not told yet, those in doubt included.
        in_doubt: The part of ``open`` that may have been charged without an answer.
    """

    creates: int
    estimated: float
    spent: float
    open: float
    in_doubt: float


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What AKOOL took for finished media, from this ledger's own history.

    Attributes:
        samples: How many creates it rests on.
        credits_per_second: Mean price of a second.
        seconds_per_second: Mean seconds that AKOOL worked for a second of media.
    """

    samples: int
    credits_per_second: float
    seconds_per_second: float


class Spending:
    """The money of one service.

    Args:
        database: Where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def by_day(self) -> dict[date, Spend]:
        """Adds up per UTC day of the reservation.

        Returns:
            Spend by day, oldest first.
        """
        lines: dict[date, list[sa.Row]] = defaultdict(list)
        with self._db.reading() as connection:
            for row in connection.execute(self._sent().order_by(attempts.c.reserved_at)):
                day = datetime.fromtimestamp(row.reserved_at, tz=timezone.utc).date()
                lines[day].append(row)
        return {day: _add_up(rows) for day, rows in lines.items()}

    def by_manifest(self) -> dict[str, Spend]:
        """Adds up per manifest; what several share counts for the one that asked first.

        Uploads of avatars count under :data:`OWN_AVATARS`.

        Returns:
            Spend by manifest, in alphabetical order.
        """
        first = (
            sa.select(requests.c.attempt_id, sa.func.min(requests.c.id).label("id"))
            .group_by(requests.c.attempt_id)
            .subquery()
        )
        query = (
            self._sent()
            .add_columns(requests.c.script_key)
            .join(first, first.c.attempt_id == attempts.c.id)
            .join(requests, requests.c.id == first.c.id)
        )
        lines: dict[str, list[sa.Row]] = defaultdict(list)
        with self._db.reading() as connection:
            for row in connection.execute(query):
                name, is_script, _ = row.script_key.partition(".")
                lines[name if is_script else OWN_AVATARS].append(row)
        return {name: _add_up(lines[name]) for name in sorted(lines)}

    def rate(self, kind: Kind) -> Rate | None:
        """Learns what a second of media costs.

        Args:
            kind: Voice or video.

        Returns:
            The rate, None while nothing was paid for yet.
        """
        query = sa.select(
            sa.func.count(),
            sa.func.sum(attempts.c.spent_credits),
            sa.func.sum(attempts.c.media_seconds),
            sa.func.sum(attempts.c.settled_at - attempts.c.answered_at),
        ).where(
            attempts.c.service == self._db.service,
            attempts.c.kind == kind.value,
            attempts.c.state.in_([State.COMPLETED.value, State.SAVED.value]),
            attempts.c.spent_credits.is_not(None),
            attempts.c.media_seconds > 0,
        )
        with self._db.reading() as connection:
            samples, spent, seconds, worked = connection.execute(query).one()
        if not samples:
            return None
        return Rate(
            samples=samples,
            credits_per_second=spent / seconds,
            seconds_per_second=(worked or 0.0) / seconds,
        )

    def dearest(self, kind: Kind) -> float | None:
        """Finds the most that AKOOL took for one create of a kind.

        Args:
            kind: For what.

        Returns:
            Credits, None while AKOOL has not told any.
        """
        query = sa.select(sa.func.max(attempts.c.spent_credits)).where(
            attempts.c.service == self._db.service, attempts.c.kind == kind.value
        )
        with self._db.reading() as connection:
            return connection.scalar(query)

    def _sent(self) -> sa.Select:
        return sa.select(
            attempts.c.state,
            attempts.c.reserved_at,
            attempts.c.reserved_credits,
            attempts.c.spent_credits,
        ).where(
            attempts.c.service == self._db.service,
            attempts.c.reserved_at.is_not(None),
            attempts.c.state != State.REFUSED.value,
        )


def _add_up(rows: Iterable[sa.Row]) -> Spend:
    rows = list(rows)
    untold = [row for row in rows if row.spent_credits is None]
    return Spend(
        creates=len(rows),
        estimated=sum(row.reserved_credits or 0.0 for row in rows),
        spent=sum(row.spent_credits or 0.0 for row in rows),
        open=sum(row.reserved_credits or 0.0 for row in untold),
        in_doubt=sum(
            row.reserved_credits or 0.0 for row in untold if row.state == State.IN_DOUBT.value
        ),
    )
