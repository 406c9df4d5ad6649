"""How long AKOOL has worked on jobs of late, those that it still works on included.

The end of a job lies between the last look that found it unfinished and the first that found it
finished; a callback tells it to the second.
"""

import math
from dataclasses import dataclass

import sqlalchemy as sa

from akool_dagster.ledger.database import Database
from akool_dagster.ledger.states import Kind, State
from akool_dagster.ledger.tables import attempts, callbacks

_TAKEN = (State.ACCEPTED, State.COMPLETED, State.SAVED, State.EXPIRED)
_MOST_READ = 20_000
_FIRST_FINAL = 3  # AKOOL's number for "completed"; 4 is "failed"


@dataclass(frozen=True, kw_only=True)
class RenderTime:
    """How long AKOOL has worked on one job.

    Attributes:
        least_seconds: It worked at least so long, for all that is known.
        most_seconds: It worked no longer; infinite for a job that is not known to be over.
        media_seconds: Length of the speech that it works on, when known.
        called_back: Whether AKOOL has called back about it.
    """

    least_seconds: float
    most_seconds: float
    media_seconds: float | None
    called_back: bool

    @property
    def is_over(self) -> bool:
        """Whether it has finished."""
        return self.most_seconds < math.inf


class RenderTimes:
    """The render times of one service.

    Args:
        database: Where the attempts are kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def latest(self, kind: Kind, *, finished: int) -> list[RenderTime]:
        """Reads the jobs that were accepted last, until so many finished ones are among them.

        Those under way count as well: of jobs that began together the quick ones finish first,
        and would make AKOOL look quicker than it is. Failed jobs are left out.

        Args:
            kind: What is made.
            finished: How many finished ones.

        Returns:
            The times, the job that was opened last first.
        """
        found: list[RenderTime] = []
        with self._db.reading() as connection:
            for row in connection.execute(self._query(kind)):
                found.append(_from_row(row))
                finished -= found[-1].is_over
                if finished <= 0:
                    break
        return found

    def _query(self, kind: Kind) -> sa.Select:
        called_back_at = (
            sa.select(sa.func.min(callbacks.c.received_at))
            .where(callbacks.c.attempt_id == attempts.c.id, callbacks.c.status >= _FIRST_FINAL)
            .scalar_subquery()
        )
        return (
            sa.select(
                attempts.c.answered_at,
                attempts.c.settled_at,
                attempts.c.media_seconds,
                attempts.c.unfinished_at,
                called_back_at.label("called_back_at"),
            )
            .where(
                attempts.c.service == self._db.service,
                attempts.c.kind == kind.value,
                attempts.c.state.in_([state.value for state in _TAKEN]),
                attempts.c.answered_at.is_not(None),
            )
            .order_by(attempts.c.id.desc())
            .limit(_MOST_READ)
        )


def _from_row(row: sa.Row) -> RenderTime:
    began = row.answered_at
    most, least = math.inf, (row.unfinished_at or began) - began
    if row.settled_at is not None:
        most = (row.called_back_at or row.settled_at) - began
        least = most if row.called_back_at is not None else least
    return RenderTime(
        least_seconds=max(0.0, min(least, most)),
        most_seconds=max(0.0, most),
        media_seconds=row.media_seconds,
        called_back=row.called_back_at is not None,
    )
