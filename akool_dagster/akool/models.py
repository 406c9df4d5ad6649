"""AKOOL's vocabulary: what is asked of it, and what it answers, as frozen dataclasses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any


class Status(IntEnum):
    """State of a job; the numbers are the same for videos, audio, voices and avatars."""

    QUEUED = 1
    PROCESSING = 2
    COMPLETED = 3
    FAILED = 4

    @property
    def is_final(self) -> bool:
        """Whether the job will not change any more."""
        return self in (Status.COMPLETED, Status.FAILED)


class AvatarSource(IntEnum):
    """Where an avatar comes from: the ``from`` of a list item, the ``avatar_from`` of a create."""

    OFFICIAL = 2
    OWN = 3
    GENERATED = 7
    """Made by AI; seen in AKOOL's sources only, not yet on a published page."""


class AvatarKind(IntEnum):
    """What an avatar is made for: the ``type`` of a list item."""

    TALKING = 1
    STREAMING = 2


def _raw() -> Any:
    return field(repr=False, hash=False)


@dataclass(frozen=True)
class Failure:
    """Why a job failed.

    Attributes:
        code: AKOOL's ``error_code``, to be looked up with ``describe_code``; often absent.
        reason: AKOOL's words, or a default text where it gave none.
    """

    code: int | None
    reason: str


@dataclass(frozen=True)
class Avatar:
    """An avatar of the catalog, or one being made from an upload.

    Attributes:
        avatar_id: What a create of a video takes. Empty only in an answer of
            ``AkoolClient.avatar_detail``, whose documented sample leaves it out.
        record_id: The ``_id`` that ``AkoolClient.avatar_detail`` takes.
        source: Where it comes from.
        kind: What it is made for.
        status: State of an upload. AKOOL's pages show finished official avatars with
            ``QUEUED``, so it says something about avatars of the user's own only.
        name: For display.
        gender: Lower case.
        url: Its picture or video.
        thumbnail_url: A small picture.
        created_at: With time zone UTC.
        failure: Why an upload failed.
        raw: AKOOL's whole record.
    """

    avatar_id: str
    record_id: str | None
    source: AvatarSource | None
    kind: AvatarKind | None
    status: Status | None
    name: str | None
    gender: str | None
    url: str | None
    thumbnail_url: str | None
    created_at: datetime | None
    failure: Failure | None
    raw: Mapping[str, Any] = _raw()

    @property
    def id(self) -> str:
        """The ``record_id``, empty where AKOOL gave none; an upload that was accepted has one."""
        return self.record_id or ""

    @property
    def deduction_credit(self) -> float | None:
        """Credits taken for an upload, where AKOOL tells them; no page says that it does."""
        told = self.raw.get("deduction_credit")
        if isinstance(told, bool) or not isinstance(told, int | float):
            return None
        return float(told)

    @property
    def is_usable(self) -> bool:
        """Whether a video can be asked for: an own avatar must be finished, others always are."""
        return self.source is not AvatarSource.OWN or self.status is Status.COMPLETED


@dataclass(frozen=True)
class Voice:
    """A voice of the catalog, or one being cloned.

    Attributes:
        voice_id: What a create of speech takes; opaque. Empty while a clone is being made.
        record_id: The ``_id`` that ``AkoolClient.get_voice`` takes.
        is_own: Whether it is the user's own rather than AKOOL's; None where AKOOL does not say.
        status: State of a clone.
        name: For display.
        gender: Lower case.
        language: As AKOOL writes it.
        locale: As AKOOL writes it.
        accent: As AKOOL writes it.
        description: For display.
        preview_url: A sample of the voice.
        styles: Such as ``narration``.
        scenarios: What it suits.
        ages: Such as ``young``.
        deduction_credit: Credits taken for a clone, where AKOOL tells them.
        created_at: With time zone UTC.
        failure: Why a clone failed.
        raw: AKOOL's whole record.
    """

    voice_id: str
    record_id: str | None
    is_own: bool | None
    status: Status | None
    name: str | None
    gender: str | None
    language: str | None
    locale: str | None
    accent: str | None
    description: str | None
    preview_url: str | None
    styles: tuple[str, ...]
    scenarios: tuple[str, ...]
    ages: tuple[str, ...]
    deduction_credit: float | None
    created_at: datetime | None
    failure: Failure | None
    raw: Mapping[str, Any] = _raw()

    @property
    def id(self) -> str:
        """The ``record_id``, empty where AKOOL gave none; a clone that was accepted has one."""
        return self.record_id or ""


@dataclass(frozen=True, kw_only=True)
class DeletedVoices:
    """What became of the voices that AKOOL was told to delete.

    Attributes:
        deleted: ``record_id`` of those that it deleted.
        kept: AKOOL's words by ``record_id`` for those that it did not: they are not the
            account's own, or are gone already.
    """

    deleted: frozenset[str]
    kept: Mapping[str, str]


@dataclass(frozen=True)
class Audio:
    """A speech job.

    Attributes:
        id: The ``_id`` that ``AkoolClient.get_audio`` takes.
        status: State of the job.
        url: The sound file, for seven days; only when completed, and None while AKOOL has not
            filled it in: look again, for a bounded time.
        duration_seconds: Only the v4 calls tell it, once completed.
        deduction_credit: Credits taken; only the v4 calls tell it.
        created_at: With time zone UTC.
        failure: Why it failed.
        raw: AKOOL's whole record.
    """

    id: str
    status: Status
    url: str | None
    duration_seconds: float | None
    deduction_credit: float | None
    created_at: datetime | None
    failure: Failure | None
    raw: Mapping[str, Any] = _raw()


@dataclass(frozen=True)
class Video:
    """An avatar video job.

    Attributes:
        id: The ``_id`` that ``AkoolClient.get_video_info`` takes.
        status: State of the job.
        url: The video file, for seven days; only when completed, and None while AKOOL has not
            filled it in: look again, for a bounded time.
        failure: Why it failed.
        locked_credits: Credits held at the create.
        deducted_credits: Credits taken for the result. Final only once the job is.
        created_at: With time zone UTC.
        raw: AKOOL's whole record.
    """

    id: str
    status: Status
    url: str | None
    failure: Failure | None
    locked_credits: float | None
    deducted_credits: float | None
    created_at: datetime | None
    raw: Mapping[str, Any] = _raw()


@dataclass(frozen=True, kw_only=True)
class SpeechRequest:
    """A text to be spoken by a voice of the catalog.

    Attributes:
        text: At most 5,000 characters on the smallest plan (10,000 and 50,000 on larger ones).
        voice_id: ``Voice.voice_id``.
        rate_percent: Speed, 100 is normal: 0 to 100 with v3, 70 to 120 with v4. None leaves it
            to the voice.
        language: ISO 639-1 code for v4. v3 has no such field: there the voice decides.
        webhook_url: Where AKOOL calls back. None: nowhere.

    Raises:
        ValueError: The text or the voice is blank.
    """

    text: str
    voice_id: str
    rate_percent: int | None = None
    language: str | None = None
    webhook_url: str | None = field(default=None, repr=False)

    def __post_init__(self):
        _require(self.text, name="text")
        _require(self.voice_id, name="voice_id")


@dataclass(frozen=True, kw_only=True)
class ClonedSpeechRequest:
    """A text to be spoken in the voice of a sample.

    Attributes:
        text: As in ``SpeechRequest``.
        sample_url: Sound file that AKOOL can open without a login.
        rate_percent: Speed, 0 to 100, 100 is normal.
        webhook_url: Where AKOOL calls back. None: nowhere.

    Raises:
        ValueError: The text or the link is blank.
    """

    text: str
    sample_url: str
    rate_percent: int | None = None
    webhook_url: str | None = field(default=None, repr=False)

    def __post_init__(self):
        _require(self.text, name="text")
        _require(self.sample_url, name="sample_url")


@dataclass(frozen=True)
class ListedAvatar:
    """An avatar of ``AkoolClient.list_avatars``.

    Attributes:
        avatar_id: ``Avatar.avatar_id``.
        avatar_from: ``Avatar.source``.

    Raises:
        ValueError: The id is blank.
    """

    avatar_id: str
    avatar_from: AvatarSource

    def __post_init__(self):
        _require(self.avatar_id, name="avatar_id")


@dataclass(frozen=True)
class LinkedAvatar:
    """A picture or video of a person, by its link.

    Attributes:
        url: AKOOL must be able to open it without a login. Pictures: png, jpg, jpeg, webp;
            videos: mp4, mov, avi (docs: talking-avatar page).

    Raises:
        ValueError: The link is blank.
    """

    url: str

    def __post_init__(self):
        _require(self.url, name="url")


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """A video of an avatar that moves its lips to a sound file.

    Attributes:
        avatar: Who speaks.
        audio_url: Sound file that AKOOL can open without a login.
        audio_seconds: Its length; ``avatar/createVideo`` asks for it.
        background: Hex colour such as ``#ffffff`` or link to a picture. None leaves it to AKOOL.
        width: Pixels of the canvas; by default what the chosen API documents.
        height: As ``width``.
        webhook_url: Where AKOOL calls back. None: nowhere.

    Raises:
        ValueError: The link is blank, or a number is not positive and finite.
    """

    avatar: ListedAvatar | LinkedAvatar
    audio_url: str
    audio_seconds: float
    background: str | None = None
    width: int | None = None
    height: int | None = None
    webhook_url: str | None = field(default=None, repr=False)

    def __post_init__(self):
        _require(self.audio_url, name="audio_url")
        for name in ("audio_seconds", "width", "height"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value!r}; give a positive number.")


@dataclass(frozen=True, kw_only=True)
class VoiceCloneRequest:
    """A voice to be made from a sample, to be used again and again.

    Attributes:
        sample_url: Sound or video file (mp3, mp4, wav and others, at most 30 MB) that AKOOL can
            open without a login.
        name: For display.
        model: ``voice_model_name``, such as ``Akool Multilingual 3``. None leaves it to AKOOL.
        language: Language of the sample. None leaves it to AKOOL.
        remove_background_noise: Whether AKOOL cleans the sample first.
        webhook_url: Where AKOOL calls back. None: nowhere.

    Raises:
        ValueError: The link or the name is blank.
    """

    sample_url: str
    name: str
    model: str | None = None
    language: str | None = None
    remove_background_noise: bool | None = None
    webhook_url: str | None = field(default=None, repr=False)

    def __post_init__(self):
        _require(self.sample_url, name="sample_url")
        _require(self.name, name="name")


@dataclass(frozen=True, kw_only=True)
class AvatarUpload:
    """A video of a person from which AKOOL makes an avatar of the user's own.

    Attributes:
        url: Video of about one minute, with small head movements, that AKOOL can open without a
            login.
        avatar_id: The id it will have, unique: ASCII letters and digits only.
        name: For display.
        kind: What it is made for.
        is_platform_link: Whether ``url`` leads to YouTube, TikTok, X or Google Drive rather than
            to the file itself.

    Raises:
        ValueError: The link or the name is blank, or the id holds other characters.
    """

    url: str
    avatar_id: str
    name: str
    kind: AvatarKind = AvatarKind.TALKING
    is_platform_link: bool = False

    def __post_init__(self):
        _require(self.url, name="url")
        _require(self.name, name="name")
        if not (self.avatar_id.isascii() and self.avatar_id.isalnum()):
            raise ValueError(
                f"avatar_id is {self.avatar_id!r}; AKOOL takes letters and digits only."
            )


def _require(value: str, *, name: str) -> None:
    if not value.strip():
        raise ValueError(f"{name} is blank.")
