"""A loopback server that speaks with bare sockets, to break a conversation at any point."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

Script = Callable[[socket.socket], None]


class RawServer:
    """Runs one script for each connection, in order; the last one again for all further ones."""

    def __init__(self, *scripts: Script):
        self._scripts = list(scripts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self.connections = 0
        self.requests: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "RawServer":
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, script: Script) -> None:
        connection.settimeout(5)
        with connection, suppress(OSError):
            script(connection)

    def reading(self, then: Script) -> Script:
        """Read and keep one whole request, then go on."""

        def script(connection: socket.socket) -> None:
            self.requests.append(read_request(connection))
            then(connection)

        return script


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _received(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while lengths and len(body) < lengths[0]:
        body += _received(connection)
    return head + b"\r\n\r\n" + body


def _received(connection: socket.socket) -> bytes:
    packet = connection.recv(65536)
    if not packet:
        raise ConnectionError("the client went away")
    return packet


def close(connection: socket.socket) -> None:
    """Say goodbye (FIN)."""


def reset(connection: socket.socket) -> None:
    """Break off (RST)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def send(data: bytes) -> Script:
    return lambda connection: connection.sendall(data)


def drip(data: bytes, *, pause: float) -> Script:
    """Send a byte at a time."""

    def script(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return script


def wait(seconds: float) -> Script:
    return lambda connection: time.sleep(seconds)


def sequence(*scripts: Script) -> Script:
    def script(connection: socket.socket) -> None:
        for step in scripts:
            step(connection)

    return script


def response(
    body: bytes, *, status: str = "200 OK", length: int | None = None, extra: str = ""
) -> bytes:
    declared = len(body) if length is None else length
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {declared}\r\n{extra}\r\n"
    )
    return head.encode() + body
