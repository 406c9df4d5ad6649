"""The emulator's own endpoints, all under ``/emulator/``: inspection and control."""

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from akool_dagster.emulator.config import EmulatorConfig
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.faults import Fault, parse_fault
from akool_dagster.emulator.jobs import KINDS, Job
from akool_dagster.emulator.links import result_path

_MOST_JOBS = 1_000
_SECRET_SETTINGS = ("api_keys", "clients", "faults")

AdminHandler = Callable[[Emulator, Request], Awaitable[Any]]


def routes() -> list[Route]:
    """The admin endpoints."""
    return [
        _route("GET", "stats", _stats),
        _route("GET", "jobs", _jobs),
        _route("GET", "webhooks", _webhooks),
        _route("GET", "faults", _faults),
        _route("POST", "faults", _add_faults),
        _route("DELETE", "faults", _clear_faults),
        _route("GET", "clock", _clock),
        _route("POST", "clock", _advance),
        _route("POST", "credits", _credits),
        _route("GET", "config", _config),
        _route("PATCH", "config", _configure),
    ]


def job_view(emulator: Emulator, job: Job) -> dict[str, Any]:
    """A job as JSON shows it; a time that never comes is null."""
    view = asdict(job) | {
        "status": job.status(emulator.clock.now()),
        "ended": job.ended,
        "link": emulator.link(result_path(job)) if emulator.link_is_alive(job) else None,
    }
    return {name: _finite(value) for name, value in view.items()}


def _route(method: str, name: str, handler: AdminHandler) -> Route:
    async def endpoint(request: Request) -> JSONResponse:
        emulator: Emulator = request.app.state.emulator
        try:
            return JSONResponse(await handler(emulator, request))
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return Route(f"/emulator/{name}", endpoint, methods=[method])


async def _stats(emulator: Emulator, _request: Request) -> Any:
    return asdict(emulator.stats())


async def _jobs(emulator: Emulator, request: Request) -> Any:
    kind = request.query_params.get("kind")
    if kind not in (None, *KINDS):
        raise ValueError(f"kind must be one of {KINDS}, not {kind!r}.")
    jobs = emulator.jobs(kind)  # type: ignore[arg-type]
    start = int(request.query_params.get("start", "0"))
    shown = jobs[start : start + _MOST_JOBS]
    return {"count": len(jobs), "jobs": [job_view(emulator, job) for job in shown]}


async def _webhooks(emulator: Emulator, _request: Request) -> Any:
    return [asdict(delivery) for delivery in list(emulator.webhooks.log)]


async def _faults(emulator: Emulator, _request: Request) -> Any:
    return emulator.faults.listing()


async def _add_faults(emulator: Emulator, request: Request) -> Any:
    body = await _json(request)
    for item in body if isinstance(body, list) else [body]:
        emulator.faults.add(parse_fault(item) if isinstance(item, str) else Fault(**item))
    return emulator.faults.listing()


async def _clear_faults(emulator: Emulator, _request: Request) -> Any:
    emulator.faults.clear()
    return []


async def _clock(emulator: Emulator, _request: Request) -> Any:
    return {"now": emulator.clock.now(), "speed": emulator.clock.speed}


async def _advance(emulator: Emulator, request: Request) -> Any:
    return {"now": emulator.clock.advance(_number(await _json(request), "advance"))}


async def _credits(emulator: Emulator, request: Request) -> Any:
    emulator.set_credits(_number(await _json(request), "available"))
    return asdict(emulator.credits)


async def _config(emulator: Emulator, _request: Request) -> Any:
    return _shown(emulator.config)


async def _configure(emulator: Emulator, request: Request) -> Any:
    changes = await _json(request)
    if not isinstance(changes, dict) or set(changes) & set(_SECRET_SETTINGS):
        raise ValueError(f"Give an object of settings, without {_SECRET_SETTINGS}.")
    return _shown(emulator.configure(**changes))


def _shown(config: EmulatorConfig) -> dict[str, Any]:
    names = [item.name for item in fields(config) if item.name not in _SECRET_SETTINGS]
    whole = asdict(config)
    return {name: whole[name] for name in names}


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise ValueError("The request body is not JSON.") from None


def _number(body: Any, name: str) -> float:
    value = body.get(name) if isinstance(body, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'Give {{"{name}": number}}, not {body!r}.')
    return float(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
