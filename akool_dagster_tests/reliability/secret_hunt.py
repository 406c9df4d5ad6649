"""Looks for two marked credentials in everything that a run leaves behind."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from akool_dagster.emulator import EmulatorConfig, Fault, RenderTimes, serve
from akool_dagster_tests.support import plain_line, write_manifest

KEY = "MARKED0KEY0MARKED0KEY0MARKED0KEY"
CLIENT_ID = "EXAMPLE-client-id-24chr="
SECRET = "MARKED0SECRET0MARKED0SECRET0MARK"
_PROGRAM = [sys.executable, "-m", "akool_dagster_tests.reliability.marked_run"]
_SECONDS = 150


@dataclass(kw_only=True)
class Hunt:
    """What was searched and found.

    Attributes:
        places: Files and command lines that were searched.
        size: Bytes of them.
        log_lines: Lines of the log at DEBUG.
        found: Where a marked credential stood.
        problems: Why the hunt proves nothing, if so.
    """

    places: int = 0
    size: int = 0
    log_lines: int = 0
    found: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def search(self, name: str, content: bytes) -> None:
        """Looks into one place."""
        self.places += 1
        self.size += len(content)
        for marker in (KEY, SECRET):
            if marker.encode() in content:
                self.found.append(f"{name} holds {marker}")


def hunt(folder: Path, *, rows: int, seed: int) -> Hunt:
    """Runs a deployment whose credentials are marked, and searches what it leaves.

    Args:
        folder: For all that it writes.
        rows: Of each of its two manifests; one more of each fails at each stage.
        seed: Of the emulator.

    Returns:
        What was found.
    """
    result = Hunt()
    data, home, log = folder / "data", folder / "dagster", folder / "run.log"
    home.mkdir()
    for name in ("m", "n"):
        good = [plain_line(f"r{number}", name) for number in range(rows)]
        bad = [
            plain_line("refused", f"[[video:1003]] {name}"),
            plain_line("failed", f"[[video:failed 1205 create video error]] {name}"),
        ]
        write_manifest(data / "manifests", name, *good, *bad)
    config = EmulatorConfig(
        seed=seed, speed=200.0, media="tiny", api_keys=(KEY,), clients=((CLIENT_ID, SECRET),),
        times=RenderTimes(sigma=0.2), slots=100,
        faults=(Fault(kind="drop", on="POST */talkingavatar/create", probability=0.2),
                Fault(kind="gateway", on="GET *", when="before", probability=0.05)),
    )  # fmt: skip
    with serve(config) as akool:
        environment = {
            **os.environ, "AKOOL_API_KEY": KEY, "AKOOL_CLIENT_ID": CLIENT_ID,
            "AKOOL_CLIENT_SECRET": SECRET, "AKOOL_BASE_URL": akool.url, "AKOOL_DATA": str(data),
            "AKOOL_POLL_SECONDS": "0.15", "AKOOL_MAX_IN_FLIGHT": "100", "DAGSTER_HOME": str(home),
        }  # fmt: skip
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
        _run(result, [*_PROGRAM, str(log)], environment, cwd=Path.cwd())
        asked = dict(akool.emulator.stats().requests)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            result.search(str(path.relative_to(folder)), path.read_bytes())
    _judge(result, folder, asked)
    return result


def _run(result: Hunt, command: list[str], environment: dict[str, str], *, cwd: Path) -> None:
    with subprocess.Popen(
        command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(result, process.pid, over))
        watcher.start()
        try:
            output, _ = process.communicate(timeout=_SECONDS)
        finally:
            process.kill()
            over.set()
            watcher.join()
    result.search("standard output and error", output)
    if process.returncode:
        result.problems.append(f"the run ended with {process.returncode}: {output[-500:]!r}")


def _watch(result: Hunt, pid: int, over: threading.Event) -> None:
    """Reads the command lines of a process and its children for as long as it lives."""
    while not over.wait(0.2):
        for number in [pid, *_children(pid)]:
            try:
                result.search(f"command line of {number}", _command_line(number))
            except OSError:
                continue


def _children(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(number) for number in listed.split()]


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _judge(result: Hunt, folder: Path, asked: dict[str, int]) -> None:
    """A hunt where nothing was used, logged or written would find nothing either."""
    log = (folder / "run.log").read_text(encoding="utf-8", errors="replace")
    result.log_lines = log.count("\n")
    used = {
        "the key was never used": (folder / "run.log.m.done").exists(),
        "the login was never used": any("getToken" in endpoint for endpoint in asked),
        "nothing was logged at DEBUG": "DEBUG" in log,
        "the ledger is missing": (folder / "data" / "ledger.sqlite").exists(),
        "no event log was written": any((folder / "dagster").rglob("*.db")),
        "no video was saved": any((folder / "data" / "videos").rglob("*.mp4")),
        "no result was written": any((folder / "data" / "results").rglob("*.csv")),
    }
    result.problems += [problem for problem, holds in used.items() if not holds]
