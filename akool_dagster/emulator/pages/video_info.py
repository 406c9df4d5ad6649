"""``content/video/infobymodelid`` (docs: avatar page, Get Video Info Result)."""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from akool_dagster.emulator.answers import Refusal
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.jobs import COMPLETED, FAILED, Job
from akool_dagster.emulator.links import result_path
from akool_dagster.emulator.pages.calls import UID, amount, get
from akool_dagster.emulator.pages.speaking import failure_fields


def routes() -> list[Route]:
    """The page's endpoints."""
    return [get("/api/open/v3/content/video/infobymodelid", _info)]


async def _info(emulator: Emulator, request: Request) -> dict[str, Any]:
    job_id = request.query_params.get("video_model_id", "")
    if not job_id:
        raise Refusal(1003, "video_model_id can not be empty")
    emulator.polls[job_id] += 1
    job = emulator.job(job_id, "video")
    shapes = emulator.config.shapes
    if emulator.polls[job_id] <= shapes.blank_polls:
        if shapes.blank_poll_code != 1000:
            raise Refusal(shapes.blank_poll_code)
        return {}
    return _answer(emulator, job)


def _answer(emulator: Emulator, job: Job) -> dict[str, Any]:
    status = job.status(emulator.clock.now())
    deduction = {COMPLETED: job.price, FAILED: 0.0}.get(status, job.locked)
    data = {
        "_id": job.id,
        "uid": UID,
        "video_id": job.details["video_id"],
        "create_time": emulator.milliseconds(job.created),
        "video_status": status,
        "deduction_duration": amount(deduction),
        "video_lock_duration": round(job.seconds, 2),
        "deduction_lock_duration": amount(job.locked),
        "external_video": "",
        "video": "",
    }
    if status == COMPLETED and not _comes_late(emulator, job):
        data["video"] = emulator.link(result_path(job))
    return data | failure_fields(emulator, job)


def _comes_late(emulator: Emulator, job: Job) -> bool:
    emulator.done_polls[job.id] += 1
    return emulator.done_polls[job.id] <= emulator.config.shapes.late_video_polls
