"""The edge where AKOOL's JSON becomes ``models``.

AKOOL's pages, demos and servers disagree on shapes; this module takes every known one: lists as
an array, ``result`` or ``list``; a record as an object, a one-element array or inside ``result``;
status and result fields under the names of each product; numbers as text.

A read is strict: a status that is missing or unknown is an ``UnexpectedShape``, never guessed.
The answer to a create is lenient: whoever has its ``_id`` can look the job up, so nothing but a
missing ``_id`` may lose it.

Any JSON value may be given to any function: they return, or raise ``NoRecord`` or
``UnexpectedShape``.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import IntEnum
from typing import Any, TypeVar

from akool_dagster.akool.models import (
    Audio,
    Avatar,
    AvatarKind,
    AvatarSource,
    DeletedVoices,
    Failure,
    Status,
    Video,
    Voice,
)

NO_REASON = "AKOOL gave no reason."

Record = Mapping[str, Any]
_Number = TypeVar("_Number", bound=IntEnum)


class UnexpectedShape(ValueError):
    """The data is not in any shape that AKOOL is known to send."""


class NoRecord(UnexpectedShape):
    """The data is missing or empty, as seen in the first seconds of a job."""


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        items: Its elements, unread.
        total: Elements of the whole list, where the answer says so.
        size: Elements of a full page, where the answer says so.
    """

    items: tuple[Any, ...]
    total: int | None
    size: int | None


def page(data: Any) -> Page:
    """Read one page of a list: an array, or an object with ``result`` or ``list``.

    Raises:
        UnexpectedShape: It is neither.
    """
    if isinstance(data, list):
        return Page(tuple(data), total=None, size=None)
    if isinstance(data, Mapping):
        for name in ("result", "list"):
            if name in data and isinstance(data[name], list | None):
                return Page(tuple(data[name] or ()), _count(data, "count"), _count(data, "size"))
    raise UnexpectedShape("expected an array, or an object with an array named 'result'")


def avatars(items: Iterable[Any], *, source: AvatarSource | None) -> list[Avatar]:
    """Read the items of an avatar list; those without an ``avatar_id`` are left out.

    Args:
        items: Elements of a page.
        source: What the list was asked for: counts where an item does not name its source.
    """
    records = (item for item in items if isinstance(item, Mapping))
    read = (_avatar(record, _known_status(record), source=source) for record in records)
    return [avatar for avatar in read if avatar.avatar_id]


def voices(items: Iterable[Any], *, is_own: bool | None) -> list[Voice]:
    """Read the items of a voice list; those without a ``voice_id`` are left out.

    Args:
        items: Elements of a page.
        is_own: What the list was asked for: counts where an item does not say whose it is.
    """
    records = (item for item in items if isinstance(item, Mapping))
    read = (_voice(record, _known_status(record), is_own=is_own) for record in records)
    return [voice for voice in read if voice.voice_id]


def avatar(data: Any) -> Avatar:
    """Read an avatar being looked at.

    Raises:
        NoRecord: The data is missing or empty.
        UnexpectedShape: The status is missing or unknown.
    """
    record = _record(data)
    return _avatar(record, _status(record, "status"), source=None)


def voice(data: Any) -> Voice:
    """Read a voice being looked at.

    Raises:
        NoRecord: The data is missing or empty.
        UnexpectedShape: The status is missing or unknown.
    """
    record = _record(data)
    return _voice(record, _status(record, "status"), is_own=None)


def audio(data: Any, *, audio_id: str) -> Audio:
    """Read a speech job being looked at.

    Raises:
        NoRecord: The data is missing or empty.
        UnexpectedShape: The status is missing or unknown, or it is another job.
    """
    record = _record(data)
    return _audio(record, _same(record, audio_id), _status(record, "status"))


def video(data: Any, *, video_id: str) -> Video:
    """Read a video job being looked at.

    Raises:
        NoRecord: The data is missing or empty.
        UnexpectedShape: The status is missing or unknown, or it is another job.
    """
    record = _record(data)
    return _video(record, _same(record, video_id), _status(record, "video_status", "status"))


def created_audio(data: Any) -> Audio:
    """Read the answer to a create of speech.

    Raises:
        UnexpectedShape: It holds no ``_id``.
    """
    record, record_id = _created(data)
    return _audio(record, record_id, _known_status(record) or Status.QUEUED)


def created_video(data: Any) -> Video:
    """Read the answer to a create of a video.

    Raises:
        UnexpectedShape: It holds no ``_id``.
    """
    record, record_id = _created(data)
    return _video(record, record_id, _known_status(record) or Status.QUEUED)


def created_voice(data: Any) -> Voice:
    """Read the answer to a clone of a voice.

    Raises:
        UnexpectedShape: It holds no ``_id``.
    """
    record, _ = _created(data)
    return _voice(record, _known_status(record) or Status.QUEUED, is_own=True)


def created_avatar(data: Any, *, avatar_id: str) -> Avatar:
    """Read the answer to an upload of an avatar.

    Args:
        data: The answer's data.
        avatar_id: What the upload was named: counts where the answer does not repeat it.

    Raises:
        UnexpectedShape: It holds no ``_id``.
    """
    record, _ = _created(data)
    status = _known_status(record) or Status.QUEUED
    named = {**record, "avatar_id": _text(record.get("avatar_id")) or avatar_id}
    return _avatar(named, status, source=AvatarSource.OWN)


def deleted_voices(data: Any, *, asked: Iterable[str]) -> DeletedVoices:
    """Read what became of voices that were to be deleted.

    Args:
        data: The answer's data.
        asked: The ids that were asked for; one that the answer leaves out counts as kept.

    Raises:
        UnexpectedShape: It has no array of the deleted ones.
    """
    record = data if isinstance(data, Mapping) else {}
    if not isinstance(record.get("successIds"), list):
        raise UnexpectedShape("expected an array named 'successIds'")
    wanted = set(asked)
    deleted = frozenset(_texts(record["successIds"])) & wanted
    refusals = record.get("noPermissionVoices")
    told = {
        _text(item.get("_id")): _text(item.get("msg"))
        for item in (refusals if isinstance(refusals, list) else [])
        if isinstance(item, Mapping)
    }
    return DeletedVoices(
        deleted=deleted,
        kept={voice: told.get(voice) or NO_REASON for voice in sorted(wanted - deleted)},
    )


def credit(data: Any) -> float:
    """Read the balance.

    Raises:
        UnexpectedShape: It holds no number named ``credit``.
    """
    balance = _number(data.get("credit")) if isinstance(data, Mapping) else None
    if balance is None:
        raise UnexpectedShape("expected a number named 'credit'")
    return balance


def token(envelope: Record) -> str:
    """Read the token of a log-in, which sits beside ``code`` or, seen as well, in ``data``.

    Raises:
        UnexpectedShape: There is none.
    """
    data = envelope.get("data")
    inner = data.get("token") if isinstance(data, Mapping) else None
    found = _text(envelope.get("token")) or _text(inner)
    if found is None:
        raise UnexpectedShape("expected a text named 'token'")
    return found


def _record(data: Any) -> Record:
    """The one object: as it is, the only element of an array, or inside ``result``."""
    found = _only(data)
    if isinstance(found, Mapping) and "_id" not in found and "result" in found:
        found = _only(found["result"])
    if found is None or found in ({}, ""):
        raise NoRecord("the data is missing or empty")
    if not isinstance(found, Mapping):
        raise UnexpectedShape("expected one object")
    return found


def _only(data: Any) -> Any:
    if isinstance(data, list) and len(data) < 2:
        return data[0] if data else None
    return data


def _created(data: Any) -> tuple[Record, str]:
    record = _record(data)
    record_id = _text(record.get("_id"))
    if record_id is None:
        raise UnexpectedShape("expected a text named '_id'")
    return record, record_id


def _same(record: Record, asked_id: str) -> str:
    answered_id = _text(record.get("_id"))
    if answered_id is not None and answered_id != asked_id:
        raise UnexpectedShape(f"asked for {asked_id}, got {answered_id}")
    return asked_id


def _avatar(record: Record, status: Status | None, *, source: AvatarSource | None) -> Avatar:
    return Avatar(
        avatar_id=_text(record.get("avatar_id")) or "",
        record_id=_text(record.get("_id")),
        source=_member(AvatarSource, record.get("from")) or source,
        kind=_member(AvatarKind, record.get("type")),
        status=status,
        name=_text(record.get("name")),
        gender=_lower(record.get("gender")),
        url=_first_text(record, "url", "modify_url"),
        thumbnail_url=_text(record.get("thumbnailUrl")),
        created_at=_time(record.get("create_time")),
        failure=_failure(record, status),
        raw=record,
    )


def _voice(record: Record, status: Status | None, *, is_own: bool | None) -> Voice:
    # docs: audio page, from 3 = official, 4 = the user's own
    own_by_number = {3: False, 4: True}.get(_integer(record.get("from")) or 0)
    return Voice(
        voice_id=_text(record.get("voice_id")) or "",
        record_id=_text(record.get("_id")),
        is_own=own_by_number if own_by_number is not None else is_own,
        status=status,
        name=_text(record.get("name")),
        gender=_lower(record.get("gender")),
        language=_text(record.get("language")),
        locale=_text(record.get("locale")),
        accent=_text(record.get("accent")),
        description=_text(record.get("description")),
        preview_url=_text(record.get("preview")),
        styles=_texts(record.get("style")),
        scenarios=_texts(record.get("scenario")) or _texts(record.get("useCase")),
        ages=_texts(record.get("age")),
        deduction_credit=_number(record.get("deduction_credit")),
        created_at=_time(record.get("create_time")),
        failure=_failure(record, status),
        raw=record,
    )


def _audio(record: Record, audio_id: str, status: Status) -> Audio:
    milliseconds = _number(record.get("duration"))
    link = _first_text(record, "url", "preview")  # v3 fills the first, v4 the second
    return Audio(
        id=audio_id,
        status=status,
        url=link if status is Status.COMPLETED else None,
        duration_seconds=milliseconds / 1000 if milliseconds else None,
        deduction_credit=_number(record.get("deduction_credit")),
        created_at=_time(record.get("create_time")),
        failure=_failure(record, status),
        raw=record,
    )


def _video(record: Record, video_id: str, status: Status) -> Video:
    link = _first_text(record, "video", "external_video")  # 'video_url' is an input, not a result
    deducted = _number(record.get("deduction_duration"))
    return Video(
        id=video_id,
        status=status,
        url=link if status is Status.COMPLETED else None,
        failure=_failure(record, status),
        locked_credits=_number(record.get("deduction_lock_duration")),
        deducted_credits=deducted
        if deducted is not None
        else _number(record.get("deduction_credit")),
        created_at=_time(record.get("create_time")),
        raw=record,
    )


def _failure(record: Record, status: Status | None) -> Failure | None:
    """Why a job failed; AKOOL names the field differently on each product's page."""
    if status is not Status.FAILED:
        return None
    named = _first_text(
        record, "error_reason", "faceswap_fail_reason", "error_msg", "error_message"
    )
    listed = "; ".join(_texts(record.get("error_reasons")))
    reason = named or listed or _text(record.get("msg")) or NO_REASON
    return Failure(code=_integer(record.get("error_code")), reason=reason)


def _status(record: Record, *names: str) -> Status:
    for name in names:
        if name in record:
            return _required_status(record[name], name)
    raise UnexpectedShape(f"expected a number named {names[0]!r}")


def _required_status(value: Any, name: str) -> Status:
    status = _member(Status, value)
    if status is None:
        raise UnexpectedShape(f"{name} is {str(value)[:40]!r}, expected 1, 2, 3 or 4")
    return status


def _known_status(record: Record) -> Status | None:
    return _member(Status, record.get("video_status", record.get("status")))


def _member(kind: type[_Number], value: Any) -> _Number | None:
    number = _integer(value)
    return kind(number) if number in list(kind) else None


def _text(value: Any) -> str | None:
    """A text that is not blank; halves of surrogate pairs, which no file can hold, are replaced."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value.strip().encode("utf-8", "replace").decode("utf-8")


def _first_text(record: Record, *names: str) -> str | None:
    return next(filter(None, (_text(record.get(name)) for name in names)), None)


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(filter(None, map(_text, values)))


def _lower(value: Any) -> str | None:
    text = _text(value)
    return text.lower() if text else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _count(record: Record, name: str) -> int | None:
    number = _integer(record.get(name))
    return number if number is not None and number >= 0 else None


def _time(value: Any) -> datetime | None:
    """AKOOL's times are milliseconds since 1970 (UTC)."""
    milliseconds = _number(value)
    if not milliseconds:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
