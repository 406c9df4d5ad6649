"""What the three pages that create a video have in common."""

import asyncio
import hashlib
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from akool_dagster.emulator.answers import MESSAGES, Refusal
from akool_dagster.emulator.catalog import official_avatars
from akool_dagster.emulator.emulator import Draft, Emulator
from akool_dagster.emulator.fingerprints import steady
from akool_dagster.emulator.jobs import COMPLETED, Job
from akool_dagster.emulator.links import audio_job_id
from akool_dagster.emulator.markers import without_markers
from akool_dagster.emulator.media.audio_files import read_audio
from akool_dagster.emulator.media.fetching import Unreachable, fetch, is_loopback
from akool_dagster.emulator.media.pictures import Portrait
from akool_dagster.emulator.pages.avatars import uploaded_avatar
from akool_dagster.emulator.pages.speaking import (
    TINY_SECONDS,
    check_text,
    seconds_of,
    speech_by,
)
from akool_dagster.emulator.rehearsal import Plan, targets_of

_SECONDS_PER_CHARACTER = 0.07  # a guess for the render time only
_CREATE_VIDEO_ERROR = 1015
_COLOURS = ("#2f6fb5", "#3d8a5f", "#b5483f", "#6b7280", "#d08a2e", "#7a5ab8", "#2b8a8f", "#c05a80")


@dataclass(frozen=True, kw_only=True)
class VideoOrder:
    """A checked create of any of the three pages.

    The avatar is named by ``avatar_id`` or ``avatar_url``; the sound is ``audio_url`` or ``text``
    with ``voice_id``.

    Attributes:
        page: The endpoint.
        body: As received.
        width: Of the canvas, in pixels.
        height: Of the canvas, in pixels.
        background: Colour or link of the canvas.
        avatar_id: From a list, or empty.
        avatar_url: Picture or video, used without an id.
        box: Centre x, centre y, width, height of the avatar on the canvas, in pixels.
        audio_url: Link of the sound, or empty.
        text: Script, or empty.
        voice_id: Says the text.
        webhook_url: For callbacks; empty for none.
    """

    page: str
    body: dict[str, Any]
    width: int
    height: int
    background: str
    box: tuple[float, float, float, float]
    avatar_id: str = ""
    avatar_url: str = ""
    audio_url: str = ""
    text: str = ""
    voice_id: str = ""
    webhook_url: str = ""


@dataclass(frozen=True, kw_only=True)
class _Sound:
    """Where a video's sound comes from, as its job keeps it."""

    seconds: float
    text: str = ""
    speech: dict[str, Any] | None = None
    file: str = ""
    broken: bool = False


@dataclass(frozen=True, kw_only=True)
class _Avatar:
    """What is known about a video's avatar."""

    portrait: Portrait
    picture_url: str = ""
    texts: tuple[str, ...] = field(default=())


async def accept_video(emulator: Emulator, order: VideoOrder) -> Job:
    """Accepts a create, or refuses it as AKOOL would.

    Raises:
        Refusal: As a marker says; 1014 for an unknown avatar or voice; 1015 for audio that
            cannot be fetched; 1005 and 1006 as `Emulator.accept` does.
    """
    check_text(emulator, order.text)
    avatar = _avatar(emulator, order)
    own_audio = _own_audio(emulator, order.audio_url)
    script = own_audio.details["text"] if own_audio else order.text
    texts = [script, order.audio_url, order.avatar_url, *avatar.texts]
    plan = emulator.rehearsals.plan(targets_of("video", speaks=bool(order.text)), texts)
    sound = await _sound(emulator, order, own_audio)
    if sound.broken:
        plan = _failing(plan)
    times = emulator.config.times
    guess = len(script) * _SECONDS_PER_CHARACTER if script else sound.seconds
    return emulator.accept(
        Draft(
            kind="video",
            page=order.page,
            body=order.body,
            details=await _details(emulator, order, avatar, sound),
            plan=plan,
            mean=times.video + times.video_per_second * guess,
            key=(order.avatar_id or steady(order.avatar_url), script or steady(order.audio_url)),
            seconds=sound.seconds,
            price=float(math.ceil(sound.seconds * emulator.config.prices.video_second)),
            webhook_url=order.webhook_url,
        )
    )


def _avatar(emulator: Emulator, order: VideoOrder) -> _Avatar:
    if not order.avatar_id:
        portrait = _portrait_of(order.avatar_url)
        return _Avatar(portrait=portrait, picture_url=order.avatar_url, texts=(order.avatar_url,))
    official = official_avatars(emulator.config.official_avatars).get(order.avatar_id)
    if official is not None:
        portrait = Portrait(
            name=official.name, colour=official.colour, female=official.gender == "female"
        )
        return _Avatar(portrait=portrait, texts=(official.marker,))
    upload = uploaded_avatar(emulator, order.avatar_id)
    if upload is not None and upload.status(emulator.clock.now()) == COMPLETED:
        url, name = upload.details["url"], upload.details["name"]
        return _Avatar(portrait=_portrait_of(order.avatar_id), picture_url=url, texts=(url, name))
    if upload is None and emulator.config.accept_unknown_ids:
        return _Avatar(portrait=_portrait_of(order.avatar_id), texts=(order.avatar_id,))
    raise Refusal(1014, f"avatar_id {order.avatar_id!r} does not exist or is not completed")


def _portrait_of(name: str) -> Portrait:
    number = hashlib.blake2b(name.encode(), digest_size=2).digest()
    colour = _COLOURS[number[0] % len(_COLOURS)]
    return Portrait(name=name, colour=colour, female=number[1] % 2 == 0)


def _own_audio(emulator: Emulator, url: str) -> Job | None:
    """The speech of this account that a link names, while the link is alive."""
    job_id = audio_job_id(url) if url else None
    own_host = is_loopback(url) or bool(emulator.base_url and url.startswith(emulator.base_url))
    job = emulator.book.get(job_id, "voice") if job_id and own_host else None
    return job if job is not None and emulator.link_is_alive(job) else None


async def _sound(emulator: Emulator, order: VideoOrder, own_audio: Job | None) -> _Sound:
    if own_audio is not None:
        details = own_audio.details
        return _Sound(
            seconds=own_audio.seconds,
            text=without_markers(details["text"]),
            speech=details["speech"],
        )
    if order.audio_url:
        return await _foreign_sound(emulator, order.audio_url)
    speech = speech_by(emulator, order.voice_id, order.text)
    seconds = await seconds_of(emulator, speech)
    return _Sound(seconds=seconds, text=speech.text, speech=asdict(speech))


async def _foreign_sound(emulator: Emulator, url: str) -> _Sound:
    if emulator.config.media == "tiny":
        return _Sound(seconds=TINY_SECONDS)
    try:
        name = await _fetched(emulator, url)
        path = emulator.library.input(name)
        seconds = await emulator.library.run(lambda: read_audio(path).seconds)
    except (Unreachable, ValueError):
        if emulator.config.unreachable_media == "refuse":
            raise Refusal(_CREATE_VIDEO_ERROR) from None
        return _Sound(seconds=TINY_SECONDS, broken=True)
    return _Sound(seconds=seconds, file=name)


def _failing(plan: Plan) -> Plan:
    return replace(
        plan,
        fails=True,
        error_code=_CREATE_VIDEO_ERROR,
        error_reason=MESSAGES[_CREATE_VIDEO_ERROR],
    )


async def _details(
    emulator: Emulator, order: VideoOrder, avatar: _Avatar, sound: _Sound
) -> dict[str, Any]:
    is_link = order.background.startswith(("http://", "https://"))
    return {
        "sound": asdict(sound),
        "scene": {
            "width": order.width,
            "height": order.height,
            "background": "#ffffff" if is_link else order.background,
            "box": list(order.box),
            "portrait": asdict(avatar.portrait),
            "background_file": await _picture(emulator, order.background if is_link else ""),
            "avatar_file": await _picture(emulator, avatar.picture_url),
        },
    }


async def _picture(emulator: Emulator, url: str) -> str:
    """The name of a fetched picture; empty when it cannot be fetched, as it then is not shown."""
    if not url or emulator.config.media == "tiny":
        return ""
    try:
        return await _fetched(emulator, url)
    except Unreachable:
        return ""


async def _fetched(emulator: Emulator, url: str) -> str:
    any_host = emulator.config.fetch_any_host
    # Not in the library's threads: the link may lead back here, where those make the answer.
    content = await asyncio.to_thread(fetch, url, any_host=any_host)
    return emulator.library.keep_input(content)
