"""What has happened in the ledger since somebody last looked: one cheap question for all rows."""

from dataclasses import dataclass

import sqlalchemy as sa

from akool_dagster.ledger.database import Database
from akool_dagster.ledger.states import State
from akool_dagster.ledger.tables import attempts, callbacks, history

# Built once: a statement that is kept is compiled once.
_NEWEST = sa.select(
    sa.select(sa.func.coalesce(sa.func.max(history.c.id), 0)).scalar_subquery().label("history"),
    sa.select(sa.func.coalesce(sa.func.max(callbacks.c.id), 0))
    .scalar_subquery()
    .label("callbacks"),
)
_SETTLED = (
    sa.select(history.c.attempt_id)
    .join(attempts, attempts.c.id == history.c.attempt_id)
    .where(
        history.c.id > sa.bindparam("seen_history"),
        history.c.id <= sa.bindparam("history"),
        history.c.before == State.ACCEPTED.value,
        history.c.after != State.ACCEPTED.value,
        attempts.c.service == sa.bindparam("service"),
    )
)
_CALLED_BACK = sa.select(callbacks.c.attempt_id).where(
    callbacks.c.id > sa.bindparam("seen_callbacks"),
    callbacks.c.id <= sa.bindparam("callbacks"),
    callbacks.c.service == sa.bindparam("service"),
    callbacks.c.attempt_id.is_not(None),
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How far somebody has read.

    Attributes:
        history: The last line of the table ``akool_history``.
        callbacks: The last line of the table ``akool_callbacks``.
    """

    history: int
    callbacks: int


class Changes:
    """The changes to the attempts of one service, whichever process made them.

    All writers of a ledger take turns, so that its lines become visible in the order of their
    numbers and none appears before a mark that was already read.

    Args:
        database: Where the attempts are kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def mark(self) -> Mark:
        """Tells how far the ledger has come.

        Returns:
            The mark from which on to read.
        """
        with self._db.reading() as connection:
            return _newest(connection)

    def since(self, mark: Mark) -> tuple[frozenset[int], Mark]:
        """Finds the attempts that AKOOL has settled or called back about since a mark.

        Args:
            mark: From an earlier call.

        Returns:
            The attempts' numbers in the ledger, and the mark from which on to read next.
        """
        with self._db.reading() as connection:
            newest = _newest(connection)
            if newest == mark:
                return frozenset(), mark
            span = {
                "service": self._db.service,
                "seen_history": mark.history,
                "seen_callbacks": mark.callbacks,
                "history": newest.history,
                "callbacks": newest.callbacks,
            }
            changed = [*connection.scalars(_SETTLED, span), *connection.scalars(_CALLED_BACK, span)]
        return frozenset(changed), newest


def _newest(connection: sa.Connection) -> Mark:
    row = connection.execute(_NEWEST).one()
    return Mark(history=row.history, callbacks=row.callbacks)
