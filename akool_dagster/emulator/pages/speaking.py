"""What the two generations of text-to-speech have in common, and video with its own speech."""

from dataclasses import asdict
from typing import Any

from akool_dagster.emulator.answers import Refusal
from akool_dagster.emulator.catalog import Voice, official_voices
from akool_dagster.emulator.emulator import Draft, Emulator
from akool_dagster.emulator.jobs import COMPLETED, FAILED, Job
from akool_dagster.emulator.markers import without_markers
from akool_dagster.emulator.media.audio_files import AudioFormat
from akool_dagster.emulator.media.speech import Speech, speak
from akool_dagster.emulator.rehearsal import Plan, targets_of

TINY_SECONDS = 1.0  # length of the one file that serves all jobs in tiny mode


def check_text(emulator: Emulator, text: str) -> None:
    """Refuses a text beyond the plan's limit, in characters.

    Raises:
        Refusal: With 1003.
    """
    limit = emulator.config.text_limit
    if len(text) > limit:
        raise Refusal(1003, f"input_text has {len(text)} characters, the plan allows {limit}")


def find_voice(emulator: Emulator, voice_id: str) -> Voice | Job | None:
    """An official voice or a finished cloned one, by ``voice_id`` or ``_id``."""
    official = official_voices()
    if voice_id in official:
        return official[voice_id]
    by_record = next((voice for voice in official.values() if voice.record_id == voice_id), None)
    return by_record or _cloned_voice(emulator, voice_id)


def speech_by(
    emulator: Emulator, voice_id: str, text: str, *, rate: float = 1.0, language_code: str = ""
) -> Speech:
    """A text as it is said by a voice; markers are not said.

    Raises:
        Refusal: With 1014 for an unknown voice, unless unknown ids are accepted.
    """
    voice = find_voice(emulator, voice_id)
    if voice is None and not emulator.config.accept_unknown_ids:
        raise Refusal(1014, f"voice_id {voice_id!r} does not exist")
    official = voice if isinstance(voice, Voice) else None
    return Speech(
        text=without_markers(text),
        locale=official.locale if official else "en-US",
        language_code=language_code,
        female=official.gender == "female" if official else len(voice_id) % 2 == 0,
        timbre=voice_id,
        rate=rate,
    )


async def seconds_of(emulator: Emulator, speech: Speech) -> float:
    """How long a speech is."""
    if emulator.config.media == "tiny":
        return TINY_SECONDS
    return await emulator.library.run(lambda: speak(speech).seconds)


async def accept_speech(
    emulator: Emulator,
    *,
    page: str,
    body: dict[str, Any],
    text: str,
    speech: Speech,
    plan: Plan,
    audio_format: AudioFormat,
    webhook_url: str,
    extras: dict[str, Any],
) -> Job:
    """Accepts one text-to-speech create.

    Args:
        emulator: Whose.
        page: The endpoint.
        body: As received.
        text: With its markers; it is charged by the character.
        speech: What is said.
        plan: As its markers say.
        audio_format: Of the file.
        webhook_url: For callbacks.
        extras: Kept in the job's details for the page.
    """
    price = round(len(text) / 1000 * emulator.config.prices.thousand_characters, 4)
    return emulator.accept(
        Draft(
            kind="voice",
            page=page,
            body=body,
            details={
                "text": text,
                "speech": asdict(speech),
                "format": asdict(audio_format),
                **extras,
            },
            plan=plan,
            mean=emulator.config.times.voice,
            key=(speech.timbre, text),
            seconds=await seconds_of(emulator, speech),
            price=price,
            webhook_url=webhook_url,
        )
    )


def plan_speech(emulator: Emulator, *texts: str) -> Plan:
    """What the markers in a text-to-speech create make of it.

    Raises:
        Refusal: As a marker says.
    """
    return emulator.rehearsals.plan(targets_of("voice"), texts)


def failure_fields(emulator: Emulator, job: Job) -> dict[str, Any]:
    """Code and reason of a failed job, in the field that the emulator's habits name."""
    field = emulator.config.shapes.failure
    failed = job.status(emulator.clock.now()) == FAILED
    if not failed or field == "none" or not (job.error_code or job.error_reason):
        return {}
    reason = {field: job.error_reason} if job.error_reason else {}
    code = {"error_code": job.error_code} if field == "error_reason" else {}
    return code | reason


def _cloned_voice(emulator: Emulator, voice_id: str) -> Job | None:
    now = emulator.clock.now()
    for job in emulator.jobs("clone"):
        named = voice_id in (job.id, job.details["voice_id"])
        if named and job.id not in emulator.deleted and job.status(now) == COMPLETED:
            return job
    return None
