"""What is sent: a request of ``models`` as the JSON body that an endpoint documents.

Layout of a video, where AKOOL leaves it open: the canvas is 3840x2160 for
``talkingavatar/create`` ("must be", docs: talking-avatar page) and 1920x1080 for
``avatar/createVideo`` (docs: avatar page). AKOOL's text calls an element's offset its upper left
corner, yet all its samples put the middle of the canvas there, so everything is centred that way.
A background and a linked picture or video fill the canvas; a listed avatar gets the square form
of AKOOL's sample, as large as fits the canvas.
"""

import math
from typing import Any

from akool_dagster.akool.models import (
    AvatarSource,
    AvatarUpload,
    ClonedSpeechRequest,
    LinkedAvatar,
    SpeechRequest,
    VideoRequest,
    VoiceCloneRequest,
)

Payload = dict[str, Any]


class Inexpressible(ValueError):
    """The chosen API has no way to say what a request asks for."""


def speech_v3(request: SpeechRequest) -> Payload:
    """Body of ``v3/audio/create`` (docs: audio page).

    Raises:
        Inexpressible: The rate is outside 0 to 100 percent.
    """
    return {
        "input_text": request.text,
        "voice_id": request.voice_id,
        "rate": _rate_v3(request.rate_percent),
        "webhookUrl": request.webhook_url or "",
    }


def cloned_speech_v3(request: ClonedSpeechRequest) -> Payload:
    """Body of ``v3/audio/clone`` (docs: audio page).

    Raises:
        Inexpressible: The rate is outside 0 to 100 percent.
    """
    return {
        "input_text": request.text,
        "voice_url": request.sample_url,
        "rate": _rate_v3(request.rate_percent),
        "webhookUrl": request.webhook_url or "",
    }


def speech_v4(request: SpeechRequest) -> Payload:
    """Body of ``v4/voice/tts`` (docs: VoiceLab page).

    Raises:
        Inexpressible: The rate is outside 70 to 120 percent.
    """
    payload: Payload = {
        "input_text": request.text,
        "voice_id": request.voice_id,
        "webhookUrl": request.webhook_url or "",
    }
    if request.language:
        payload["language_code"] = request.language
    if request.rate_percent is not None:
        _check_rate(request.rate_percent, api="v4", lowest=70, highest=120)
        payload["voice_options"] = {"speed": request.rate_percent / 100}
    return payload


def voice_clone(request: VoiceCloneRequest) -> Payload:
    """Body of ``v4/voice/clone`` (docs: VoiceLab page)."""
    options: Payload = {}
    if request.language:
        options["language"] = request.language
    if request.remove_background_noise is not None:
        options["remove_background_noise"] = request.remove_background_noise
    payload: Payload = {
        "source_voice_file": request.sample_url,
        "name": request.name,
        "webhookUrl": request.webhook_url or "",
    }
    if request.model:
        payload["voice_model_name"] = request.model
    if options:
        payload["voice_options"] = options
    return payload


def avatar_upload(request: AvatarUpload) -> Payload:
    """Body of ``v3/avatar/create`` (docs: avatar page)."""
    return {
        "url": request.url,
        "avatar_id": request.avatar_id,
        "name": request.name,
        "type": int(request.kind),
        "url_from": 2 if request.is_platform_link else 1,
    }


def talking_avatar(request: VideoRequest) -> Payload:
    """Body of ``v3/talkingavatar/create`` (docs: talking-avatar page)."""
    width, height = request.width or 3840, request.height or 2160
    centred: Payload = {
        "scale_x": 1,
        "scale_y": 1,
        "offset_x": width // 2,
        "offset_y": height // 2,
    }
    full: Payload = {"width": width, "height": height, **centred}
    elements: list[Payload] = []
    if request.background:
        elements.append({"type": "image", "url": request.background, **full})
    if isinstance(request.avatar, LinkedAvatar):
        elements.append({"type": "avatar", "url": request.avatar.url, **full})
    else:
        side = min(width, height)
        square: Payload = {"width": side, "height": side, **centred}
        elements.append({"type": "avatar", "avatar_id": request.avatar.avatar_id, **square})
    elements.append({"type": "audio", "url": request.audio_url})
    return {
        "width": width,
        "height": height,
        "avatar_from": _avatar_from(request),
        "elements": elements,
        "webhookUrl": request.webhook_url or "",
    }


def create_video(request: VideoRequest) -> Payload:
    """Body of ``v3/avatar/createVideo`` (docs: avatar page), with one scene."""
    width, height = request.width or 1920, request.height or 1080
    milliseconds = round(request.audio_seconds * 1000, 3)
    centred: Payload = {
        "scale_x": 1,
        "scale_y": 1,
        "offset_x": width // 2,
        "offset_y": height // 2,
    }
    avatar: Payload = {"id": "avatar", "type": "avatar", **centred, "layer_number": 2}
    if isinstance(request.avatar, LinkedAvatar):
        avatar["url"] = request.avatar.url
    else:
        avatar["avatar_id"] = request.avatar.avatar_id
    scene: Payload = {
        "width": width,
        "height": height,
        "duration": milliseconds,
        "ratio": _ratio(width, height),
        "voice": {"voice_url": request.audio_url},
        "elements": [avatar],
        "avatarFrom": _avatar_from(request),
    }
    if request.background and request.background.startswith("#"):
        scene["background"] = request.background
    elif request.background:
        picture = {"type": "image", "url": request.background, **centred, "layer_number": 1}
        scene["elements"] = [picture, avatar]
    return {
        "data": [scene],
        "duration": milliseconds,
        "webhookUrl": request.webhook_url or "",
    }


def _avatar_from(request: VideoRequest) -> int:
    # docs: a bare link must be sent as an avatar of the user's own
    if isinstance(request.avatar, LinkedAvatar):
        return int(AvatarSource.OWN)
    return int(request.avatar.avatar_from)


def _ratio(width: int, height: int) -> str:
    divisor = math.gcd(width, height)
    return f"{width // divisor}:{height // divisor}"


def _rate_v3(percent: int | None) -> str:
    if percent is None:
        return "100%"
    _check_rate(percent, api="v3", lowest=0, highest=100)
    return f"{percent}%"


def _check_rate(percent: int, *, api: str, lowest: int, highest: int) -> None:
    if not lowest <= percent <= highest:
        raise Inexpressible(
            f"rate_percent is {percent}; AKOOL's {api} voices speak at {lowest} to {highest} "
            "percent of their normal speed."
        )
