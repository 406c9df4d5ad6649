"""Runs an emulator as a real HTTP server on this machine."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from akool_dagster.emulator.config import EmulatorConfig
from akool_dagster.emulator.connections import TRANSPORT
from akool_dagster.emulator.emulator import Emulator

if TYPE_CHECKING:
    import uvicorn

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_START_SECONDS = 20.0
_GRACE_SECONDS = 1  # for answers in flight when the server ends


@dataclass(frozen=True, kw_only=True)
class RunningEmulator:
    """An emulator that listens.

    Attributes:
        url: Root of the API, such as ``http://127.0.0.1:8790``.
        emulator: For its clock, faults, statistics and habits.
    """

    url: str
    emulator: Emulator

    @property
    def api_key(self) -> str:
        """Accepted in ``x-api-key``."""
        config = self.emulator.config
        return config.api_keys[0] if config.api_keys else config.clients[0][1]

    @property
    def client_id(self) -> str:
        """For ``getToken`` and for checking callbacks."""
        return self.emulator.config.clients[0][0]

    @property
    def client_secret(self) -> str:
        """For ``getToken`` and for decrypting callbacks."""
        return self.emulator.config.clients[0][1]


@contextlib.contextmanager
def serve(
    config: EmulatorConfig | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[RunningEmulator]:
    """Runs an emulator in a thread for the length of a ``with`` block.

    Args:
        config: Its habits.
        host: A loopback address.
        port: 0 takes any free one.

    Raises:
        ValueError: When ``host`` is not an address of this machine's loopback.
        OSError: When the port is taken.
        RuntimeError: When the server does not start.
    """
    if host not in _LOOPBACK:
        raise ValueError(
            f"The emulator listens on this machine only: {host!r} is none of {_LOOPBACK}."
        )
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(host, port))
        emulator = Emulator(config)
        stack.callback(emulator.close)
        shown = f"[{host}]" if ":" in host else host
        emulator.base_url = f"http://{shown}:{listener.getsockname()[1]}"
        stack.enter_context(_running(_server(emulator), listener))
        yield RunningEmulator(url=emulator.base_url, emulator=emulator)


@contextlib.contextmanager
def _running(server: "uvicorn.Server", listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="akool-emulator", daemon=True
    )
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield
    finally:
        server.should_exit = True
        thread.join()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _server(emulator: Emulator) -> "uvicorn.Server":
    import uvicorn
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    class Protocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
        """Hands its transport to the app, so that faults can drop the connection."""

        def connection_made(self, transport) -> None:
            self.app_state = {**self.app_state, TRANSPORT: transport}
            super().connection_made(transport)

    return uvicorn.Server(
        uvicorn.Config(
            emulator.app,
            http=Protocol,  # type: ignore[arg-type]
            ws="none",
            lifespan="on",
            access_log=False,
            date_header=False,  # the app dates its answers by the emulator's own clock
            log_config=None,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


def _wait_until_started(server: "uvicorn.Server", thread: threading.Thread) -> None:
    end = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise RuntimeError("The emulator's server did not start; its log tells why.")
        time.sleep(0.005)
