"""Which avatars exist, and whether a video can be asked for with one.

Official avatars are never judged by their status: AKOOL's pages show finished ones as queued (docs:
avatar page, sample of the list). An avatar of the user's own is usable once AKOOL has finished it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pyarrow as pa

from akool_dagster.akool import (
    AkoolClient,
    AkoolError,
    Avatar,
    AvatarKind,
    AvatarSource,
    NotFound,
    Status,
)
from akool_dagster.batch.catalogs.files import Stamp, read_catalog, save_catalog
from akool_dagster.batch.catalogs.listing import Listing, Saved, nearest
from akool_dagster.storage import Storage

logger = logging.getLogger(__name__)

CATALOG = "avatars"
"""Name of the saved catalog."""

TAKEN_OVER = "akool_had_it_before"
"""Marks, in the ledger's copy of AKOOL's answer, an avatar that no upload of ours made."""

LOOK_AGAIN_SECONDS = 30.0
"""Between two looks at an avatar that was uploaded without this program; the pause grows."""

LONGEST_LOOK_SECONDS = 300.0

_GROWTH = 1.3
_SCHEMA = pa.schema(
    {
        "avatar_id": pa.string(),
        "name": pa.string(),
        "source": pa.int64(),
        "kind": pa.int64(),
        "status": pa.int64(),
        "gender": pa.string(),
        "thumbnail_url": pa.string(),
        "url": pa.string(),
        "record_id": pa.string(),
        "is_disabled": pa.bool_(),
    }
)


@dataclass(frozen=True, kw_only=True)
class KnownAvatar:
    """What a batch needs to know of an avatar.

    Attributes:
        avatar_id: What a create of a video takes.
        source: Where it comes from; one that AKOOL lists without a source counts as official.
        kind: What it is made for, where AKOOL says so.
        status: State of an upload, where AKOOL says so.
        name: For display.
        record_id: The ``_id`` by which AKOOL tells how an upload is doing.
        is_disabled: Whether AKOOL lists it as disabled.
        failure: AKOOL's words about a failed upload.
    """

    avatar_id: str
    source: AvatarSource = AvatarSource.OFFICIAL
    kind: AvatarKind | None = None
    status: Status | None = None
    name: str | None = None
    record_id: str | None = None
    is_disabled: bool = False
    failure: str | None = None

    @classmethod
    def from_listed(cls, avatar: Avatar) -> "KnownAvatar":
        """Reads an item of AKOOL's list.

        Args:
            avatar: The item.

        Returns:
            What is known.
        """
        return cls(
            avatar_id=avatar.avatar_id,
            source=avatar.source or AvatarSource.OFFICIAL,
            kind=avatar.kind,
            status=avatar.status,
            name=avatar.name,
            record_id=avatar.record_id,
            is_disabled=avatar.raw.get("disabled") is True,
            failure=avatar.failure.reason if avatar.failure else None,
        )

    @property
    def is_own(self) -> bool:
        """Whether the user uploaded it."""
        return self.source is AvatarSource.OWN

    @property
    def is_ready(self) -> bool:
        """Whether a video can be asked for with it, as far as its status tells.

        A streaming avatar must be finished (docs: avatar page, "2: stream avatar, stream avatar
        must be status 3"). A list that gives a real one no status at all is believed.
        """
        if not self.is_own or self.status is Status.COMPLETED:
            return True
        return self.status is None and self.kind is not AvatarKind.STREAMING


class AvatarBook:
    """Looks avatars up in the saved catalog, and in AKOOL's list where that does not help.

    Args:
        saved: Avatar by ``avatar_id``, as the catalog was saved.
        fetch: Reads AKOOL's list of avatars; called at most once, and only when needed.
        saved_at: When the catalog was saved; one older than a day is read anew first.
        load: Reads both when they are first needed, instead of them.
        detail: Looks one avatar up by its record id; None where that cannot be done.
        clock: Gives the time in seconds since 1970 UTC.
    """

    def __init__(
        self,
        *,
        saved: Mapping[str, KnownAvatar] | None = None,
        fetch: Callable[[], Iterable[Avatar]],
        saved_at: float | None = None,
        load: Callable[[], Saved[KnownAvatar]] | None = None,
        detail: Callable[[str], Avatar] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._listing = Listing(
            what="avatars",
            load=load or (lambda: (saved or {}, saved_at)),
            fetch=lambda: {a.avatar_id: KnownAvatar.from_listed(a) for a in fetch()},
            clock=clock,
        )
        self._detail = detail
        self._clock = clock
        self._looks: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self.suggestion = lru_cache(maxsize=1_000)(self._suggestion)

    def find(self, avatar_id: str) -> KnownAvatar | None:
        """Looks an avatar up.

        Args:
            avatar_id: The id that a manifest names.

        Returns:
            What is known of it, None when AKOOL does not list it.

        Raises:
            CatalogUnreadable: AKOOL's list is needed and cannot be had.
        """
        return self._listing.find(avatar_id)

    def look_again(self, avatar: KnownAvatar) -> tuple[KnownAvatar, float]:
        """Looks at an avatar that AKOOL works on, unless somebody has just done so.

        Args:
            avatar: As it is known; it must have a record id.

        Returns:
            What is known of it now, and when to look next.
        """
        is_due, next_at = self._take_turn(avatar.avatar_id)
        if is_due and self._detail is not None and avatar.record_id is not None:
            self._listing.replace(avatar.avatar_id, self._seen(avatar, self._detail))
        return self._listing.items().get(avatar.avatar_id, avatar), next_at

    def _take_turn(self, avatar_id: str) -> tuple[bool, float]:
        """Gives the look that is due to one caller; thousands of rows may wait for one avatar."""
        now = self._clock()
        with self._lock:
            looks, next_at = self._looks.get(avatar_id, (0, now))
            if now < next_at:
                return False, next_at
            pause = min(LONGEST_LOOK_SECONDS, LOOK_AGAIN_SECONDS * _GROWTH**looks)
            self._looks[avatar_id] = (looks + 1, now + pause)
            return True, now + pause

    def _seen(self, avatar: KnownAvatar, detail: Callable[[str], Avatar]) -> KnownAvatar:
        try:
            seen = detail(avatar.record_id or "")
        except NotFound:
            return replace(avatar, status=Status.FAILED, failure="AKOOL no longer knows it")
        except AkoolError as error:
            logger.warning("Status of avatar %s not known: %s", avatar.avatar_id, error)
            return avatar
        told = seen.failure.reason if seen.failure else None
        return replace(avatar, status=seen.status, failure=told)

    def _suggestion(self, avatar_id: str) -> str:
        return did_you_mean(avatar_id, self._listing.items())


def did_you_mean(avatar_id: str, avatars: Mapping[str, KnownAvatar]) -> str:
    """Says that an avatar is unknown, and which ones are spelt like it.

    Args:
        avatar_id: An id that does not exist.
        avatars: Those that do.

    Returns:
        One or two sentences.
    """
    near = nearest(avatar_id, {known.avatar_id: known.name for known in avatars.values()})
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return (
        f"avatar_id {avatar_id!r} is not among the {len(avatars)} avatars that AKOOL lists for "
        f"this account.{hint}"
    )


def list_avatars(client: AkoolClient) -> list[Avatar]:
    """Reads AKOOL's list: everything that videos are made of, and all of the user's own.

    Args:
        client: Talks to AKOOL.

    Returns:
        AKOOL's own avatars without those for streaming, and the user's of either kind.

    Raises:
        AkoolError: A page could not be read.
    """
    return [
        avatar
        for avatar in client.list_avatars(kind=None)
        if avatar.kind is not AvatarKind.STREAMING or avatar.source is AvatarSource.OWN
    ]


def avatar_table(avatars: Iterable[Avatar], *, stamp: Stamp) -> pa.Table:
    """Lays avatars out as a catalog.

    Args:
        avatars: The avatars.
        stamp: Where they come from.

    Returns:
        One line per avatar, always with the same columns.
    """
    return stamp.put_on(pa.Table.from_pylist(list(map(_line, avatars)), schema=_SCHEMA))


def saved_avatars(storage: Storage, *, service: str) -> Saved[KnownAvatar]:
    """Reads the saved catalog.

    Args:
        storage: The data root.
        service: Whose it must be.

    Returns:
        Avatar by id, and when AKOOL was asked; nothing and None when there is no catalog.
    """
    found = read_catalog(storage, CATALOG, service=service)
    if found is None:
        return {}, None
    lines, read_at = found
    return {line["avatar_id"]: _known(line) for line in lines}, read_at


def open_avatar_book(client: AkoolClient, storage: Storage, *, service: str) -> AvatarBook:
    """Opens the book of an account; what it reads anew is saved for the next one.

    Args:
        client: Talks to AKOOL.
        storage: The data root.
        service: Which service the client talks to.

    Returns:
        The book.
    """

    def fetch() -> list[Avatar]:
        avatars = list_avatars(client)
        stamp = Stamp(service=service, read_at=time.time())
        if avatars:
            save_catalog(storage, CATALOG, avatar_table(avatars, stamp=stamp))
        return avatars

    return AvatarBook(
        load=lambda: saved_avatars(storage, service=service),
        fetch=fetch,
        detail=client.avatar_detail,
    )


def _line(avatar: Avatar) -> dict[str, Any]:
    known = KnownAvatar.from_listed(avatar)
    values = {name: getattr(avatar, name, None) for name in _SCHEMA.names}
    values["is_disabled"] = known.is_disabled
    return {name: getattr(value, "value", value) for name, value in values.items()}


def _known(line: Mapping[str, Any]) -> KnownAvatar:
    source, kind, status = line["source"], line["kind"], line["status"]
    return KnownAvatar(
        avatar_id=line["avatar_id"],
        source=AvatarSource.OFFICIAL if source is None else AvatarSource(source),
        kind=None if kind is None else AvatarKind(kind),
        status=None if status is None else Status(status),
        name=line["name"],
        record_id=line["record_id"],
        is_disabled=line["is_disabled"],
    )
