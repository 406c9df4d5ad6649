"""A running ``akool-dagster dev``, as a person's script would start and end it."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from akool_dagster_tests.processes import (
    SCRIPTS,
    clean_environment,
    free_port,
    is_answered,
    wait_until,
)

_COMMAND = str(SCRIPTS / "akool-dagster")
_SHELL = shutil.which("sh") or "sh"
_STARTING_SECONDS = 120
_ENDING_SECONDS = 60

_RUNS = """
{ runsOrError(limit: 100) { ... on Runs { results { runId jobName status tags { key value } } } } }
"""


@dataclass(frozen=True, kw_only=True)
class DevServer:
    """The UI, its daemon and the emulator, with a data root of their own."""

    url: str
    emulator_url: str
    data: Path
    log: Path
    process: "subprocess.Popen[bytes]"

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """The runs whose job and tags are the named ones, newest first."""
        answer = requests.post(f"{self.url}/graphql", json={"query": _RUNS}, timeout=30).json()
        runs = answer["data"]["runsOrError"]["results"]
        for run in runs:
            run["tags"] = {tag["key"]: tag["value"] for tag in run["tags"]} | {
                "job": run["jobName"],
                "status": run["status"],
            }
        return [run for run in runs if tags.items() <= run["tags"].items()]

    def last_words(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def end(self) -> None:
        """Ends it as a service manager does; all that it started must be gone then."""
        groups = _children(self.process.pid)
        self.process.terminate()
        self.process.wait(timeout=_ENDING_SECONDS)
        assert not [pid for group in groups for pid in _members(group)]
        assert not is_answered(self.url)
        assert not is_answered(self.emulator_url)


@contextmanager
def dev_server(
    folder: Path, *, emulator_port: int | None = None, **environment: str
) -> Iterator[DevServer]:
    """Runs the UI on the emulator.

    Args:
        folder: An empty folder, but for manifests that may already be in ``data/manifests``.
        emulator_port: Where the emulator listens; any free port by default.
        environment: Further environment variables.

    Yields:
        The server, once its UI answers.
    """
    port, emulator_port = free_port(), emulator_port or free_port()
    words = [_COMMAND, "dev", "--port", str(port), "--emulator-port", str(emulator_port)]
    log = folder / "dev.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            # SIGINT is ignored, as it is for whatever a script starts with "&".
            [_SHELL, "-c", 'trap "" INT; exec "$@"', "sh", *words],
            cwd=folder,
            env={**clean_environment(), "AKOOL_DATA": str(folder / "data"), **environment},
            stdout=sink,
            stderr=sink,
        )
    server = DevServer(
        url=f"http://127.0.0.1:{port}",
        emulator_url=f"http://127.0.0.1:{emulator_port}",
        data=folder / "data",
        log=log,
        process=process,
    )
    try:
        wait_until(
            lambda: process.poll() is not None or is_answered(f"{server.url}/server_info"),
            seconds=_STARTING_SECONDS,
            tell=server.last_words,
        )
        assert process.poll() is None, server.last_words()
        yield server
    finally:
        server.end()


def _children(parent: int) -> list[int]:
    return [pid for pid, facts in _processes().items() if facts["parent"] == parent]


def _members(group: int) -> list[int]:
    """The processes of a group that are alive; a zombie only waits for its parent to look."""
    facts = _processes()
    return [p for p, fact in facts.items() if fact["group"] == group and fact["state"] != "Z"]


def _processes() -> Mapping[int, Mapping[str, Any]]:
    found: dict[int, Mapping[str, Any]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue
        state, parent, group = stat.rpartition(")")[2].split()[:3]
        found[int(folder.name)] = {"state": state, "parent": int(parent), "group": int(group)}
    return found
