"""Signs of life: Dagster may show a killed run as started for ever, the ledger does not."""

import sqlalchemy as sa

from akool_dagster.ledger.database import Database
from akool_dagster.ledger.tables import live_runs

SIGN_SECONDS = 15.0
"""How often a run shows that it lives."""

SILENT_SECONDS = 120.0
"""A run without a sign for so long is dead."""


class RunSigns:
    """Which runs are at work.

    Args:
        database: Where the signs are kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def give(self, run_id: str) -> None:
        """Shows that a run lives.

        Args:
            run_id: The Dagster run.
        """
        now = self._db.clock()
        with self._db.writing() as connection:
            known = connection.execute(
                live_runs.update().where(live_runs.c.run_id == run_id).values(seen_at=now)
            )
            if known.rowcount == 0:
                connection.execute(live_runs.insert().values(run_id=run_id, seen_at=now))

    def end(self, run_id: str) -> None:
        """Removes a run that has ended.

        Args:
            run_id: The Dagster run.
        """
        with self._db.writing() as connection:
            connection.execute(live_runs.delete().where(live_runs.c.run_id == run_id))

    def living(self) -> set[str]:
        """Finds the runs with a recent sign of life.

        Returns:
            Their ids.
        """
        since = self._db.clock() - SILENT_SECONDS
        query = sa.select(live_runs.c.run_id).where(live_runs.c.seen_at >= since)
        with self._db.reading() as connection:
            return set(connection.scalars(query))
