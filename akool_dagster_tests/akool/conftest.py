import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from akool_dagster.akool import AkoolClient, ApiKey, ClientLogin, Timeouts

KEY = "key-MARKED-9f2c7b1e"
CLIENT_ID = "client-id-000000000000000"
CLIENT_SECRET = "secret-MARKED-51aa0c3d"
VIDEO_ID = "674900000000000000000001"

MakeClient = Callable[..., AkoolClient]


class Clock:
    """Time that passes only in sleep."""

    def __init__(self):
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture(scope="session")
def make_httpserver() -> Iterator[HTTPServer]:
    """The plugin's server, with a thread for each request."""
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_client(clock: Clock) -> Iterator[MakeClient]:
    """Clients whose pauses cost no time, with their full jitter."""
    with ExitStack() as stack:

        def make(base_url: str, *, login: bool = False, **options: Any) -> AkoolClient:
            credential = ClientLogin(CLIENT_ID, CLIENT_SECRET) if login else ApiKey(KEY)
            options = {
                "clock": clock,
                "sleep": clock.sleep,
                "random": lambda: 1.0,
                "timeouts": Timeouts(connect_seconds=2, read_seconds=2, total_seconds=60),
                **options,
            }
            return stack.enter_context(AkoolClient(credential, base_url=base_url, **options))

        yield make


class Akool:
    """Scripted answers of a real HTTP server, and what it was asked."""

    def __init__(self, server: HTTPServer):
        self.url = server.url_for("").rstrip("/")
        self.asked: list[Request] = []
        self._server = server
        self._answers: dict[str, list[Any]] = {}

    def answers(self, path: str, *answers: Any) -> None:
        """Script a path: each answer is given once, the last for ever.

        An answer is a JSON body, a ``Response``, or a function of the request that gives one.
        """
        if path not in self._answers:
            self._server.expect_request(path).respond_with_handler(self._handle)
        self._answers[path] = list(answers)

    def _handle(self, request: Request) -> Response:
        request.get_data()
        self.asked.append(request)
        left = self._answers[request.path]
        answer = left.pop(0) if len(left) > 1 else left[0]
        answer = (
            answer(request) if callable(answer) and not isinstance(answer, Response) else answer
        )
        return answer if isinstance(answer, Response) else reply(answer)

    def asked_paths(self) -> list[str]:
        return [request.path for request in self.asked]

    def body(self, index: int = -1) -> Any:
        return json.loads(self.asked[index].get_data())


def reply(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return Response(text, status=status, headers=headers, content_type="application/json")


def ok(data: Any) -> dict[str, Any]:
    return {"code": 1000, "msg": "OK", "data": data}


def refused(code: int, msg: str = "no") -> dict[str, Any]:
    return {"code": code, "msg": msg}


@pytest.fixture
def akool(httpserver: HTTPServer) -> Iterator[Akool]:
    yield Akool(httpserver)
    httpserver.check_assertions()
