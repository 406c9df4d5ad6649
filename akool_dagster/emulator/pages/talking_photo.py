"""``content/video/createbytalkingphoto`` (docs: talking-photo page)."""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from akool_dagster.emulator.answers import Refusal, json_body, text_field
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.pages import fields
from akool_dagster.emulator.pages.avatar_video import answer
from akool_dagster.emulator.pages.calls import created, post
from akool_dagster.emulator.pages.video_orders import VideoOrder, accept_video
from akool_dagster.emulator.pages.webhook_urls import webhook_url

_SIZES = {"720": (1280, 720), "1080": (1920, 1080)}


def routes() -> list[Route]:
    """The page's endpoints."""
    return [post("/api/open/v3/content/video/createbytalkingphoto", _create)]


async def _create(emulator: Emulator, request: Request) -> dict[str, Any]:
    body = await json_body(request)
    photo = fields.link(text_field(body, "talking_photo_url"), "talking_photo_url")
    audio = fields.link(text_field(body, "audio_url"), "audio_url")
    resolution = str(body.get("resolution") or "720")
    if resolution not in _SIZES:
        raise Refusal(1003, f"resolution must be one of {list(_SIZES)}, not {resolution!r}")
    width, height = _SIZES[resolution]
    order = VideoOrder(
        page="content/video/createbytalkingphoto",
        body=body,
        width=width,
        height=height,
        background="#101418",
        box=(width / 2, height / 2, width, height),
        avatar_url=photo,
        audio_url=audio,
        webhook_url=webhook_url(body),
    )
    job = await created(emulator, request, await accept_video(emulator, order))
    return answer(emulator, job) | {"type": 10}
