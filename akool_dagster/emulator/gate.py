"""The outermost layer of the app: counts requests and plays faults."""

import asyncio
import re
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from akool_dagster.emulator.connections import drop_connection
from akool_dagster.emulator.emulator import Emulator
from akool_dagster.emulator.faults import Fault
from akool_dagster.emulator.jobs import JobKind

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
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_GATEWAY_PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
    "<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


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
        fault = self._emulator.faults.pick(f"{method} {path}")
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.when == "before":
            await self._before(fault, scope, receive, send)
        else:
            await self._after(fault, scope, receive, send)

    def _count(self, method: str, path: str) -> None:
        kind = CREATES.get(path)
        if kind and method == "POST":
            self._emulator.received[kind] += 1
        endpoint = _ONE_OF_MANY.sub(r"\1/*", path)
        self._emulator.requests[f"{method} {endpoint}"] += 1

    async def _before(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
            return
        await _read_body(receive)
        await _misbehave(fault, _Answer(body=b'{"code":1000,"msg":"OK"}'), scope, receive, send)

    async def _after(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer()
        await self._app(scope, receive, answer.take)
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
            await answer.send_by(send)
            return
        await _misbehave(fault, answer, scope, receive, send)


@dataclass
class _Answer:
    """An answer that is held back."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(
        default_factory=lambda: [(b"content-type", b"application/json")]
    )
    body: bytes = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def send_by(self, send: Send) -> None:
        await send(self._start(len(self.body)))
        await send({"type": "http.response.body", "body": self.body})

    async def send_half(self, send: Send) -> None:
        """Promises the whole body but sends half of it, and leaves the answer open."""
        await send(self._start(len(self.body)))
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})

    def _start(self, length: int) -> Message:
        headers = [pair for pair in self.headers if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(length).encode()))
        return {"type": "http.response.start", "status": self.status, "headers": headers}


async def _misbehave(
    fault: Fault, answer: _Answer, scope: Scope, receive: Receive, send: Send
) -> None:
    if fault.kind in ("drop", "reset"):
        await drop_connection(scope, receive, reset=fault.kind == "reset")
    elif fault.kind == "cut":
        await answer.send_half(send)
        await asyncio.sleep(0.02)  # lets the half leave before the connection is closed
        await drop_connection(scope, receive)
    else:
        await _instead(fault, answer).send_by(send)


def _instead(fault: Fault, answer: _Answer) -> _Answer:
    if fault.kind == "truncate":
        return _Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
    if fault.kind == "gateway":
        title = f"{fault.http_status} {_PHRASES.get(fault.http_status, 'Error')}"
        page = _GATEWAY_PAGE.format(title=title).encode()
        return _Answer(fault.http_status, [(b"content-type", b"text/html")], page)
    json_type = (b"content-type", b"application/json")
    if fault.kind == "busy":
        wait = (b"retry-after", f"{fault.seconds:g}".encode())
        return _Answer(429, [json_type, wait], b'{"code":1005,"msg":"Frequent operation"}')
    return _Answer(fault.http_status, [json_type], b'{"message":"Internal Server Error"}')


async def _read_body(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return
