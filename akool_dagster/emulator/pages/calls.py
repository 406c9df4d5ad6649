"""What all endpoints have in common: admission, the envelope, and lost answers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from akool_dagster.emulator.answers import Refusal, refused, success
from akool_dagster.emulator.connections import drop_connection
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.jobs import Job

Handler = Callable[[Emulator, Request], Awaitable[Any]]
_Item = TypeVar("_Item")

UID = 100_002
TEAM_ID = "64c000000000000000000001"


def get(path: str, handler: Handler) -> Route:
    """A GET endpoint whose handler returns ``data`` or raises `Refusal`."""
    return Route(path, _endpoint(handler), methods=["GET"])


def post(path: str, handler: Handler) -> Route:
    """A POST endpoint whose handler returns ``data`` or raises `Refusal`."""
    return Route(path, _endpoint(handler), methods=["POST"])


def emulator_of(request: Request) -> Emulator:
    """The emulator that serves a request."""
    return request.app.state.emulator


def refuse(emulator: Emulator, refusal: Refusal) -> JSONResponse:
    """Answers with a refusal and counts it."""
    emulator.refusals[refusal.code] += 1
    return refused(refusal, real_http_status=emulator.config.real_http_statuses)


async def created(emulator: Emulator, request: Request, job: Job) -> Job:
    """Comes between an accepted create and its answer, and may lose the answer.

    Returns:
        The job as it is now.
    """
    if emulator.config.webhooks.before_answer:
        emulator.catch_up()
        await emulator.webhooks.settle()
    if job.details["lost"]:
        await drop_connection(request.scope, request.receive)
    return job


def page_of(items: Sequence[_Item], *, page: int, size: int) -> list[_Item]:
    """One page of a list; pages count from 1."""
    return list(items[(page - 1) * size : page * size])


def amount(value: float) -> int | float:
    """Credits as AKOOL writes them: whole numbers without a point."""
    return int(value) if value == int(value) else value


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def endpoint(request: Request) -> JSONResponse:
        emulator = emulator_of(request)
        emulator.base_url = emulator.base_url or str(request.base_url)
        try:
            emulator.admit(request.headers)
            return success(await handler(emulator, request))
        except Refusal as refusal:
            return refuse(emulator, refusal)

    return endpoint
