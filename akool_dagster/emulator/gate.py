"""The outermost layer of the app: counts requests, dates answers, and looks for faults."""

import re
from email.utils import formatdate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.fingerprints import fingerprint
from akool_dagster.emulator.jobs import JobKind
from akool_dagster.emulator.misbehaviour import misbehave

CREATES: dict[str, JobKind] = {
    "/api/open/v3/talkingavatar/create": "video",
    "/api/open/v3/avatar/createVideo": "video",
    "/api/open/v3/content/video/createbytalkingphoto": "video",
    "/api/open/v3/audio/create": "voice",
    "/api/open/v3/audio/clone": "voice",
    "/api/open/v4/voice/tts": "voice",
    "/api/open/v4/voice/clone": "clone",
    "/api/open/v3/avatar/create": "avatar",
}
_ONE_OF_MANY = re.compile(r"^(/media/\w+|.*/detail)/[^/]+$")


def is_admin(path: str) -> bool:
    """Whether a path is the emulator's own and not AKOOL's: never counted, never disturbed."""
    return path == "/" or path.startswith("/emulator/")


class Gate:
    """ASGI layer around the app of one emulator."""

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self._app = app
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or is_admin(scope["path"]):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        self._count(method, path)
        send = self._dated(send)
        if not self._emulator.faults.armed:
            await self._app(scope, receive, send)
            return
        body = await _whole_body(receive)
        if body is None:
            return
        endpoint, query = f"{method} {path}", scope["query_string"].decode("latin-1")
        content = fingerprint(endpoint=endpoint, query=query, body=body)
        fault = self._emulator.faults.pick(endpoint, content=content)
        receive = _once_more(body, receive)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await misbehave(fault, self._app, scope, receive, send)

    def _count(self, method: str, path: str) -> None:
        kind = CREATES.get(path)
        if kind and method == "POST":
            self._emulator.received[kind] += 1
        endpoint = _ONE_OF_MANY.sub(r"\1/*", path)
        self._emulator.requests[f"{method} {endpoint}"] += 1

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = self._emulator.milliseconds(self._emulator.clock.now()) / 1000
                date = (b"date", formatdate(now, usegmt=True).encode())
                message = {**message, "headers": [*message["headers"], date]}
            await send(message)

        return dated


async def _whole_body(receive: Receive) -> bytes | None:
    """A request's body; None when the client left before its end."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _once_more(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that was read already, and then what else comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
