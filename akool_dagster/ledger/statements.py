"""The statements that every paid create passes through, built once.

SQLAlchemy spends more time on building and naming a statement than SQLite on running it; a
statement that is kept is named once. The parameters of each are its bound names.
"""

import sqlalchemy as sa

from akool_dagster.ledger.states import AT_AKOOL, Kind, State
from akool_dagster.ledger.tables import account_stops, attempts, deliveries, history, requests

_ours = attempts.c.service == sa.bindparam("service")

ATTEMPT = sa.select(attempts).where(attempts.c.id == sa.bindparam("attempt_id"))
"""One attempt, by ``attempt_id``."""

NEWEST_ATTEMPT = (
    sa.select(attempts)
    .where(
        _ours,
        attempts.c.kind == sa.bindparam("kind"),
        attempts.c.content_hash == sa.bindparam("content_hash"),
    )
    .order_by(attempts.c.number.desc())
    .limit(1)
)
"""The newest attempt for a content, by ``service``, ``kind`` and ``content_hash``."""

OPENED_SINCE = sa.select(sa.func.count()).where(
    _ours,
    attempts.c.kind == sa.bindparam("kind"),
    attempts.c.content_hash == sa.bindparam("content_hash"),
    attempts.c.planned_at >= sa.bindparam("since"),
)
"""Number of attempts for a content, by ``service``, ``kind``, ``content_hash`` and ``since``."""

SENDING = sa.select(attempts).where(_ours, attempts.c.state == State.SENDING.value)
"""The attempts on their way, by ``service``."""

DUE = (
    sa.select(attempts)
    .where(
        _ours,
        attempts.c.kind == sa.bindparam("kind"),
        attempts.c.state == State.ACCEPTED.value,
        attempts.c.next_look_at <= sa.bindparam("now"),
    )
    .order_by(attempts.c.next_look_at)
    .limit(sa.bindparam("most"))
)
"""Accepted attempts to be looked at, by ``service``, ``kind``, ``now`` and ``most``."""

IN_FLIGHT = sa.select(sa.func.count()).where(
    _ours,
    attempts.c.kind == Kind.VIDEO.value,
    sa.or_(
        attempts.c.state.in_(sorted(state.value for state in AT_AKOOL)),
        # A process that died between reserving and sending must not hold its slot for ever.
        sa.and_(
            attempts.c.state == State.RESERVED.value,
            attempts.c.reserved_at > sa.bindparam("reserved_since"),
        ),
        sa.and_(
            attempts.c.state == State.IN_DOUBT.value,
            attempts.c.sending_at > sa.bindparam("doubted_since"),
        ),
    ),
)
"""Videos that hold a slot, by ``service``, ``reserved_since`` and ``doubted_since``."""

SPENT_SINCE = sa.select(
    sa.func.coalesce(
        sa.func.sum(sa.func.coalesce(attempts.c.spent_credits, attempts.c.reserved_credits, 0.0)),
        0.0,
    )
).where(
    _ours,
    attempts.c.reserved_at >= sa.bindparam("since"),
    attempts.c.state != State.REFUSED.value,
)
"""Credits spent where AKOOL told, reserved where not, by ``service`` and ``since``."""

OPEN_ATTEMPT = attempts.insert().returning(attempts)
"""Inserts an attempt."""

MOVE = (
    attempts.update()
    .where(attempts.c.id == sa.bindparam("which"), attempts.c.state == sa.bindparam("was"))
    .returning(attempts)
)
"""Changes an attempt that is still in the state ``was``, by ``which``; the rest are values."""

CLAIM_LOOK = (
    attempts.update()
    .where(
        attempts.c.id == sa.bindparam("which"),
        attempts.c.state == State.ACCEPTED.value,
        attempts.c.next_look_at == sa.bindparam("was_due_at"),
        attempts.c.looks == sa.bindparam("had_looks"),
    )
    .values(
        next_look_at=sa.bindparam("due_at"),
        looks=attempts.c.looks + 1,
        unfinished_at=sa.bindparam("looked_at"),
    )
)
"""Takes the turn to look, by ``which``, ``was_due_at`` and ``had_looks``; sets ``due_at`` and
``looked_at``."""

WRITE_HISTORY = history.insert()
"""Inserts a line of history."""

OPEN_STOP = (
    sa.select(account_stops)
    .where(
        account_stops.c.service == sa.bindparam("service"),
        account_stops.c.reopened_at.is_(None),
    )
    .order_by(account_stops.c.id)
    .limit(1)
)
"""The account's stop in force, by ``service``."""

DELIVERY = sa.select(deliveries).where(
    deliveries.c.service == sa.bindparam("service"),
    deliveries.c.kind == sa.bindparam("kind"),
    deliveries.c.script_key == sa.bindparam("script_key"),
    deliveries.c.content_hash == sa.bindparam("content_hash"),
)
"""A row's line, by ``service``, ``kind``, ``script_key`` and ``content_hash``."""

ASK = deliveries.insert().returning(deliveries)
"""Inserts a row's line."""

REQUEST = sa.select(requests.c.id).where(
    requests.c.attempt_id == sa.bindparam("attempt_id"),
    requests.c.script_key == sa.bindparam("script_key"),
)
"""The note that an attempt serves a row, by ``attempt_id`` and ``script_key``."""

NOTE_REQUEST = requests.insert()
"""Inserts such a note."""
