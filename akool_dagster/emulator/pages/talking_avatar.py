"""``talkingavatar/create`` (docs: talking-avatar page), AKOOL's current way."""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from akool_dagster.emulator.answers import Refusal, json_body, number_field, text_field
from akool_dagster.emulator.catalog import GENERATED_AVATAR, OFFICIAL_AVATAR, UPLOADED_AVATAR
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.jobs import QUEUED
from akool_dagster.emulator.pages import fields
from akool_dagster.emulator.pages.calls import UID, created, post
from akool_dagster.emulator.pages.video_orders import VideoOrder, accept_video
from akool_dagster.emulator.pages.webhook_urls import webhook_url

CANVAS = (3840, 2160)
_SOURCES = (OFFICIAL_AVATAR, UPLOADED_AVATAR, GENERATED_AVATAR)
_ELEMENTS = ("avatar", "image", "audio")


def routes() -> list[Route]:
    """The page's endpoints."""
    return [post("/api/open/v3/talkingavatar/create", _create)]


async def _create(emulator: Emulator, request: Request) -> dict[str, Any]:
    order = _order(await json_body(request), strict=emulator.config.strict_sizes)
    job = await created(emulator, request, await accept_video(emulator, order))
    return {
        "_id": job.id,
        "uid": UID,
        "video_id": job.details["video_id"],
        "task_id": job.details["task_id"],
        "video_status": QUEUED,
        "video": "",
        "create_time": emulator.milliseconds(job.created),
    }


def _order(body: dict[str, Any], *, strict: bool) -> VideoOrder:
    canvas = fields.sides(body)
    if strict and canvas != CANVAS:
        raise Refusal(1003, f"width and height must be 3840 and 2160, not {canvas}")
    source = number_field(body, "avatar_from", low=min(_SOURCES), high=max(_SOURCES))
    if source not in _SOURCES:
        raise Refusal(1003, f"avatar_from must be one of {_SOURCES}, not {source:g}")
    elements = fields.objects(body, "elements")
    for element in elements:
        if element.get("type") not in _ELEMENTS:
            raise Refusal(1003, f"elements[].type must be one of {_ELEMENTS}")
    images = [element for element in elements if element["type"] == "image"]
    avatar = _only(elements, "avatar")
    audio = _only(elements, "audio")
    background = "#ffffff"
    for image in images:
        background = fields.colour_or_link(image.get("url"), "elements[].url of the image")
        fields.placement(image, canvas)
    return VideoOrder(
        page="talkingavatar/create",
        body=body,
        width=canvas[0],
        height=canvas[1],
        background=background,
        box=fields.placement(avatar, canvas),
        webhook_url=webhook_url(body),
        **_who(avatar, source),
        **_what(audio),
    )


def _only(elements: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    found = [element for element in elements if element["type"] == kind]
    if len(found) != 1:
        raise Refusal(1003, f"elements must hold one {kind}, not {len(found)}")
    return found[0]


def _who(avatar: dict[str, Any], source: float) -> dict[str, str]:
    avatar_id = text_field(avatar, "avatar_id", required=False)
    if avatar_id:
        return {"avatar_id": avatar_id}
    url = fields.link(avatar.get("url"), "avatar_id or url of the avatar")
    if source != UPLOADED_AVATAR:
        raise Refusal(1003, f"avatar_from must be 3 for an avatar given by url, not {source:g}")
    return {"avatar_url": url}


def _what(audio: dict[str, Any]) -> dict[str, str]:
    if audio.get("url"):
        return {"audio_url": fields.link(audio["url"], "url of the audio")}
    text = text_field(audio, "input_text", required=False)
    voice_id = text_field(audio, "voice_id", required=False)
    if not text or not voice_id:
        raise Refusal(1003, "the audio needs url, or input_text and voice_id")
    return {"text": text, "voice_id": voice_id}
