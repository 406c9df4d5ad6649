"""Ends a connection without an answer.

ASGI has no word for it, so the server hands its transport through the lifespan state of each
connection (see ``server.py``).
"""

import socket
import struct

from starlette.types import Receive, Scope

TRANSPORT = "emulator_transport"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds


async def drop_connection(scope: Scope, receive: Receive, *, reset: bool = False) -> None:
    """Closes the TCP connection of a request at once and waits until it is closed.

    Args:
        scope: Of the request.
        receive: Of the request.
        reset: Close with RST instead of FIN.

    Raises:
        RuntimeError: Under a server that does not hand its transport over; use ``serve``.
    """
    transport = scope.get("state", {}).get(TRANSPORT)
    if transport is None:
        raise RuntimeError(
            "Connections can be dropped only when the emulator is run by its own serve()."
        )
    if reset:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
