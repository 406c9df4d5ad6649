"""A deployment to be measured: the emulator, Dagster's processes, and the CPU that they burn."""

import contextlib
import os
import platform
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
import requests

from akool_dagster_tests.processes import (
    SCRIPTS,
    clean_environment,
    free_port,
    is_answered,
    wait_until,
)

_STARTING_SECONDS = 300
_ENDING_SECONDS = 60
_ANSWER_SECONDS = 3600
"""To launch a backfill of very many partitions takes its time on a busy machine."""

_SAMPLE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Akool:
    """An emulator in a process of its own.

    Attributes:
        url: Root of its API.
        key: Its key.
    """

    url: str
    key: str

    @property
    def env(self) -> dict[str, str]:
        """The environment of who is to talk to it."""
        return {"AKOOL_BASE_URL": self.url, "AKOOL_API_KEY": self.key}

    def stats(self) -> dict[str, Any]:
        """What it counted."""
        return requests.get(f"{self.url}/emulator/stats", timeout=60).json()

    def jobs(self, kind: str) -> list[dict[str, Any]]:
        """Its jobs of a kind, oldest first.

        Args:
            kind: ``video`` or ``voice``.
        """
        found: list[dict[str, Any]] = []
        while True:
            page = requests.get(
                f"{self.url}/emulator/jobs",
                params={"kind": kind, "start": len(found)},
                timeout=60,
            ).json()
            found += page["jobs"]
            if len(found) >= page["count"]:
                return found


class CpuMeter:
    """Adds up the CPU seconds of a process and of all that it ever started.

    Args:
        pid: The process. What a child burned since the last sample before its end is not seen:
            at most :data:`_SAMPLE_SECONDS` of each.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seen: dict[tuple[int, float], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0
        self._thread.start()

    def seconds(self) -> float:
        """CPU seconds so far, user and system."""
        self._sample()
        return sum(self._seen.copy().values())

    def stop(self) -> None:
        """Ends the watch."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        with contextlib.suppress(psutil.Error):
            for process in [self._root, *self._root.children(recursive=True)]:
                self._sample_one(process)

    def _sample_one(self, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            self._seen[process.pid, process.create_time()] = times.user + times.system
            self.peak_bytes = max(self.peak_bytes, process.memory_info().rss)


@contextmanager
def emulator(folder: Path, *flags: str) -> Iterator[Akool]:
    """Runs the emulator as a process of its own.

    Args:
        folder: For its log.
        flags: Of ``akool-dagster emulator``.

    Yields:
        The emulator.
    """
    port = free_port()
    command = [str(SCRIPTS / "akool-dagster"), "emulator", "--port", str(port), *flags]
    with running(command, folder / "emulator.log", env={}):
        url = f"http://127.0.0.1:{port}"
        _await(f"{url}/emulator/stats", folder / "emulator.log")
        yield Akool(url=url, key="emulator-key")


@dataclass(frozen=True, kw_only=True)
class Dagster:
    """A running ``dagster dev``: webserver, daemon and code server.

    Attributes:
        url: Root of its UI.
        meter: Its CPU.
        log: What its processes print.
    """

    url: str
    meter: CpuMeter
    log: Path

    def is_loaded(self) -> bool:
        """Whether its code location is there: later than its UI, which answers while it loads."""
        return bool(self._ask("{ assetNodes { id } }")["assetNodes"])

    def last_words(self) -> str:
        """The end of what its processes printed."""
        return _tail(self.log)

    def backfill(self, assets: Sequence[str], *, partitions: Sequence[str]) -> str:
        """Launches a backfill as the UI does.

        Args:
            assets: Names of the assets.
            partitions: Partition keys.

        Returns:
            Its id.
        """
        answer = self._ask(
            "mutation ($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) "
            "{ __typename ... on LaunchBackfillSuccess { backfillId } "
            "... on PythonError { message } } }",
            p={
                "assetSelection": [{"path": [asset]} for asset in assets],
                "partitionNames": list(partitions),
                "fromFailure": False,
            },
        )["launchPartitionBackfill"]
        if "backfillId" not in answer:
            raise RuntimeError(f"no backfill: {answer}")
        return answer["backfillId"]

    def wait_for(self, backfill: str, *, pause: float = 0.5) -> None:
        """Waits until a backfill is over.

        Args:
            backfill: Its id.
            pause: Seconds between two looks.

        Raises:
            RuntimeError: It did not end well.
        """
        query = (
            "query ($id: String!) { partitionBackfillOrError(backfillId: $id) "
            "{ ... on PartitionBackfill { status } } }"
        )
        while True:
            status = self._ask(query, id=backfill)["partitionBackfillOrError"]["status"]
            if status == "COMPLETED_SUCCESS":
                return
            if status not in ("REQUESTED", "CANCELING"):
                raise RuntimeError(f"the backfill is {status}:\n{self.last_words()}")
            time.sleep(pause)

    def cancel(self, backfill: str) -> None:
        """Cancels a backfill, and does not wait until that is done.

        Args:
            backfill: Its id.
        """
        self._ask(
            "mutation ($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }",
            id=backfill,
        )

    def partitions(self, asset: str) -> list[str]:
        """The partition keys of an asset.

        Args:
            asset: Its name.

        Returns:
            The keys, in their order.
        """
        query = (
            "query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) "
            "{ ... on AssetNode { partitionKeys } } }"
        )
        return self._ask(query, key={"path": [asset]})["assetNodeOrError"].get("partitionKeys", [])

    def runs(self, *, backfill: str | None = None) -> int:
        """How many runs there are.

        Args:
            backfill: Only those of this backfill.
        """
        query = "query ($f: RunsFilter!) { runsOrError(filter: $f) { ... on Runs { count } } }"
        tags = [] if backfill is None else [{"key": "dagster/backfill", "value": backfill}]
        return self._ask(query, f={"tags": tags})["runsOrError"]["count"]

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        answer = requests.post(f"{self.url}/graphql", json=body, timeout=_ANSWER_SECONDS).json()
        if "errors" in answer:
            raise RuntimeError(str(answer["errors"]))
        return answer["data"]


@contextmanager
def dagster_dev(
    folder: Path, *, module: str, env: Mapping[str, str], max_runs: int = 4
) -> Iterator[Dagster]:
    """Runs Dagster with a home of its own, as a small deployment does.

    Args:
        folder: An empty folder for its home, unless it has one already.
        module: The code location.
        env: Further environment variables.
        max_runs: Runs at once.

    Yields:
        Dagster, once its UI answers.
    """
    home = folder / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(
        "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
        f"concurrency:\n  runs:\n    max_concurrent_runs: {max_runs}\n"
    )
    port, log = free_port(), folder / "dagster.log"
    command = [str(SCRIPTS / "dagster"), "dev", "-m", module, "-p", str(port), "-h", "127.0.0.1"]
    with running(command, log, env={**env, "DAGSTER_HOME": str(home)}) as pid:
        dagster = Dagster(url=f"http://127.0.0.1:{port}", meter=CpuMeter(pid), log=log)
        try:
            _await(f"{dagster.url}/server_info", log)
            wait_until(dagster.is_loaded, seconds=_STARTING_SECONDS, tell=dagster.last_words)
            yield dagster
        finally:
            dagster.meter.stop()


@contextmanager
def running(command: Sequence[str], log: Path, *, env: Mapping[str, str]) -> Iterator[int]:
    """Runs a command in a process group of its own, and ends the whole group afterwards.

    Args:
        command: The command.
        log: Where its output goes.
        env: Further environment variables; those of AKOOL and Dagster are not inherited.

    Yields:
        Its process id.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env={**clean_environment(), **env},
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_ENDING_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def machine() -> str:
    """Names date and machine, for the head of a table."""
    model = re.search(r"model name\s*: (.*)", _cpuinfo())
    return (
        f"{datetime.now(timezone.utc).date()}, {os.cpu_count()} CPUs "
        f"({model[1] if model else platform.machine()}), {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def _await(url: str, log: Path) -> None:
    wait_until(
        lambda: is_answered(url),
        seconds=_STARTING_SECONDS,
        tell=lambda: f"{url} does not answer:\n{_tail(log)}",
    )


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-5000:]
