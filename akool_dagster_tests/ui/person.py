"""A person with a browser in front of the Dagster UI, and the server that they look at."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROW_ASSETS = ("voice_files", "video_requests", "downloaded_videos")
COMMAND = str(Path(sys.executable).parent / "akool-dagster")

_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
_ROW_ASSETS_QUERY = 'group:"videos"'
_RUN_ID = re.compile(r"^[0-9a-f]{8}$")
_STARTING_SECONDS = 90
_STOPPING_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class DevServer:
    """A running ``akool-dagster dev``."""

    url: str
    data: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    def stop(self) -> int:
        """Ends it as a service manager would, and waits."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=_STOPPING_SECONDS)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def dev_server(
    folder: Path, *, emulator_port: int | None = None, **environment: str
) -> Iterator[DevServer]:
    """Starts the UI on the emulator, with a data root of its own."""
    port, emulator_port = free_port(), emulator_port or free_port()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AKOOL_", "DAGSTER_"))}
    env = {**clean, "AKOOL_DATA": str(folder / "data"), **environment}
    log = folder / "dev.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [COMMAND, "dev", "--port", str(port), "--emulator-port", str(emulator_port)],
            cwd=folder,
            env=env,
            stdout=sink,
            stderr=sink,
        )
    server = DevServer(
        url=f"http://127.0.0.1:{port}", data=folder / "data", process=process, log=log
    )
    try:
        wait_until(lambda: _answers(f"{server.url}/server_info"), _STARTING_SECONDS, log.read_text)
        yield server
    finally:
        if process.poll() is None:
            server.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def wait_until(
    reached: Callable[[], bool], seconds: float, tell: Callable[[], str] = lambda: ""
) -> None:
    """Waits for something that another process does."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise AssertionError(f"Not reached within {seconds:g} seconds. {tell()[-3000:]}")
        time.sleep(0.5)


@contextmanager
def browser_page(*, width: int = 1400, height: int = 900) -> Iterator[Page]:
    """Opens a browser window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(20_000)
        yield page
        browser.close()


class Person:
    """What a person does in the UI."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url

    def open(self, path: str) -> None:
        self.page.goto(f"{self._url}{path}")
        self.page.wait_for_load_state("networkidle")

    def backfill_all_scripts(self) -> None:
        """Selects the three row assets on the lineage page and launches a backfill."""
        self.open(f"/asset-groups~{quote(_ROW_ASSETS_QUERY)}/")
        self.page.get_by_role("button", name="Materialize").first.click()
        confirm = self.page.get_by_role("button", name="Confirm")
        choice = self.page.get_by_role("button", name="All", exact=True)
        confirm.or_(choice).first.wait_for()
        if confirm.is_visible():
            confirm.click()
        choice.click()
        self.page.get_by_role("button", name="Launch backfill").click()
        self.page.get_by_role("button", name="Launch backfill").wait_for(state="hidden")

    def open_newest_backfill(self) -> None:
        self.open("/runs")
        link = self.page.locator('a[href*="/runs/b/"]').first
        link.wait_for()
        self.open(link.get_attribute("href") or "")

    def backfill_counts(self) -> dict[str, dict[str, int]]:
        """Reads the table of a backfill's page."""
        lines = [line.strip() for line in self.text().splitlines()]
        names = ("targeted", "in_progress", "succeeded", "failed")
        counts: dict[str, dict[str, int]] = {}
        for asset in ROW_ASSETS:
            after = lines[lines.index(asset) :] if asset in lines else []
            numbers = [int(line) for line in after if line.isdigit()][: len(names)]
            counts[asset] = dict(zip(names, numbers, strict=False))
        return counts

    def backfill_is_over(self) -> bool:
        counts = self.backfill_counts().values()
        return all(c and c["succeeded"] + c["failed"] == c["targeted"] > 0 for c in counts)

    def open_run_of_partition(self) -> None:
        """Opens the run that the shown partition names, at its error."""
        self.page.get_by_role("link", name=_RUN_ID).first.click()
        self.page.get_by_text("scripts did not get through").first.wait_for()

    def open_whole_lineage(self) -> None:
        """Opens the lineage with every group expanded."""
        self.open("/asset-groups")
        self.page.get_by_text("script_manifests").or_(
            self.page.get_by_text("catalogs")
        ).first.wait_for()
        self.page.keyboard.press("Alt+e")

    def switch_on(self, automation: str) -> None:
        """Switches a schedule or a sensor on."""
        self.open("/automation")
        row = self.page.locator(
            "div[data-index]", has=self.page.get_by_text(automation, exact=True)
        )
        switch = row.locator("input[type=checkbox]").last
        switch.wait_for(state="attached")
        assert not switch.is_checked()
        switch.dispatch_event("click")
        expect(switch).to_be_checked()

    def open_partition(self, asset: str, key: str) -> None:
        self.open(f"/assets/{asset}?view=partitions&partition={quote(key)}")

    def text(self) -> str:
        return self.page.inner_text("body")
