"""Samples: which file was found behind each link to a voice sample, by the file's own hash."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from akool_dagster.ledger.database import Database
from akool_dagster.ledger.tables import samples

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class KnownSample:
    """One line of the table ``akool_samples``.

    Attributes:
        link: The link without its query, which may be a signature; for people.
        sha256: Hash of the file that was behind it, in hex.
        size_bytes: The file's size.
        seconds: Its length.
        seen_at: When this file was first found behind the link, in seconds since 1970 UTC.
    """

    link: str
    sha256: str
    size_bytes: int
    seconds: float
    seen_at: float


class Samples:
    """The voice samples of one service.

    A link itself is never kept, only its hash and its part without a query.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def saw(self, url: str, *, link: str, sha256: str, size_bytes: int, seconds: float) -> None:
        """Notes which file is behind a link now; nothing is written when that is known.

        Args:
            url: The whole link.
            link: The link as it may be shown.
            sha256: Hash of the file.
            size_bytes: Its size.
            seconds: Its length.
        """
        known = self.behind([url]).get(url)
        if known is not None and known.sha256 == sha256:
            return
        values = {
            "link": link,
            "sha256": sha256,
            "size_bytes": size_bytes,
            "seconds": seconds,
            "seen_at": self._db.clock(),
        }
        mine = sa.and_(samples.c.service == self._db.service, samples.c.url_sha256 == _hash(url))
        with self._db.writing() as connection:
            changed = connection.execute(samples.update().where(mine).values(**values))
            if changed.rowcount == 0:
                connection.execute(
                    samples.insert().values(
                        service=self._db.service, url_sha256=_hash(url), **values
                    )
                )

    def behind(self, urls: Iterable[str]) -> dict[str, KnownSample]:
        """Tells which file was behind each link when it was last fetched.

        Args:
            urls: Whole links.

        Returns:
            Sample by link; links that were never fetched are left out.
        """
        by_hash = {_hash(url): url for url in urls}
        wanted = list(by_hash)
        found: dict[str, KnownSample] = {}
        with self._db.reading() as connection:
            for start in range(0, len(wanted), _CHUNK):
                query = self._mine().where(samples.c.url_sha256.in_(wanted[start : start + _CHUNK]))
                found.update(
                    {by_hash[row.url_sha256]: _sample(row) for row in connection.execute(query)}
                )
        return found

    def by_file(self) -> dict[str, list[KnownSample]]:
        """Lists the links behind which each file was last found.

        Returns:
            Samples by the file's hash, oldest first.
        """
        found: dict[str, list[KnownSample]] = {}
        with self._db.reading() as connection:
            for row in connection.execute(self._mine().order_by(samples.c.id)):
                found.setdefault(row.sha256, []).append(_sample(row))
        return found

    def _mine(self) -> sa.Select:
        return sa.select(samples).where(samples.c.service == self._db.service)


def _sample(row: sa.Row) -> KnownSample:
    return KnownSample(**{name: getattr(row, name) for name in KnownSample.__dataclass_fields__})


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
