"""The ledger: what was asked of AKOOL, what came of it, and where the files are.

Every paid create is an :class:`Attempt`. Its intent is durable before the request leaves and
AKOOL's id is durable before anything else happens, so a run, a backfill or a sensor may be
repeated freely.
"""

import time
from collections.abc import Callable
from types import TracebackType

from akool_dagster.ledger.account import Account
from akool_dagster.ledger.attempts import Attempts, Hold, Limits
from akool_dagster.ledger.callbacks import Callbacks, Effect, News, Receipt
from akool_dagster.ledger.changes import Changes, Mark
from akool_dagster.ledger.database import Database, LedgerError, open_engine, process_name
from akool_dagster.ledger.deliveries import Deliveries, RunFailure, Waiting
from akool_dagster.ledger.records import AccountStop, Attempt, Delivery, Event
from akool_dagster.ledger.render_times import RenderTime, RenderTimes
from akool_dagster.ledger.run_signs import SIGN_SECONDS, RunSigns
from akool_dagster.ledger.samples import KnownSample, Samples
from akool_dagster.ledger.spending import Rate, Spend, Spending
from akool_dagster.ledger.states import Kind, State

__all__ = [
    "SIGN_SECONDS",
    "Account",
    "AccountStop",
    "Attempt",
    "Attempts",
    "Callbacks",
    "Changes",
    "Deliveries",
    "Delivery",
    "Effect",
    "Event",
    "Hold",
    "Kind",
    "KnownSample",
    "Ledger",
    "LedgerError",
    "Limits",
    "Mark",
    "News",
    "Rate",
    "Receipt",
    "RenderTime",
    "RenderTimes",
    "RunFailure",
    "RunSigns",
    "Samples",
    "Spend",
    "Spending",
    "State",
    "Waiting",
    "process_name",
]


class Ledger:
    """One service's view of a ledger database.

    Args:
        database: The open database.

    Attributes:
        attempts: The paid creates.
        callbacks: What AKOOL told unasked.
        changes: What has happened since somebody last looked.
        deliveries: The rows' files.
        account: Whether the account may be used.
        render_times: How long AKOOL works on its jobs.
        run_signs: Which runs are at work.
        samples: The files behind links to voice samples.
        spending: What was reserved and spent.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.attempts = Attempts(database)
        self.callbacks = Callbacks(database)
        self.changes = Changes(database)
        self.deliveries = Deliveries(database)
        self.account = Account(database)
        self.render_times = RenderTimes(database)
        self.run_signs = RunSigns(database)
        self.samples = Samples(database)
        self.spending = Spending(database)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        service: str,
        clock: Callable[[], float] = time.time,
        actor: str | None = None,
    ) -> "Ledger":
        """Opens a ledger, making its tables when they are missing.

        Args:
            url: SQLAlchemy URL, SQLite or PostgreSQL.
            service: Whose entries are seen, see ``Settings.service``.
            clock: Gives the time in seconds since 1970 UTC.
            actor: Who writes; this process by default.

        Returns:
            The ledger.

        Raises:
            LedgerError: It cannot be opened.
        """
        return cls(
            Database(
                engine=open_engine(url),
                service=service,
                clock=clock,
                actor=actor or process_name(),
            )
        )

    def close(self) -> None:
        """Closes the connections."""
        self._database.engine.dispose()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
