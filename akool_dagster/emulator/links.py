"""The paths of the media host."""

import re
from urllib.parse import quote, urlsplit

from akool_dagster.emulator.jobs import Job

_AUDIO_PATH = re.compile(r"/media/audio/([0-9a-f]{24})\.(?:mp3|wav)")


def result_path(job: Job) -> str:
    """Where a completed job's result is served."""
    if job.kind == "video":
        return f"/media/videos/{job.id}.mp4"
    if job.kind == "voice":
        return f"/media/audio/{job.id}.{job.details['format']['container']}"
    if job.kind == "clone":
        return preview_path(job.details["voice_id"])
    return portrait_path(job.details["avatar_id"])


def portrait_path(avatar_id: str) -> str:
    """Where the picture of an avatar is served."""
    return f"/media/avatars/{quote(avatar_id)}.png"


def preview_path(voice_id: str) -> str:
    """Where the sample of a voice is served."""
    return f"/media/voices/{quote(voice_id)}.mp3"


def audio_job_id(url: str) -> str | None:
    """The ``_id`` of the speech that a link to the media host names; None for other links."""
    match = _AUDIO_PATH.fullmatch(urlsplit(url).path)
    return match.group(1) if match else None
