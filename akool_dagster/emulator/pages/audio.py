"""Voices and speech of the first generation (docs: audio page, v3)."""

import re
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from akool_dagster.emulator.answers import Refusal, json_body, text_field
from akool_dagster.emulator.catalog import Voice, official_voices
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.jobs import COMPLETED, Job
from akool_dagster.emulator.links import preview_path, result_path
from akool_dagster.emulator.markers import without_markers
from akool_dagster.emulator.media.audio_files import AudioFormat
from akool_dagster.emulator.media.speech import Speech
from akool_dagster.emulator.pages.calls import UID, created, get, post
from akool_dagster.emulator.pages.speaking import (
    accept_speech,
    check_text,
    failure_fields,
    find_voice,
    plan_speech,
    speech_by,
)
from akool_dagster.emulator.pages.webhook_urls import webhook_url

_OFFICIAL, _OWN = "3", "4"
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)%")
_FORMAT = AudioFormat(sample_rate=44_100, bit_rate=64_000)


def routes() -> list[Route]:
    """The page's endpoints."""
    return [
        get("/api/open/v3/voice/list", _voices),
        post("/api/open/v3/audio/create", _create),
        post("/api/open/v3/audio/clone", _clone),
        get("/api/open/v3/audio/infobymodelid", _info),
    ]


async def _voices(emulator: Emulator, request: Request) -> list[dict[str, Any]]:
    source = request.query_params.get("from", "")
    if source not in ("", _OFFICIAL, _OWN):
        raise Refusal(1003, f"from must be 3 or 4, not {source!r}")
    voices: list[dict[str, Any]] = []
    if source in ("", _OFFICIAL):
        voices += [_official(emulator, voice) for voice in official_voices().values()]
    if source in ("", _OWN):
        voices += [
            _own(emulator, job)
            for job in emulator.jobs("clone")
            if job.id not in emulator.deleted and job.status(emulator.clock.now()) == COMPLETED
        ]
    return voices


async def _create(emulator: Emulator, request: Request) -> dict[str, Any]:
    body = await json_body(request)
    text, voice_id = text_field(body, "input_text"), text_field(body, "voice_id")
    rate, url = _rate(body, required=False), webhook_url(body)
    check_text(emulator, text)
    plan = plan_speech(emulator, text)
    speech = speech_by(emulator, voice_id, text, rate=rate)
    voice = find_voice(emulator, voice_id)
    job = await accept_speech(
        emulator,
        page="audio/create",
        body=body,
        text=text,
        speech=speech,
        plan=plan,
        audio_format=_FORMAT,
        webhook_url=url,
        extras={"voice_record": _record_id(voice)},
    )
    return _item(emulator, await created(emulator, request, job))


async def _clone(emulator: Emulator, request: Request) -> dict[str, Any]:
    body = await json_body(request)
    text = text_field(body, "input_text")
    sample = text_field(body, "voice_url", required=False)
    voice_id = text_field(body, "voice_id", required=False)
    rate, url = _rate(body, required=True), webhook_url(body)
    if not sample and not voice_id:
        raise Refusal(1003, "voice_id and voice_url must provide one")
    check_text(emulator, text)
    plan = plan_speech(emulator, text, sample)
    if sample:
        female = len(sample) % 2 == 0
        speech = Speech(text=without_markers(text), female=female, timbre=sample, rate=rate)
    else:
        speech = speech_by(emulator, voice_id, text, rate=rate)
    job = await accept_speech(
        emulator,
        page="audio/clone",
        body=body,
        text=text,
        speech=speech,
        plan=plan,
        audio_format=_FORMAT,
        webhook_url=url,
        extras={"voice_record": ""},
    )
    return _item(emulator, await created(emulator, request, job))


async def _info(emulator: Emulator, request: Request) -> dict[str, Any]:
    job_id = request.query_params.get("audio_model_id", "")
    if not job_id:
        raise Refusal(1003, "audio_model_id can not be empty")
    emulator.polls[job_id] += 1
    return _item(emulator, emulator.job(job_id, "voice"))


def _rate(body: dict[str, Any], *, required: bool) -> float:
    text = text_field(body, "rate", required=required)
    match = _PERCENT.fullmatch(text or "100%")
    if match is None or float(match.group(1)) > 100:
        raise Refusal(1003, f"rate must be 0% to 100%, not {text!r}")
    return float(match.group(1)) / 100


def _record_id(voice: Voice | Job | None) -> str:
    if voice is None:
        return ""
    return voice.record_id if isinstance(voice, Voice) else voice.id


def _item(emulator: Emulator, job: Job) -> dict[str, Any]:
    status = job.status(emulator.clock.now())
    return {
        "_id": job.id,
        "create_time": emulator.milliseconds(job.created),
        "uid": UID,
        "from": 3,
        "input_text": job.details["text"],
        "rate": job.body.get("rate") or "100%",
        "voice_model_id": job.details.get("voice_record", ""),
        "url": emulator.link(result_path(job)) if status == COMPLETED else "",
        "status": status,
        **failure_fields(emulator, job),
    }


def _official(emulator: Emulator, voice: Voice) -> dict[str, Any]:
    return {
        "_id": voice.record_id,
        "create_time": 1_700_000_000_000,
        "uid": 1,
        "from": 3,
        "voice_id": voice.voice_id,
        "gender": voice.gender.title(),
        "name": voice.name,
        "accent": voice.accent,
        "description": f"{voice.language} voice of the emulator",
        "useCase": "narration",
        "type": 2,
        "preview": emulator.link(preview_path(voice.voice_id)),
    }


def _own(emulator: Emulator, job: Job) -> dict[str, Any]:
    return {
        "_id": job.id,
        "create_time": emulator.milliseconds(job.created),
        "uid": UID,
        "from": 4,
        "voice_id": job.details["voice_id"],
        "name": job.details["name"],
        "type": 1,
        "preview": emulator.link(preview_path(job.details["voice_id"])),
    }
