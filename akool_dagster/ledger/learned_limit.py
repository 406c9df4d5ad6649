"""How many videos the account may have in work at once, learned from AKOOL's refusals.

AKOOL publishes no number. Each "too frequent" lowers the limit to what was in work at that moment,
each accepted create raises it a little (additive increase, multiplicative decrease), for all
processes on one ledger.
"""

import sqlalchemy as sa

from akool_dagster.ledger.tables import learned_limits

STEP = 0.1
"""Videos by which each accepted create raises the limit."""


def learned_limit(connection: sa.Connection, *, service: str) -> float | None:
    """Reads the limit.

    Args:
        connection: A transaction of the ledger.
        service: Whose limit.

    Returns:
        The limit, None while AKOOL has refused nothing.
    """
    return connection.scalar(
        sa.select(learned_limits.c.videos).where(learned_limits.c.service == service)
    )


def lower_limit(connection: sa.Connection, *, service: str, in_work: int, now: float) -> None:
    """Lowers the limit after a refusal.

    Args:
        connection: A writing transaction of the ledger.
        service: Whose limit.
        in_work: Videos in work beside the refused one.
        now: The time.
    """
    limit = float(max(1, in_work))
    changed = connection.execute(
        learned_limits.update()
        .where(learned_limits.c.service == service)
        .values(videos=limit, changed_at=now)
    )
    if changed.rowcount == 0:
        connection.execute(
            learned_limits.insert().values(service=service, videos=limit, changed_at=now)
        )


def raise_limit(connection: sa.Connection, *, service: str, now: float) -> None:
    """Raises the limit a little after an accepted create; without a limit nothing happens.

    Args:
        connection: A writing transaction of the ledger.
        service: Whose limit.
        now: The time.
    """
    connection.execute(
        learned_limits.update()
        .where(learned_limits.c.service == service)
        .values(videos=learned_limits.c.videos + STEP, changed_at=now)
    )
