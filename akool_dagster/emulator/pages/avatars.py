"""Lists, details and uploads of avatars (docs: avatar and talking-avatar pages)."""

import re
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from akool_dagster.emulator.answers import (
    Refusal,
    json_body,
    number_field,
    query_number,
    text_field,
)
from akool_dagster.emulator.catalog import (
    GENERATED_AVATAR,
    OFFICIAL_AVATAR,
    UPLOADED_AVATAR,
    Avatar,
    official_avatars,
)
from akool_dagster.emulator.emulator import Draft, Emulator
from akool_dagster.emulator.jobs import Job
from akool_dagster.emulator.links import portrait_path
from akool_dagster.emulator.pages.calls import UID, created, get, page_of, post
from akool_dagster.emulator.pages.speaking import failure_fields
from akool_dagster.emulator.rehearsal import targets_of

_NEW_ID = re.compile(r"[a-zA-Z0-9]+")


def routes() -> list[Route]:
    """The page's endpoints."""
    return [
        get("/api/open/v3/avatar/list", _list),
        get("/api/open/v3/avatar/detail", _detail),
        post("/api/open/v3/avatar/create", _create),
    ]


def uploaded_avatar(emulator: Emulator, avatar_id: str) -> Job | None:
    """The upload with this ``avatar_id``, whatever its status."""
    uploads = emulator.jobs("avatar")
    return next((job for job in uploads if job.details["avatar_id"] == avatar_id), None)


async def _list(emulator: Emulator, request: Request) -> Any:
    source, kind = request.query_params.get("from", ""), request.query_params.get("type", "")
    page, size = (
        query_number(request, "page", default=1),
        query_number(request, "size", default=100),
    )
    known_sources = {str(OFFICIAL_AVATAR), str(UPLOADED_AVATAR), str(GENERATED_AVATAR)}
    if source and source not in known_sources:
        raise Refusal(1003, f"from must be one of {sorted(known_sources)}, not {source!r}")
    rows: list[tuple[int, dict[str, Any]]] = []
    if source in ("", str(OFFICIAL_AVATAR)):
        avatars = official_avatars(emulator.config.official_avatars).values()
        rows += [(avatar.type, _official(emulator, avatar)) for avatar in avatars]
    if source in ("", str(UPLOADED_AVATAR)):
        uploads = emulator.jobs("avatar")
        rows += [(job.details["type"], _uploaded(emulator, job)) for job in uploads]
    items = [item for type_, item in rows if kind in ("", str(type_))]
    shown = page_of(items, page=page, size=size)
    if emulator.config.shapes.lists == "array":
        return shown
    return {"result": shown, "count": len(items), "page": page, "size": size}


async def _detail(emulator: Emulator, request: Request) -> Any:
    record_id = request.query_params.get("id", "")
    if not record_id:
        raise Refusal(1003, "id can not be empty")
    avatars = official_avatars(emulator.config.official_avatars).values()
    official = next((avatar for avatar in avatars if avatar.record_id == record_id), None)
    if official is not None:
        item = _official(emulator, official, whole=True)
    else:
        item = _uploaded(emulator, emulator.job(record_id, "avatar"))
    return _shaped(emulator, item)


async def _create(emulator: Emulator, request: Request) -> Any:
    body = await json_body(request)
    url, avatar_id = text_field(body, "url"), text_field(body, "avatar_id")
    name = text_field(body, "name", required=False) or avatar_id
    type_ = int(number_field(body, "type", low=1, high=2))
    number_field(body, "url_from", default=1, low=1, high=2)
    if not _NEW_ID.fullmatch(avatar_id):
        raise Refusal(1003, f"avatar_id may have letters and digits only, not {avatar_id!r}")
    plan = emulator.rehearsals.plan(targets_of("avatar"), [url, name])
    official = official_avatars(emulator.config.official_avatars)
    if avatar_id in official or uploaded_avatar(emulator, avatar_id):
        raise Refusal(1222)
    job = emulator.accept(
        Draft(
            kind="avatar",
            page="avatar/create",
            body=body,
            details={"avatar_id": avatar_id, "name": name, "type": type_, "url": url},
            plan=plan,
            mean=emulator.config.times.avatar,
            key=(avatar_id,),
        )
    )
    job = await created(emulator, request, job)
    return _shaped(emulator, _uploaded(emulator, job))


def _shaped(emulator: Emulator, item: dict[str, Any]) -> Any:
    return [item] if emulator.config.shapes.details == "array" else item


def _official(emulator: Emulator, avatar: Avatar, *, whole: bool = False) -> dict[str, Any]:
    picture = emulator.link(portrait_path(avatar.avatar_id))
    brief = {
        "name": avatar.name,
        "avatar_id": avatar.avatar_id,
        "url": picture,
        "gender": avatar.gender,
        "thumbnailUrl": picture,
        "from": OFFICIAL_AVATAR,
    }
    if avatar.brief and not whole:
        return brief
    status = {} if avatar.status is None else {"status": avatar.status}
    return {
        "_id": avatar.record_id,
        "uid": 1,
        "type": avatar.type,
        "modify_url": picture,
        "disabled": False,
        "sort": 0,
        **brief,
        **status,
    }


def _uploaded(emulator: Emulator, job: Job) -> dict[str, Any]:
    status = job.status(emulator.clock.now())
    picture = emulator.link(portrait_path(job.details["avatar_id"]))
    return {
        "_id": job.id,
        "uid": UID,
        "avatar_id": job.details["avatar_id"],
        "name": job.details["name"],
        "type": job.details["type"],
        "from": UPLOADED_AVATAR,
        "status": status,
        "url": job.details["url"],
        "modify_url": job.details["url"],
        "thumbnailUrl": picture,
        "create_time": emulator.milliseconds(job.created),
        "disabled": False,
        **failure_fields(emulator, job),
    }
