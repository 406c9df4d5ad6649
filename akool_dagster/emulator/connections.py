"""Does to a connection what ASGI has no word for: ends it, or writes past an answer's end.

The server hands its transport through the lifespan state of each connection (see ``server.py``).
"""

import asyncio
import socket
import struct

from starlette.types import Receive, Scope

TRANSPORT = "emulator_transport"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds


async def drop_connection(scope: Scope, receive: Receive, *, reset: bool = False) -> None:
    """Closes the TCP connection of a request and waits until it is closed.

    Args:
        scope: Of the request.
        receive: Of the request.
        reset: Close with RST instead of FIN, and without sending what is still to be sent.

    Raises:
        RuntimeError: Under a server that does not hand its transport over; use ``serve``.
    """
    transport = _transport(scope)
    if reset:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()
    await gone(receive)


def write_past_the_end(scope: Scope, content: bytes) -> None:
    """Writes bytes that no answer has announced.

    Args:
        scope: Of the request.
        content: Follows what was sent last.

    Raises:
        RuntimeError: Under a server that does not hand its transport over; use ``serve``.
    """
    _transport(scope).write(content)


async def gone(receive: Receive) -> None:
    """Waits until the client has closed the connection.

    Args:
        receive: Of the request.
    """
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(scope: Scope) -> asyncio.Transport:
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise RuntimeError(
            "Connections can be disturbed only when the emulator is run by its own serve()."
        )
    return transport
