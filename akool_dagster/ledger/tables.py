"""The ledger's tables.

Times are seconds since 1970 UTC. Unique constraints, not look-ups before inserts, keep two
processes from doing one thing twice.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

VERSION = 1
"""Layout of the tables; a ledger of another version is refused, never guessed at."""

about = sa.Table(
    "akool_ledger",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
)

attempts = sa.Table(
    "akool_attempts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("service", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("api", sa.String(20), nullable=False),
    sa.Column("webhook_token", sa.String(64), nullable=False, unique=True),
    sa.Column("remote_id", sa.String(100)),
    sa.Column("url", sa.Text),
    sa.Column("url_expires_at", sa.Float),
    sa.Column("code", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("advice", sa.Text),
    sa.Column("try_again", sa.Boolean, nullable=False, default=False),
    sa.Column("reserved_credits", sa.Float),
    sa.Column("spent_credits", sa.Float),
    sa.Column("media_seconds", sa.Float),
    sa.Column("planned_at", sa.Float, nullable=False),
    sa.Column("reserved_at", sa.Float),
    sa.Column("sending_at", sa.Float),
    sa.Column("sender", sa.String(200)),
    sa.Column("answered_at", sa.Float),
    sa.Column("settled_at", sa.Float),
    sa.Column("looks", sa.Integer, nullable=False, default=0),
    sa.Column("next_look_at", sa.Float),
    sa.Column("unfinished_at", sa.Float),
    sa.Column("answer", sa.JSON),
    sa.Column("pay_again_at", sa.Float),
    sa.Column("pay_again_by", sa.String(200)),
    sa.UniqueConstraint("service", "kind", "content_hash", "number"),
    sa.UniqueConstraint("service", "kind", "remote_id"),
    sa.Index("akool_attempts_by_state", "service", "kind", "state", "next_look_at"),
    sa.Index("akool_attempts_by_day", "service", "reserved_at"),
)

history = sa.Table(
    "akool_history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("attempt_id", sa.ForeignKey(attempts.c.id), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("before", sa.String(10)),
    sa.Column("after", sa.String(10), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("detail", sa.Text),
)

callbacks = sa.Table(
    "akool_callbacks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("service", sa.String(100), nullable=False),
    sa.Column("repeat_key", sa.String(150), nullable=False),
    sa.Column("attempt_id", sa.ForeignKey(attempts.c.id), index=True),
    sa.Column("received_at", sa.Float, nullable=False),
    sa.Column("remote_id", sa.String(100), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("body_sha256", sa.String(64), nullable=False),
    sa.Column("effect", sa.String(10), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.UniqueConstraint("service", "repeat_key"),
)

deliveries = sa.Table(
    "akool_deliveries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("service", sa.String(100), nullable=False),
    sa.Column("script_key", sa.String(130), nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("manifest", sa.String(64), nullable=False),
    sa.Column("asked_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("attempt_id", sa.ForeignKey(attempts.c.id)),
    sa.Column("path", sa.Text),
    sa.Column("sha256", sa.String(64)),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("media_seconds", sa.Float),
    sa.Column("saved_at", sa.Float),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("next_try_at", sa.Float, nullable=False, default=0.0),
    sa.Column("problem", sa.Text),
    sa.Column("failure_shown_for", sa.ForeignKey(attempts.c.id)),
    sa.UniqueConstraint("service", "script_key", "kind", "content_hash"),
    sa.Index("akool_deliveries_by_content", "service", "kind", "content_hash"),
)

requests = sa.Table(
    "akool_requests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("attempt_id", sa.ForeignKey(attempts.c.id), nullable=False),
    sa.Column("script_key", sa.String(130), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.UniqueConstraint("attempt_id", "script_key"),
    sa.Index("akool_requests_by_run", "run_id"),
)

samples = sa.Table(
    "akool_samples",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("service", sa.String(100), nullable=False),
    sa.Column("url_sha256", sa.String(64), nullable=False),
    sa.Column("link", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.UniqueConstraint("service", "url_sha256"),
)

account_stops = sa.Table(
    "akool_account_stops",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("service", sa.String(100), nullable=False),
    sa.Column("stopped_at", sa.Float, nullable=False),
    sa.Column("code", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("advice", sa.Text),
    sa.Column("next_probe_at", sa.Float, nullable=False),
    sa.Column("reopened_at", sa.Float),
    sa.Index("akool_account_stops_open", "service", "reopened_at"),
)

failed_runs = sa.Table(
    "akool_failed_runs",
    metadata,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("marked_at", sa.Float, nullable=False),
)

live_runs = sa.Table(
    "akool_live_runs",
    metadata,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False),
)

learned_limits = sa.Table(
    "akool_learned_limits",
    metadata,
    sa.Column("service", sa.String(100), primary_key=True),
    sa.Column("videos", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
)
