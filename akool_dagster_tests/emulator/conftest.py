import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from akool_dagster.emulator import EmulatorConfig, RenderTimes, serve
from akool_dagster_tests.emulator.api import Api

EXACT = RenderTimes(sigma=0, queueing=1, video=60, video_per_second=0, voice=8)


@pytest.fixture(scope="package")
def later() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Does things beside the next tests, since a server takes some tenths of a second to stop."""
    futures: list[Future[None]] = []
    with ThreadPoolExecutor(4) as workers:
        yield lambda work: futures.append(workers.submit(work))
    for future in futures:
        future.result()


@pytest.fixture
def start(later: Callable[[Callable[[], None]], None]) -> Iterator[Callable[..., Api]]:
    """Starts emulators whose jobs take exactly their mean; changes are config fields."""
    stack = contextlib.ExitStack()

    def begin(**changes: Any) -> Api:
        config = EmulatorConfig(**{"times": EXACT, "seed": 7, **changes})
        return Api(stack.enter_context(serve(config)))

    yield begin
    later(stack.close)


@pytest.fixture
def api(start: Callable[..., Api]) -> Api:
    return start()


@pytest.fixture(scope="module")
def steady() -> Iterator[Api]:
    """One emulator for a module's tests that only look at answers."""
    with serve(EmulatorConfig(times=EXACT, seed=7)) as akool:
        yield Api(akool)


class Site:
    """A loopback web server: serves files, and takes callbacks."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.bodies: list[bytes] = []
        self.answers: list[int] = []
        self.arrived = threading.Condition()
        self.url = ""

    def answer_to(self, body: bytes) -> int:
        with self.arrived:
            self.bodies.append(body)
            self.arrived.notify_all()
            return self.answers.pop(0) if self.answers else 200

    def wait_for(self, count: int) -> list[bytes]:
        with self.arrived:
            done = self.arrived.wait_for(lambda: len(self.bodies) >= count, timeout=10)
        assert done, f"only {len(self.bodies)} of {count} callbacks came"
        return self.bodies


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = site.files.get(self.path)
            self._answer(404 if content is None else 200, content or b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self._answer(site.answer_to(body), b"")

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()
