"""Voices and speech of the second generation (docs: voiceLab page, v4)."""

import asyncio
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from akool_dagster.emulator.answers import (
    MESSAGES,
    Refusal,
    json_body,
    number_field,
    query_number,
    text_field,
)
from akool_dagster.emulator.catalog import Voice, official_voices
from akool_dagster.emulator.emulator import Draft, Emulator
from akool_dagster.emulator.jobs import COMPLETED, Job
from akool_dagster.emulator.links import preview_path, result_path
from akool_dagster.emulator.media.audio_files import AudioFormat
from akool_dagster.emulator.media.fetching import Unreachable, fetch, is_loopback
from akool_dagster.emulator.pages.calls import (
    TEAM_ID,
    UID,
    created,
    get,
    page_of,
    post,
)
from akool_dagster.emulator.pages.speaking import (
    accept_speech,
    check_text,
    failure_fields,
    plan_speech,
    speech_by,
)
from akool_dagster.emulator.pages.webhook_urls import webhook_url
from akool_dagster.emulator.rehearsal import Plan, targets_of

_CLONED, _OFFICIAL = "1", "2"
_TTS, _VOICE_CHANGER = "1", "2"
_SAMPLE_RATES = (8000, 16_000, 22_050, 24_000, 32_000, 44_100)
_BIT_RATES = (32_000, 64_000, 128_000, 256_000)
_MODEL = "Akool Multilingual 1"
_CANNOT_CLONE = "Akool Multilingual 2"
_LARGEST_SAMPLE = 30 * 1024 * 1024  # docs: 30 MB, without saying of how many bytes
_VOICE_PROCESSING_ERROR = 1112


def routes() -> list[Route]:
    """The page's endpoints."""
    base = "/api/open/v4/voice"
    return [
        get(f"{base}/list", _voices),
        get(f"{base}/detail/{{record_id}}", _voice_detail),
        post(f"{base}/tts", _tts),
        get(f"{base}/resource/detail/{{record_id}}", _resource_detail),
        get(f"{base}/resource/list", _resources),
        post(f"{base}/clone", _clone),
        post(f"{base}/del", _delete),
    ]


async def _voices(emulator: Emulator, request: Request) -> dict[str, Any]:
    query = request.query_params
    if query.get("type") not in (_CLONED, _OFFICIAL):
        raise Refusal(1003, f"type must be 1 or 2, not {query.get('type', '')!r}")
    if query.get("type") == _OFFICIAL:
        items = [_official(emulator, voice) for voice in official_voices().values()]
    else:
        items = [_cloned(emulator, job) for job in _kept_clones(emulator)]
    items = [item for item in items if _matches(item, query)]
    return _listing(request, items)


async def _voice_detail(emulator: Emulator, request: Request) -> dict[str, Any]:
    record_id = request.path_params["record_id"]
    voices = official_voices().values()
    official = next((voice for voice in voices if voice.record_id == record_id), None)
    if official is not None:
        return _official(emulator, official)
    emulator.polls[record_id] += 1
    return _cloned(emulator, emulator.job(record_id, "clone"))


async def _tts(emulator: Emulator, request: Request) -> dict[str, Any]:
    body = await json_body(request)
    text, voice_id = text_field(body, "input_text"), text_field(body, "voice_id")
    options = _section(body, "voice_options")
    speed = number_field(options, "speed", default=1.0, low=0.7, high=1.2)
    language, url = text_field(body, "language_code", required=False), webhook_url(body)
    audio_format = _audio_format(_section(_section(body, "extra_options"), "audio_setting"))
    check_text(emulator, text)
    plan = plan_speech(emulator, text)
    job = await accept_speech(
        emulator,
        page="voice/tts",
        body=body,
        text=text,
        speech=speech_by(emulator, voice_id, text, rate=speed, language_code=language),
        plan=plan,
        audio_format=audio_format,
        webhook_url=url,
        extras={"voice_id": voice_id},
    )
    return _resource(emulator, await created(emulator, request, job))


async def _resource_detail(emulator: Emulator, request: Request) -> dict[str, Any]:
    record_id = request.path_params["record_id"]
    emulator.polls[record_id] += 1
    return {"result": _resource(emulator, emulator.job(record_id, "voice"))}


async def _resources(emulator: Emulator, request: Request) -> dict[str, Any]:
    type_ = request.query_params.get("type")
    if type_ not in (_TTS, _VOICE_CHANGER):
        raise Refusal(1003, f"type must be 1 or 2, not {type_!r}")
    jobs = [job for job in reversed(emulator.jobs("voice")) if type_ == _TTS]
    return _listing(request, [_resource(emulator, job) for job in jobs])


async def _clone(emulator: Emulator, request: Request) -> dict[str, Any]:
    body = await json_body(request)
    sample = text_field(body, "source_voice_file")
    name = text_field(body, "name", required=False) or "Cloned voice"
    model = text_field(body, "voice_model_name", required=False) or _MODEL
    url = webhook_url(body)
    if not sample.startswith(("http://", "https://")):
        raise Refusal(1003, f"source_voice_file must be an http or https link, not {sample!r}")
    if model == _CANNOT_CLONE:
        raise Refusal(1003, f"{_CANNOT_CLONE} can not clone voices")
    plan = emulator.rehearsals.plan(targets_of("clone"), [sample, name])
    plan = await _with_sample(emulator, plan, sample)
    job = emulator.accept(
        Draft(
            kind="clone",
            page="voice/clone",
            body=body,
            details={"name": name, "model": model, "sample": sample},
            plan=plan,
            mean=emulator.config.times.cloned_voice,
            key=(sample, name),
            webhook_url=url,
        )
    )
    return _cloned(emulator, await created(emulator, request, job))


async def _with_sample(emulator: Emulator, plan: Plan, sample: str) -> Plan:
    """Reads the sample where that is allowed; the tiny mode and other hosts are believed."""
    any_host = emulator.config.fetch_any_host
    if emulator.config.media == "tiny" or not (any_host or is_loopback(sample)):
        return plan
    try:
        content = await asyncio.to_thread(fetch, sample, any_host=any_host)
    except Unreachable:
        if emulator.config.unreachable_media == "refuse":
            raise Refusal(_VOICE_PROCESSING_ERROR) from None
        reason = MESSAGES[_VOICE_PROCESSING_ERROR]
        return replace(plan, fails=True, error_code=_VOICE_PROCESSING_ERROR, error_reason=reason)
    if len(content) > _LARGEST_SAMPLE:
        raise Refusal(1003, "source_voice_file can not be larger than 30 MB")
    return plan


async def _delete(emulator: Emulator, request: Request) -> dict[str, Any]:
    body = await json_body(request)
    ids = body.get("_ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(item, str) for item in ids):
        raise Refusal(1003, f"_ids must be an array of ids, not {ids!r}")
    own = {job.id for job in _kept_clones(emulator)}
    deleted = [item for item in ids if item in own]
    for item in deleted:
        emulator.delete(item)
    foreign = [{"_id": item, "msg": "No permission"} for item in ids if item not in own]
    return {"successIds": deleted, "noPermissionVoices": foreign}


def _section(body: dict[str, Any], name: str) -> dict[str, Any]:
    section = body.get(name) or {}
    if not isinstance(section, dict):
        raise Refusal(1003, f"{name} must be an object, not {section!r}")
    return section


def _audio_format(setting: dict[str, Any]) -> AudioFormat:
    default = AudioFormat()
    allowed = {
        "format": ("mp3", "wav"),
        "sample_rate": _SAMPLE_RATES,
        "bitrate": _BIT_RATES,
        "channel": (1, 2),
    }
    for name, values in allowed.items():
        if name in setting and setting[name] not in values:
            raise Refusal(1003, f"{name} must be one of {values}, not {setting[name]!r}")
    return AudioFormat(
        container=setting.get("format", default.container),
        sample_rate=setting.get("sample_rate", default.sample_rate),
        bit_rate=setting.get("bitrate", default.bit_rate),
        channels=setting.get("channel", default.channels),
    )


def _listing(request: Request, items: list[dict[str, Any]]) -> dict[str, Any]:
    page, size = query_number(request, "page", default=1), query_number(request, "size", default=10)
    shown = page_of(items, page=page, size=size)
    return {"result": shown, "count": len(items), "page": page, "size": size}


def _matches(item: dict[str, Any], query) -> bool:
    for name in ("style", "age", "scenario", "gender"):
        wanted = {value.strip().lower() for value in query.get(name, "").split(",") if value}
        value = item[name]
        values = {text.lower() for text in ([value] if isinstance(value, str) else value)}
        if wanted and not wanted & values:
            return False
    stream = {"1": True, "2": False}.get(query.get("support_stream", ""))
    if stream is not None and item["support_stream"] is not stream:
        return False
    return query.get("name", "").lower() in item["name"].lower()


def _kept_clones(emulator: Emulator) -> list[Job]:
    return [job for job in emulator.jobs("clone") if job.id not in emulator.deleted]


def _official(emulator: Emulator, voice: Voice) -> dict[str, Any]:
    return {
        "_id": voice.record_id,
        "uid": 1,
        "team_id": TEAM_ID,
        "voice_id": voice.voice_id,
        "gender": voice.gender.title(),
        "language": voice.language,
        "locale": voice.locale,
        "name": voice.name,
        "preview": emulator.link(preview_path(voice.voice_id)),
        "text": "",
        "duration": 0,
        "status": COMPLETED,
        "create_time": 1_700_000_000_000,
        "update_time": 1_700_000_000_000,
        "style": ["Calm"],
        "scenario": ["Narration"],
        "age": ["Adult"],
        "deduction_credit": 0,
        "webhookUrl": "",
        "voice_model_name": _MODEL,
        "support_stream": False,
    }


def _cloned(emulator: Emulator, job: Job) -> dict[str, Any]:
    done = job.status(emulator.clock.now()) == COMPLETED
    options = _section(job.body, "voice_options")
    return {
        "_id": job.id,
        "uid": UID,
        "team_id": TEAM_ID,
        "voice_id": job.details["voice_id"] if done else None,
        "gender": options.get("gender") or [],
        "language": options.get("language", "en"),
        "locale": "",
        "name": job.details["name"],
        "preview": emulator.link(result_path(job)) if done else None,
        "text": "",
        "duration": 0,
        "status": job.status(emulator.clock.now()),
        "create_time": emulator.milliseconds(job.created),
        "update_time": emulator.milliseconds(min(job.ended, emulator.clock.now())),
        "style": options.get("style") or [],
        "scenario": options.get("scenario") or [],
        "age": options.get("age") or [],
        "deduction_credit": 0,
        "webhookUrl": job.webhook_url,
        "voice_model_name": job.details["model"],
        "support_stream": False,
        **failure_fields(emulator, job),
    }


def _resource(emulator: Emulator, job: Job) -> dict[str, Any]:
    now = emulator.clock.now()
    done = job.status(now) == COMPLETED
    return {
        "_id": job.id,
        "uid": UID,
        "team_id": TEAM_ID,
        "type": int(_TTS),
        "status": job.status(now),
        "input_text": job.details["text"],
        "preview": emulator.link(result_path(job)) if done else None,
        "file_name": f"{job.id}.{job.details['format']['container']}",
        "name": job.details["text"][:40],
        "duration": round(job.seconds * 1000) if done else 0,
        "deduction_credit": job.price,
        "voice_id": job.details["speech"]["timbre"],
        "voice_model_id": job.details.get("voice_record", ""),
        "voice_options": job.body.get("voice_options") or {},
        "webhookUrl": job.webhook_url,
        "create_time": emulator.milliseconds(job.created),
        "update_time": emulator.milliseconds(min(job.ended, now)),
        **failure_fields(emulator, job),
    }
