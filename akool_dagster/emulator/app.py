"""Puts the endpoints of one emulator together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.types import ASGIApp

from akool_dagster.emulator import admin, home_page
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.gate import Gate
from akool_dagster.emulator.pages import (
    account,
    audio,
    authentication,
    avatar_video,
    avatars,
    media_host,
    talking_avatar,
    talking_photo,
    video_info,
    voicelab,
)

_PAGES = (
    authentication,
    account,
    avatars,
    audio,
    voicelab,
    talking_avatar,
    avatar_video,
    talking_photo,
    video_info,
    media_host,
    admin,
    home_page,
)


def build_app(emulator: Emulator) -> ASGIApp:
    """The ASGI app of an emulator; every address that AKOOL does not have answers HTTP 404."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        background = asyncio.create_task(emulator.run())
        try:
            yield
        finally:
            background.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await background

    routes = [route for page in _PAGES for route in page.routes()]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.emulator = emulator
    return Gate(app, emulator)
