"""Deliveries: which content each script row wants, who asked for it, and where its file is."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from akool_dagster.ledger import statements
from akool_dagster.ledger.database import Database
from akool_dagster.ledger.records import Attempt, Delivery
from akool_dagster.ledger.states import Kind, State
from akool_dagster.ledger.tables import attempts, deliveries, failed_runs, requests

_CHUNK = 500
_MARKED_FOR = (Kind.VIDEO.value, Kind.AVATAR.value)
_ENDED = (State.REFUSED, State.FAILED, State.SAVED, State.EXPIRED, State.COMPLETED, State.IN_DOUBT)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A row whose video AKOOL has settled, and Dagster does not show it yet.

    Attributes:
        delivery: The row's own line.
        attempt: The newest attempt for its content: completed, saved or failed.
    """

    delivery: Delivery
    attempt: Attempt


@dataclass(frozen=True, kw_only=True)
class RunFailure:
    """A run that asked for videos, or for own avatars, some of which AKOOL failed.

    Attributes:
        run_id: The Dagster run; all that it asked for is settled.
        failures: Script key, or ``avatar_id``, and failed attempt, in order of the keys.
        asked_for: How many videos or avatars the run asked for.
    """

    run_id: str
    failures: tuple[tuple[str, Attempt], ...]
    asked_for: int


class Deliveries:
    """The deliveries of one service.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def ask(self, *, script_key: str, kind: Kind, content_hash: str) -> Delivery:
        """Notes that a row wants a content, once.

        Args:
            script_key: The row.
            kind: Voice or video.
            content_hash: Which content.

        Returns:
            The row's line, old or new.
        """
        known = self.find(script_key=script_key, kind=kind, content_hash=content_hash)
        if known is not None:
            return known
        with self._db.writing() as connection:
            known = self._find(connection, script_key, kind, content_hash)
            if known is not None:
                return known
            now = self._db.clock()
            asked = {
                "service": self._db.service,
                "script_key": script_key,
                "manifest": script_key.partition(".")[0],
                "kind": kind.value,
                "content_hash": content_hash,
                "asked_at": now,
                "changed_at": now,
            }
            return Delivery.from_row(connection.execute(statements.ASK, asked).one())

    def find(self, *, script_key: str, kind: Kind, content_hash: str) -> Delivery | None:
        """Reads a row's line.

        Args:
            script_key: The row.
            kind: Voice or video.
            content_hash: Which content.

        Returns:
            The line, or None when the row never asked for it.
        """
        with self._db.reading() as connection:
            return self._find(connection, script_key, kind, content_hash)

    def find_many(self, *, kind: Kind, content_by_key: dict[str, str]) -> dict[str, Delivery]:
        """Reads the lines of many rows.

        Args:
            kind: Voice or video.
            content_by_key: Wanted content hash by script key.

        Returns:
            Line by script key; rows without one are left out.
        """
        keys = list(content_by_key)
        found: dict[str, Delivery] = {}
        with self._db.reading() as connection:
            for start in range(0, len(keys), _CHUNK):
                query = self._mine(kind).where(
                    deliveries.c.script_key.in_(keys[start : start + _CHUNK])
                )
                for row in connection.execute(query):
                    if content_by_key[row.script_key] == row.content_hash:
                        found[row.script_key] = Delivery.from_row(row)
        return found

    def keys_with_other_content(self, *, kind: Kind, content_by_key: dict[str, str]) -> set[str]:
        """Finds the rows that wanted another content before.

        Args:
            kind: Voice or video.
            content_by_key: Wanted content hash by script key.

        Returns:
            Their keys.
        """
        keys = list(content_by_key)
        found: set[str] = set()
        columns = (deliveries.c.script_key, deliveries.c.content_hash)
        with self._db.reading() as connection:
            for start in range(0, len(keys), _CHUNK):
                query = (
                    self._mine(kind)
                    .where(deliveries.c.script_key.in_(keys[start : start + _CHUNK]))
                    .with_only_columns(*columns)
                )
                for row in connection.execute(query):
                    if content_by_key[row.script_key] != row.content_hash:
                        found.add(row.script_key)
        return found

    def keys_of(self, manifest: str) -> set[str]:
        """Finds the rows of a manifest that ever asked for anything.

        Args:
            manifest: Its name.

        Returns:
            Their keys.
        """
        query = sa.select(deliveries.c.script_key).where(
            deliveries.c.service == self._db.service,
            deliveries.c.manifest == manifest,
            deliveries.c.kind.in_([Kind.VOICE.value, Kind.VIDEO.value]),
        )
        with self._db.reading() as connection:
            return set(connection.scalars(query.distinct()))

    def videos_here(self, manifest: str) -> dict[str, str]:
        """Finds the videos of a manifest that AKOOL made and that are on our storage.

        Args:
            manifest: Its name.

        Returns:
            Content hash by script key. Of a row with two such contents one is named.
        """
        query = (
            sa.select(deliveries.c.script_key, deliveries.c.content_hash)
            # No state follows "saved": such an attempt is the newest one for its content.
            .join(
                attempts,
                sa.and_(
                    attempts.c.id == deliveries.c.attempt_id,
                    attempts.c.content_hash == deliveries.c.content_hash,
                    attempts.c.state == State.SAVED.value,
                    attempts.c.pay_again_at.is_(None),
                ),
            )
            .where(
                deliveries.c.service == self._db.service,
                deliveries.c.manifest == manifest,
                deliveries.c.kind == Kind.VIDEO.value,
                deliveries.c.saved_at.is_not(None),
            )
        )
        with self._db.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def of_content(self, *, kind: Kind, content_hash: str) -> list[Delivery]:
        """Reads the lines of all rows that want one content.

        Args:
            kind: Voice or video.
            content_hash: Which content.

        Returns:
            The lines, oldest first.
        """
        query = self._mine(kind).where(deliveries.c.content_hash == content_hash)
        with self._db.reading() as connection:
            return [
                Delivery.from_row(row)
                for row in connection.execute(query.order_by(deliveries.c.id))
            ]

    def of_key(self, *, kind: Kind, script_key: str) -> list[Delivery]:
        """Reads all that one row, or one own avatar, ever asked for.

        Args:
            kind: Of what.
            script_key: The row, or the ``avatar_id``.

        Returns:
            The lines, oldest first.
        """
        query = self._mine(kind).where(deliveries.c.script_key == script_key)
        with self._db.reading() as connection:
            return [
                Delivery.from_row(row)
                for row in connection.execute(query.order_by(deliveries.c.id))
            ]

    def requested(self, *, attempt_id: int, script_key: str, run_id: str) -> None:
        """Notes that an attempt serves a row of a run.

        Args:
            attempt_id: The attempt.
            script_key: The row.
            run_id: The Dagster run that asked.
        """
        with self._db.writing() as connection:
            note = {"attempt_id": attempt_id, "script_key": script_key}
            if connection.scalar(statements.REQUEST, note) is None:
                note.update(run_id=run_id, at=self._db.clock())
                connection.execute(statements.NOTE_REQUEST, note)

    def saved(
        self,
        delivery_id: int,
        *,
        attempt_id: int | None,
        path: str,
        sha256: str,
        size_bytes: int,
        media_seconds: float,
    ) -> None:
        """Notes that a row's file is installed.

        What the row wanted before, and had in the same place, is from now on not saved any more.

        Args:
            delivery_id: The row's line.
            attempt_id: The attempt that it came from, None for a link that the row gave.
            path: Where, relative to the data root.
            sha256: Hash of the file.
            size_bytes: Its size.
            media_seconds: Its measured length.
        """
        now = self._db.clock()
        with self._db.writing() as connection:
            connection.execute(
                deliveries.update()
                .where(
                    deliveries.c.service == self._db.service,
                    deliveries.c.script_key
                    == sa.select(deliveries.c.script_key)
                    .where(deliveries.c.id == delivery_id)
                    .scalar_subquery(),
                    deliveries.c.path == path,
                    deliveries.c.id != delivery_id,
                )
                .values(saved_at=None, changed_at=now)
            )
            connection.execute(
                deliveries.update()
                .where(deliveries.c.id == delivery_id)
                .values(
                    attempt_id=attempt_id,
                    path=path,
                    sha256=sha256,
                    size_bytes=size_bytes,
                    media_seconds=media_seconds,
                    saved_at=now,
                    changed_at=now,
                    problem=None,
                )
            )

    def served(self, delivery_id: int, *, attempt_id: int) -> None:
        """Notes that what AKOOL made and keeps is in use: a cloned voice, or an avatar.

        Args:
            delivery_id: The line of the row for the clone, or that of the avatar.
            attempt_id: The attempt that made it.
        """
        self._update(delivery_id, attempt_id=attempt_id, saved_at=self._db.clock())

    def not_saved(self, delivery_id: int, *, problem: str) -> None:
        """Notes that saving was tried in vain.

        Args:
            delivery_id: The row's line.
            problem: Why.
        """
        self._update(delivery_id, tries=deliveries.c.tries + 1, problem=problem)

    def not_before(self, delivery_ids: Iterable[int], *, next_try_at: float) -> None:
        """Keeps a sensor from handing rows over again before a time.

        Args:
            delivery_ids: The rows' lines.
            next_try_at: The time.
        """
        wanted = list(delivery_ids)
        with self._db.writing() as connection:
            for start in range(0, len(wanted), _CHUNK):
                connection.execute(
                    deliveries.update()
                    .where(deliveries.c.id.in_(wanted[start : start + _CHUNK]))
                    .values(next_try_at=next_try_at)
                )

    def failure_shown(self, delivery_id: int, *, attempt_id: int) -> None:
        """Notes that a run has shown a failed attempt as this row's failure.

        Args:
            delivery_id: The row's line.
            attempt_id: The failed attempt.
        """
        self._update(delivery_id, failure_shown_for=attempt_id)

    def waiting(self, *, now: float, limit: int = 10_000, kind: Kind = Kind.VIDEO) -> list[Waiting]:
        """Finds the rows whose video is settled at AKOOL and not yet shown by Dagster.

        Args:
            now: The time; rows with a later ``next_try_at`` are left out.
            limit: At most so many rows.
            kind: Videos, or own avatars.

        Returns:
            The rows, those whose link dies first before the others.
        """
        a, d = attempts, deliveries
        newer = attempts.alias("newer")
        is_newest = ~sa.exists().where(
            newer.c.service == a.c.service,
            newer.c.kind == a.c.kind,
            newer.c.content_hash == a.c.content_hash,
            newer.c.number > a.c.number,
        )
        to_save = sa.and_(
            a.c.state.in_([State.COMPLETED.value, State.SAVED.value]),
            sa.or_(d.c.saved_at.is_(None), d.c.attempt_id != a.c.id),
        )
        to_show = sa.and_(
            a.c.state == State.FAILED.value,
            sa.or_(d.c.failure_shown_for.is_(None), d.c.failure_shown_for != a.c.id),
        )
        query = (
            sa.select(d.c.id.label("delivery"), a.c.id.label("attempt"))
            .join(
                a,
                sa.and_(
                    a.c.service == d.c.service,
                    a.c.kind == d.c.kind,
                    a.c.content_hash == d.c.content_hash,
                ),
            )
            .where(d.c.service == self._db.service, d.c.kind == kind.value)
            .where(is_newest, sa.or_(to_save, to_show), d.c.next_try_at <= now)
            # A file that gave its place to a newer content of its row is seldom wanted again.
            .order_by(
                sa.case((sa.and_(d.c.saved_at.is_(None), d.c.path.is_not(None)), 1), else_=0),
                sa.func.coalesce(a.c.url_expires_at, 0.0),
                d.c.id,
            )
            .limit(limit)
        )
        with self._db.reading() as connection:
            pairs = connection.execute(query).all()
            rows = self._by_id(connection, [pair.delivery for pair in pairs])
            tries = _attempts_by_id(connection, [pair.attempt for pair in pairs])
        return [
            Waiting(delivery=rows[pair.delivery], attempt=tries[pair.attempt]) for pair in pairs
        ]

    def last_changes(self) -> dict[str, float]:
        """Tells when something last changed about the files of each manifest.

        Returns:
            Time by manifest.
        """
        query = (
            sa.select(deliveries.c.manifest, sa.func.max(deliveries.c.changed_at).label("at"))
            .where(
                deliveries.c.service == self._db.service,
                deliveries.c.kind != Kind.AVATAR.value,  # belongs to no manifest
            )
            .group_by(deliveries.c.manifest)
        )
        with self._db.reading() as connection:
            return {row.manifest: row.at for row in connection.execute(query)}

    def runs_to_fail(self) -> list[RunFailure]:
        """Finds the runs whose videos, or own avatars, are all settled, with a failure not marked.

        Returns:
            One entry per run.
        """
        suspects = (
            sa.select(requests.c.run_id)
            .join(attempts, attempts.c.id == requests.c.attempt_id)
            .where(
                attempts.c.service == self._db.service,
                attempts.c.kind.in_(_MARKED_FOR),
                attempts.c.state == State.FAILED.value,
                requests.c.run_id.not_in(sa.select(failed_runs.c.run_id)),
            )
            .distinct()
        )
        query = (
            sa.select(requests.c.run_id, requests.c.script_key, requests.c.attempt_id)
            .join(attempts, attempts.c.id == requests.c.attempt_id)
            .where(requests.c.run_id.in_(suspects), attempts.c.kind.in_(_MARKED_FOR))
            .order_by(requests.c.run_id, requests.c.script_key)
        )
        with self._db.reading() as connection:
            rows = connection.execute(query).all()
            served = _attempts_by_id(connection, [row.attempt_id for row in rows])
        by_run: dict[str, list[tuple[str, Attempt]]] = {}
        for row in rows:
            by_run.setdefault(row.run_id, []).append((row.script_key, served[row.attempt_id]))
        return [
            RunFailure(
                run_id=run_id,
                failures=tuple(pair for pair in pairs if pair[1].state is State.FAILED),
                asked_for=len(pairs),
            )
            for run_id, pairs in by_run.items()
            if all(attempt.state in _ENDED for _, attempt in pairs)
        ]

    def run_marked(self, run_id: str) -> None:
        """Notes that a run needs no more marking.

        Args:
            run_id: The Dagster run.
        """
        with self._db.writing() as connection:
            known = connection.scalar(
                sa.select(failed_runs.c.run_id).where(failed_runs.c.run_id == run_id)
            )
            if known is None:
                connection.execute(
                    failed_runs.insert().values(run_id=run_id, marked_at=self._db.clock())
                )

    # -- inside ----------------------------------------------------------------------------

    def _mine(self, kind: Kind) -> sa.Select:
        return sa.select(deliveries).where(
            deliveries.c.service == self._db.service, deliveries.c.kind == kind.value
        )

    def _find(
        self, connection: sa.Connection, script_key: str, kind: Kind, content_hash: str
    ) -> Delivery | None:
        wanted = {
            "service": self._db.service,
            "kind": kind.value,
            "script_key": script_key,
            "content_hash": content_hash,
        }
        row = connection.execute(statements.DELIVERY, wanted).one_or_none()
        return None if row is None else Delivery.from_row(row)

    def _by_id(self, connection: sa.Connection, ids: list[int]) -> dict[int, Delivery]:
        found: dict[int, Delivery] = {}
        for start in range(0, len(ids), _CHUNK):
            query = sa.select(deliveries).where(deliveries.c.id.in_(ids[start : start + _CHUNK]))
            found.update({row.id: Delivery.from_row(row) for row in connection.execute(query)})
        return found

    def _update(self, delivery_id: int, **values: object) -> None:
        with self._db.writing() as connection:
            connection.execute(
                deliveries.update()
                .where(deliveries.c.id == delivery_id)
                .values(changed_at=self._db.clock(), **values)
            )


def _attempts_by_id(connection: sa.Connection, ids: list[int]) -> dict[int, Attempt]:
    found: dict[int, Attempt] = {}
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(attempts).where(attempts.c.id.in_(ids[start : start + _CHUNK]))
        found.update({row.id: Attempt.from_row(row) for row in connection.execute(query)})
    return found
