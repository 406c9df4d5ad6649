"""The media host: results, which die after some days, and the pictures and samples of catalogs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from akool_dagster.emulator.catalog import official_avatars, official_voices
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.jobs import Job, JobKind
from akool_dagster.emulator.media.audio_files import AudioFormat, read_audio, write_audio
from akool_dagster.emulator.media.pictures import Portrait, Scene, draw_portrait
from akool_dagster.emulator.media.speech import Sound, Speech, speak
from akool_dagster.emulator.media.videos import render_video
from akool_dagster.emulator.pages.avatars import uploaded_avatar
from akool_dagster.emulator.pages.calls import emulator_of
from akool_dagster.emulator.pages.speaking import find_voice

_PORTRAIT_SIDE = 512
_PREVIEW_TEXTS = {
    "de": "Hallo, ich bin {name}. So klingt meine Stimme.",
    "fr": "Bonjour, je suis {name}. Voici ma voix.",
    "es": "Hola, soy {name}. Así suena mi voz.",
    "it": "Ciao, sono {name}. Questa è la mia voce.",
    "pt": "Olá, eu sou {name}. Esta é a minha voz.",
    "ja": "こんにちは。これはわたしのこえです。",
    "zh": "你好。这是我的声音。",
    "hi": "नमस्ते, यह मेरी आवाज़ है।",
    "nl": "Hallo, ik ben {name}. Zo klinkt mijn stem.",
    "pl": "Cześć, jestem {name}. Tak brzmi mój głos.",
    "ru": "Здравствуйте, это мой голос.",
    "tr": "Merhaba, ben {name}. Sesim böyle.",
    "ko": "안녕하세요. 제 목소리입니다.",
    "ar": "مرحبا، هذا صوتي.",
}
_ENGLISH = "Hello, I am {name}. This is how my voice sounds."
_DEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)
_TINY_SPEECH = Speech(text="")
_TYPES = {".mp4": "video/mp4", ".mp3": "audio/mpeg", ".wav": "audio/wav", ".png": "image/png"}


def routes() -> list[Route]:
    """The media host's addresses; none needs a key."""
    return [
        Route("/media/videos/{name}", _video),
        Route("/media/audio/{name}", _audio),
        Route("/media/avatars/{name:path}", _portrait),
        Route("/media/voices/{name:path}", _preview),
    ]


async def _video(request: Request) -> Response:
    emulator, job = emulator_of(request), _living_job(request, "video")
    if job is None:
        return _dead(emulator)
    if emulator.config.media == "tiny":
        return await _answer(emulator, "tiny.mp4", _make_tiny_video)
    return await _answer(emulator, f"{job.id}.mp4", lambda path: _make_video(emulator, job, path))


async def _audio(request: Request) -> Response:
    emulator, job = emulator_of(request), _living_job(request, "voice")
    if job is None:
        return _dead(emulator)
    audio_format = AudioFormat(**job.details["format"])
    if emulator.config.media == "tiny":
        name, speech = f"tiny.{audio_format.container}", _TINY_SPEECH
    else:
        name, speech = f"{job.id}.{audio_format.container}", Speech(**job.details["speech"])
    return await _answer(
        emulator, name, lambda path: write_audio(speak(speech), path, audio_format)
    )


async def _portrait(request: Request) -> Response:
    emulator, avatar_id = emulator_of(request), _stem(request)
    official = official_avatars(emulator.config.official_avatars).get(avatar_id)
    upload = uploaded_avatar(emulator, avatar_id)
    if official is not None:
        female = official.gender == "female"
        portrait = Portrait(name=official.name, colour=official.colour, female=female)
    elif upload is not None:
        portrait = Portrait(name=avatar_id, colour="#6b7280")
    else:
        return _dead(emulator)
    return await _answer(
        emulator,
        f"avatar-{avatar_id}.png",
        lambda path: draw_portrait(portrait, _PORTRAIT_SIDE).save(path, format="PNG"),
    )


async def _preview(request: Request) -> Response:
    emulator, voice_id = emulator_of(request), _stem(request)
    official = official_voices().get(voice_id)
    if official is not None:
        text = _PREVIEW_TEXTS.get(official.locale[:2], _ENGLISH).format(name=official.name)
        female = official.gender == "female"
        speech = Speech(text=text, locale=official.locale, female=female, timbre=voice_id)
    elif find_voice(emulator, voice_id) is not None:
        speech = Speech(text=_ENGLISH.format(name="your cloned voice"), timbre=voice_id)
    else:
        return _dead(emulator)
    return await _answer(
        emulator,
        f"voice-{voice_id}.mp3",
        lambda path: write_audio(speak(speech), path, AudioFormat()),
    )


def _make_video(emulator: Emulator, job: Job, path: Path) -> None:
    sound = job.details["sound"]
    render_video(_scene(emulator, job), _sound(emulator, sound), sound["text"], path)


def _scene(emulator: Emulator, job: Job) -> Scene:
    scene: dict[str, Any] = job.details["scene"]
    x, y, width, height = scene["box"]
    return Scene(
        width=scene["width"],
        height=scene["height"],
        background=scene["background"],
        box=(x, y, width, height),
        portrait=Portrait(**scene["portrait"]),
        background_file=_input(emulator, scene["background_file"]),
        avatar_file=_input(emulator, scene["avatar_file"]),
    )


def _sound(emulator: Emulator, sound: dict[str, Any]) -> Sound:
    if sound["speech"]:
        return speak(Speech(**sound["speech"]))
    path = _input(emulator, sound["file"])
    return read_audio(path) if path else speak(_TINY_SPEECH)


def _input(emulator: Emulator, name: str) -> Path | None:
    return emulator.library.input(name) if name else None


def _make_tiny_video(path: Path) -> None:
    portrait = Portrait(name="tiny", colour="#2f6fb5")
    scene = Scene(
        width=320, height=180, background="#ffffff", portrait=portrait, box=(160, 90, 160, 160)
    )
    render_video(scene, speak(_TINY_SPEECH), "", path)


def _living_job(request: Request, kind: JobKind) -> Job | None:
    emulator = emulator_of(request)
    emulator.catch_up()
    job = emulator.book.get(_stem(request), kind)
    return job if job is not None and emulator.link_is_alive(job) else None


def _stem(request: Request) -> str:
    return request.path_params["name"].rpartition(".")[0]


def _dead(emulator: Emulator) -> Response:
    status = emulator.config.dead_link_status
    return Response(_DEAD, status_code=status, media_type="application/xml")


async def _answer(emulator: Emulator, name: str, make: Callable[[Path], None]) -> Response:
    path = await emulator.library.made(name, make)
    return FileResponse(path, media_type=_TYPES[path.suffix])
