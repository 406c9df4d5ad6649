"""Plays one fault on one request: what becomes of its effect and of its answer."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from akool_dagster.emulator.connections import drop_connection, gone, write_past_the_end
from akool_dagster.emulator.faults import Fault

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_GATEWAY_PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
    "<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_NOTHING_DONE = b'{"code":2001,"msg":"Server error"}'
_DRIP_SECONDS = 0.01  # the least between two drops


async def misbehave(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serves a request that a fault hits.

    Args:
        fault: Decides whether ``app`` is asked at all, and what is sent.
        app: What the request is meant for.
        scope: Of the request.
        receive: Of the request.
        send: Of the request.
    """
    if fault.when == "before" and fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
        await app(scope, receive, send)
        return
    answer = _Answer(body=_NOTHING_DONE)
    if fault.when == "after":
        answer = _Answer()
        await app(scope, receive, answer.take)
    await _play(fault, answer, scope, receive, send)


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

    @property
    def half(self) -> bytes:
        return self.body[: len(self.body) // 2]

    async def send_by(self, send: Send) -> None:
        await self.begin(send, length=len(self.body))
        await send({"type": "http.response.body", "body": self.body})

    async def begin(self, send: Send, *, length: int) -> None:
        headers = [pair for pair in self.headers if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(length).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})


async def _play(fault: Fault, answer: _Answer, scope: Scope, receive: Receive, send: Send) -> None:
    if fault.kind in ("drop", "reset"):
        await drop_connection(scope, receive, reset=fault.kind == "reset")
    elif fault.kind == "cut":
        await answer.begin(send, length=len(answer.body))
        await send(_part(answer.half))
        await drop_connection(scope, receive)
    elif fault.kind == "long-length":
        await answer.begin(send, length=len(answer.body) + 1)
        await send(_part(answer.body))
        await _gone_within(receive, fault.seconds)
        await drop_connection(scope, receive)
    elif fault.kind == "short-length":
        await answer.begin(send, length=len(answer.half))
        await send(_part(answer.half))
        write_past_the_end(scope, answer.body[len(answer.half) :])
        await send(_part(b"", last=True))
    elif fault.kind == "drip":
        await _drip(answer, fault.seconds, receive, send)
    elif fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
        await answer.send_by(send)
    else:
        await _instead(fault, answer).send_by(send)


async def _drip(answer: _Answer, seconds: float, receive: Receive, send: Send) -> None:
    """Sends the body evenly over some seconds, byte by byte unless it has too many for that."""
    body, clock = answer.body, asyncio.get_running_loop()
    drops = max(1, min(len(body), round(seconds / _DRIP_SECONDS)))
    await answer.begin(send, length=len(body))
    began = clock.time()
    for number in range(drops):
        due = began + seconds * (number + 1) / drops
        if await _gone_within(receive, max(0.0, due - clock.time())):
            return
        begin, end = len(body) * number // drops, len(body) * (number + 1) // drops
        await send(_part(body[begin:end], last=number + 1 == drops))


async def _gone_within(receive: Receive, seconds: float) -> bool:
    try:
        await asyncio.wait_for(gone(receive), seconds)
    except asyncio.TimeoutError:
        return False
    return True


def _part(content: bytes, *, last: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": not last}


def _instead(fault: Fault, answer: _Answer) -> _Answer:
    if fault.kind == "truncate":
        return _Answer(answer.status, answer.headers, answer.half)
    if fault.kind == "gateway":
        title = f"{fault.http_status} {_PHRASES.get(fault.http_status, 'Error')}"
        page = _GATEWAY_PAGE.format(title=title).encode()
        return _Answer(fault.http_status, [(b"content-type", b"text/html")], page)
    json_type = (b"content-type", b"application/json")
    if fault.kind == "busy":
        wait = (b"retry-after", f"{fault.seconds:g}".encode())
        return _Answer(429, [json_type, wait], b'{"code":1005,"msg":"Frequent operation"}')
    return _Answer(fault.http_status, [json_type], b'{"message":"Internal Server Error"}')
