"""``avatar/createVideo`` (docs: avatar page), the older way."""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from akool_dagster.emulator.answers import Refusal, json_body, number_field, text_field
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.jobs import QUEUED, Job
from akool_dagster.emulator.pages import fields
from akool_dagster.emulator.pages.calls import UID, amount, created, post
from akool_dagster.emulator.pages.video_orders import VideoOrder, accept_video
from akool_dagster.emulator.pages.webhook_urls import webhook_url

_CANVAS = (1920, 1080)
_ELEMENTS = ("avatar", "image", "video")
_LONGEST = 24 * 3600 * 1000  # milliseconds


def routes() -> list[Route]:
    """The page's endpoints."""
    return [post("/api/open/v3/avatar/createVideo", _create)]


async def _create(emulator: Emulator, request: Request) -> dict[str, Any]:
    body = await json_body(request)
    job = await accept_video(emulator, _order(body))
    return answer(emulator, await created(emulator, request, job)) | {
        "type": 4,
        "ratio": body["data"][0].get("ratio", "16:9"),
        "background": body["data"][0].get("background", "#ffffff"),
        "offset_x": 0,
        "offset_y": 0,
        "scale": 1,
    }


def answer(emulator: Emulator, job: Job) -> dict[str, Any]:
    """The answer that createVideo and the talking-photo page share."""
    return {
        "_id": job.id,
        "create_time": emulator.milliseconds(job.created),
        "uid": UID,
        "from": 2,
        "faceswap_quality": 2,
        "storage_loc": 1,
        "video_status": QUEUED,
        "video_sub_status": 1,
        "video_lock_duration": round(job.seconds, 2),
        "deduction_lock_duration": amount(job.locked),
        "external_video": "",
        "video": "",
        "source_data": job.body | {"userId": UID},
        "__v": 0,
    }


def _order(body: dict[str, Any]) -> VideoOrder:
    scenes = fields.objects(body, "data")
    if len(scenes) > 1:
        raise Refusal(1003, f"the emulator renders one scene, data has {len(scenes)}")
    scene = scenes[0]
    number_field(scene, "duration", default=0, low=0, high=_LONGEST)
    canvas = fields.sides(scene, default=_CANVAS)
    avatar, image = _elements(scene)
    avatar_id = avatar.get("avatar_id")
    if not avatar_id:
        fields.link(avatar.get("url"), "avatar_id or url of the avatar")
    return VideoOrder(
        page="avatar/createVideo",
        body=body,
        width=canvas[0],
        height=canvas[1],
        background=image or fields.colour(scene.get("background") or "#ffffff", "background"),
        box=fields.placement(avatar, canvas),
        avatar_id=str(avatar_id or "").strip(),
        avatar_url=str(avatar.get("url") or "").strip(),
        audio_url=_voice_url(scene),
        webhook_url=webhook_url(body),
    )


def _elements(scene: dict[str, Any]) -> tuple[dict[str, Any], str]:
    elements = fields.objects(scene, "elements")
    for element in elements:
        if element.get("type") not in _ELEMENTS:
            raise Refusal(1003, f"elements[].type must be one of {_ELEMENTS}")
    avatars = [element for element in elements if element["type"] == "avatar"]
    if len(avatars) != 1:
        raise Refusal(1003, f"elements must hold one avatar, not {len(avatars)}")
    others = [element for element in elements if element["type"] != "avatar"]
    others.sort(key=lambda item: number_field(item, "layer_number", default=0, low=0, high=1000))
    links = [fields.colour_or_link(item.get("url"), "elements[].url") for item in others]
    return avatars[0], links[-1] if links else ""


def _voice_url(scene: dict[str, Any]) -> str:
    voice = scene.get("voice")
    if not isinstance(voice, dict):
        raise Refusal(1003, f"data[].voice must be an object with voice_url, not {voice!r}")
    return fields.link(text_field(voice, "voice_url"), "voice_url")
