"""A program that kills itself with SIGKILL at a chosen boundary of the product.

It is started as ``python -m akool_dagster_tests.reliability.killed_process`` with a plan, a JSON
list of :class:`Death` fields, on its standard input. For each it forks a process that walks a row
or serves callbacks, and that dies right before or right after the chosen call of the chosen
function. Standard output tells ``{"port": ...}`` of a server, and ``{"signal": ...}`` of each end.
"""

import functools
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Literal

from akool_dagster.akool import AkoolClient, ApiKey, ClientLogin
from akool_dagster.batch.catalogs.avatar_book import AvatarBook
from akool_dagster.batch.stages import STAGES
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.downloads import Downloader
from akool_dagster.ledger import Ledger
from akool_dagster.ledger.attempts import Attempts
from akool_dagster.ledger.callbacks import Callbacks
from akool_dagster.ledger.deliveries import Deliveries
from akool_dagster.manifest import read_manifest
from akool_dagster.storage import durable, file_part, open_storage
from akool_dagster.webhook_server import build_app, build_server
from akool_dagster_tests.support import quick_rules

Moment = Literal["before", "inside", "after"]

_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Death:
    """Where a process dies.

    Attributes:
        place: Name in :data:`PLACES`.
        moment: Before the call, after it, or in the middle where the place has one.
        call: Which call of it, from 1.
        data: Data root; its manifest is ``m``.
        base_url: The emulator; empty for a process that serves callbacks.
        login: Client id and secret for callbacks; the key of the emulator for a walk.
    """

    place: str
    moment: Moment
    call: int
    data: str
    base_url: str
    login: tuple[str, str]

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.moment} {self.place} no. {self.call}"


PLACES: dict[str, tuple[Any, str]] = {
    "reserve": (Attempts, "reserve"),
    "start_sending": (Attempts, "start_sending"),
    "answer": (HTTPConnection, "getresponse"),
    "accept": (Attempts, "accept"),
    "body": (file_part.Part, "write"),
    "fsync": (durable, "sync_file"),
    "rename": (file_part, "rename"),
    "note": (Deliveries, "saved"),
    "save": (Attempts, "save"),
    "record": (Callbacks, "record"),
}
"""Where a process can die: the function whose call is the boundary."""


def die() -> None:
    """Ends this process as a power cut would: nothing is flushed, closed or rolled back."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(death: Death) -> None:
    """Wraps the function so that this process dies at the chosen call of it."""
    owner, name = PLACES[death.place]
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        if death.place == "answer" and not _is_create(args[0]):
            return original(*args, **kwargs)
        calls += 1
        if calls != death.call:
            return original(*args, **kwargs)
        if death.moment == "before":
            die()
        if death.moment == "inside":
            _die_inside(death.place, original, *args, **kwargs)
        result = original(*args, **kwargs)
        die()
        return result

    setattr(owner, name, wrapped)


def _is_create(connection: HTTPConnection) -> bool:
    return getattr(connection, "_akool_method", "") == "POST"


def _note_methods() -> None:
    """Lets a connection know what it is asked for."""
    original = HTTPConnection.putrequest

    @functools.wraps(original)
    def putrequest(self: HTTPConnection, method: str, *args: Any, **kwargs: Any) -> None:
        self._akool_method = method  # type: ignore[attr-defined]
        original(self, method, *args, **kwargs)

    HTTPConnection.putrequest = putrequest


def _die_inside(place: str, original: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    if place == "body":
        part, data = args
        original(part, data[: len(data) // 2])
        part.flush()
        die()
    # In the transaction, with everything written and nothing committed.
    Attempts._write_history = lambda *_a, **_k: die()  # type: ignore[method-assign]
    original(*args, **kwargs)


def walk(death: Death) -> None:
    """Walks the manifest, to the death."""
    data = Path(death.data)
    _note_methods()
    key = death.login[1]
    with (
        AkoolClient(ApiKey(key), base_url=death.base_url) as client,
        Ledger.open(f"sqlite:///{data / 'ledger.sqlite'}", service="emulator") as ledger,
        Downloader() as downloader,
    ):
        tools = Tools(
            client=client,
            ledger=ledger,
            storage=open_storage(str(data)),
            downloader=downloader,
            avatars=AvatarBook(saved={}, fetch=client.list_avatars),
            rules=quick_rules(),
        )
        rows = list(read_manifest(data / "manifests" / "m.csv").rows())
        arm(death)
        list(Walk(tools, run_id="killed").outcomes(rows, stages=STAGES))


def serve_callbacks(death: Death) -> None:
    """Serves callbacks, to the death."""
    ledger = Ledger.open(f"sqlite:///{death.data}/ledger.sqlite", service="emulator")
    server = build_server(build_app(ledger, ClientLogin(*death.login)))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)
    arm(death)
    _tell(port=listener.getsockname()[1])
    server.run(sockets=[listener])


def _tell(**news: Any) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Carries out the plan; walks in groups, for they mostly wait."""
    plan = [Death(**fields | {"login": tuple(fields["login"])}) for fields in json.load(sys.stdin)]
    while plan:
        many = _AT_ONCE if plan[0].base_url else 1
        group, plan = plan[:many], plan[many:]
        for death, pid in [(death, _fork(death)) for death in group]:
            _, status = os.waitpid(pid, 0)
            _tell(**asdict(death), signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)


def _fork(death: Death) -> int:
    pid = os.fork()
    if pid == 0:
        (walk if death.base_url else serve_callbacks)(death)
        os._exit(0)  # it came to its end without meeting its death
    return pid


if __name__ == "__main__":
    main()
