"""Which voices exist, of the generation of AKOOL's voices that is in use: AKOOL's own and clones.

AKOOL's pages send now a voice's ``voice_id``, now its ``_id`` (docs: voiceLab page, samples), so
both find it.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa

from akool_dagster.akool import AkoolClient, Status, Voice
from akool_dagster.batch.catalogs.files import Stamp, read_catalog, save_catalog
from akool_dagster.batch.catalogs.listing import Listing, Saved, nearest
from akool_dagster.settings import VoiceApi
from akool_dagster.storage import Storage

CATALOG = "voices"
"""Name of the saved catalog."""

_SCHEMA = pa.schema(
    {
        "voice_id": pa.string(),
        "name": pa.string(),
        "is_own": pa.bool_(),
        "gender": pa.string(),
        "language": pa.string(),
        "accent": pa.string(),
        "preview_url": pa.string(),
        "status": pa.int64(),
        "record_id": pa.string(),
        "is_disabled": pa.bool_(),
    }
)


@dataclass(frozen=True, kw_only=True)
class KnownVoice:
    """What a batch needs to know of a voice.

    Attributes:
        voice_id: What a create of speech takes.
        name: For display.
        is_own: Whether it is a clone of the user's.
        status: State of a clone, where AKOOL says so.
        record_id: Its ``_id``.
        is_disabled: Whether AKOOL lists it as disabled.
    """

    voice_id: str
    name: str | None = None
    is_own: bool = False
    status: Status | None = None
    record_id: str | None = None
    is_disabled: bool = False

    @classmethod
    def from_listed(cls, voice: Voice) -> "KnownVoice":
        """Reads an item of AKOOL's list.

        Args:
            voice: The item.

        Returns:
            What is known.
        """
        return cls(
            voice_id=voice.voice_id,
            name=voice.name,
            is_own=bool(voice.is_own),
            status=voice.status,
            record_id=voice.record_id,
            is_disabled=voice.raw.get("disabled") is True,
        )

    @property
    def is_pending(self) -> bool:
        """Whether AKOOL is still making it."""
        return self.is_own and self.status in (Status.QUEUED, Status.PROCESSING)

    @property
    def problem(self) -> str | None:
        """Why it cannot speak, in words that follow its id; None when it can."""
        if self.is_disabled:
            return "is disabled at AKOOL."
        if self.is_own and self.status is Status.FAILED:
            return "is a cloned voice that AKOOL could not make."
        return "is a cloned voice that AKOOL is still making." if self.is_pending else None


class VoiceBook:
    """Looks voices up in the saved catalog, and in AKOOL's list where that does not help.

    Args:
        api: Which generation of AKOOL's voices.
        saved: Voice by each of its ids, as the catalog was saved.
        fetch: Reads AKOOL's list of voices; called at most once, and only when needed.
        saved_at: When the catalog was saved; one older than a day is read anew first.
        load: Reads both when they are first needed, instead of them.
        clock: Gives the time in seconds since 1970 UTC.
    """

    def __init__(
        self,
        *,
        api: VoiceApi,
        saved: Mapping[str, KnownVoice] | None = None,
        fetch: Callable[[], Iterable[Voice]],
        saved_at: float | None = None,
        load: Callable[[], Saved[KnownVoice]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api: VoiceApi = api
        self._listing = Listing(
            what="voices",
            load=load or (lambda: (saved or {}, saved_at)),
            fetch=lambda: by_each_id(KnownVoice.from_listed(voice) for voice in fetch()),
            clock=clock,
        )
        self.suggestion = lru_cache(maxsize=1_000)(self._suggestion)

    def find(self, voice_id: str) -> KnownVoice | None:
        """Looks a voice up.

        Args:
            voice_id: The id that a manifest names.

        Returns:
            What is known of it, None when AKOOL does not list it.

        Raises:
            CatalogUnreadable: AKOOL's list is needed and cannot be had.
        """
        return self._listing.find(voice_id)

    def _suggestion(self, voice_id: str) -> str:
        return did_you_mean(voice_id, self._listing.items(), api=self._api)


def did_you_mean(voice_id: str, voices: Mapping[str, KnownVoice], *, api: VoiceApi) -> str:
    """Says that a voice is unknown, and which ones are spelt like it.

    Args:
        voice_id: An id that does not exist.
        voices: Those that do.
        api: Which generation of AKOOL's voices they are of.

    Returns:
        One or two sentences.
    """
    names = {voice.voice_id: voice.name for voice in voices.values()}
    near = nearest(voice_id, names)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return (
        f"voice_id {voice_id!r} is not among the {len(names)} voices, clones included, that AKOOL "
        f"lists for this account (AKOOL_VOICE_API={api}).{hint}"
    )


def by_each_id(voices: Iterable[KnownVoice]) -> dict[str, KnownVoice]:
    """Orders voices by their ids.

    Args:
        voices: The voices.

    Returns:
        Voice by ``voice_id``, and by ``_id`` where that is no other's ``voice_id``.
    """
    voices = list(voices)
    by_record = {voice.record_id: voice for voice in voices if voice.record_id}
    return {**by_record, **{voice.voice_id: voice for voice in voices}}


def voice_table(voices: Iterable[Voice], *, stamp: Stamp) -> pa.Table:
    """Lays voices out as a catalog.

    Args:
        voices: The voices.
        stamp: Where they come from.

    Returns:
        One line per voice, always with the same columns.
    """
    return stamp.put_on(pa.Table.from_pylist(list(map(_line, voices)), schema=_SCHEMA))


def saved_voices(storage: Storage, *, service: str, api: VoiceApi) -> Saved[KnownVoice]:
    """Reads the saved catalog.

    Args:
        storage: The data root.
        service: Whose it must be.
        api: Which generation of voices it must hold.

    Returns:
        Voice by each of its ids, and when AKOOL was asked; nothing and None without a catalog.
    """
    found = read_catalog(storage, CATALOG, service=service, api=api)
    if found is None:
        return {}, None
    lines, read_at = found
    return by_each_id(map(_known, lines)), read_at


def open_voice_book(
    client: AkoolClient, storage: Storage, *, service: str, api: VoiceApi
) -> VoiceBook:
    """Opens the book of an account; what it reads anew is saved for the next one.

    Args:
        client: Talks to AKOOL.
        storage: The data root.
        service: Which service the client talks to.
        api: Which generation of AKOOL's voices.

    Returns:
        The book.
    """

    def fetch() -> list[Voice]:
        voices = client.list_voices(api)
        stamp = Stamp(service=service, read_at=time.time(), api=api)
        if voices:
            save_catalog(storage, CATALOG, voice_table(voices, stamp=stamp))
        return voices

    return VoiceBook(
        api=api, load=lambda: saved_voices(storage, service=service, api=api), fetch=fetch
    )


def _line(voice: Voice) -> dict[str, Any]:
    values = {name: getattr(voice, name, None) for name in _SCHEMA.names}
    values["is_disabled"] = KnownVoice.from_listed(voice).is_disabled
    return {name: getattr(value, "value", value) for name, value in values.items()}


def _known(line: Mapping[str, Any]) -> KnownVoice:
    status = line["status"]
    return KnownVoice(
        voice_id=line["voice_id"],
        name=line["name"],
        is_own=bool(line["is_own"]),
        status=None if status is None else Status(status),
        record_id=line["record_id"],
        is_disabled=line["is_disabled"],
    )
