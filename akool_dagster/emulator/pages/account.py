"""The balance (docs: faceswap get-credit page; it holds for the whole account)."""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.pages.calls import amount, get


def routes() -> list[Route]:
    """The page's endpoints."""
    return [get("/api/open/v3/faceswap/quota/info", _quota)]


async def _quota(emulator: Emulator, _request: Request) -> dict[str, Any]:
    emulator.catch_up()
    return {"credit": amount(emulator.credits.available)}
