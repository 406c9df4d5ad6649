"""``getToken`` (docs: authentication page)."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from akool_dagster.emulator.answers import OK, Refusal, json_body
from akool_dagster.emulator.keys import issue_token
from akool_dagster.emulator.pages.calls import emulator_of, refuse


def routes() -> list[Route]:
    """The page's endpoints."""
    return [Route("/api/open/v3/getToken", _get_token, methods=["POST"])]


async def _get_token(request: Request) -> JSONResponse:
    # Not by post(): this one needs no credentials, and its token stands beside the code.
    emulator = emulator_of(request)
    try:
        body = await json_body(request)
        client_id, secret = body.get("clientId"), body.get("clientSecret")
        if not client_id or not secret:
            raise Refusal(1102)
        now = emulator.clock.now()
        token = issue_token(str(client_id), str(secret), emulator.config, now=now)
    except Refusal as refusal:
        return refuse(emulator, refusal)
    return JSONResponse({"code": OK, "token": token})
