"""A person with a browser in front of the Dagster UI."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from playwright.sync_api import Error, Page, Response, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
_PATIENCE_MILLISECONDS = 45_000
_GROUPS = ("catalogs", "manifests", "videos", "results")
_EMPTY_SPOT = (900, 250)
_COUNTS = ("targeted", "in_progress", "succeeded", "failed")


class Person:
    """What a person does in the UI and sees there.

    Args:
        page: The browser's window.
        url: Root of the UI.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url
        self._answers: list[Response] = []
        self._errors: list[str] = []
        page.on("response", self._note_answer)
        page.on("pageerror", self._note_error)

    def _note_answer(self, answer: Response) -> None:
        self._answers.append(answer)

    def _note_error(self, error: Error) -> None:
        self._errors.append(str(error))

    def open(self, path: str, *, see: str | None = None) -> None:
        """Opens a page and waits until some words can be seen on it."""
        self._answers.clear()
        self.page.goto(f"{self._url}{path}")
        if see is not None:
            self.see(see)

    def see(self, words: str) -> None:
        """Waits until words can be seen."""
        self.page.get_by_text(words).first.wait_for()

    def sees(self) -> str:
        """Everything that can be read now."""
        return self.page.inner_text("body")

    def complaints(self) -> list[str]:
        """What went wrong while the page was built, whether or not the page shows it."""
        found = list(self._errors)
        for answer in self._answers:
            if answer.status >= 400:
                found.append(f"{answer.url} answered HTTP {answer.status}")
            elif answer.url.endswith("/graphql") and "errors" in answer.json():
                found.append(str(answer.json()["errors"]))
        return found

    def launch(self, group: str, *, manifest: str, rows: int) -> None:
        """Launches a backfill of a group's assets over all scripts of one manifest."""
        self.open_materialize(group)
        self.page.get_by_text("Select a partition or create one").click()
        self.page.get_by_placeholder("Filter partitions").fill(f"{manifest}.")
        self.page.get_by_text(f"Select all ({rows})").click()
        self.page.keyboard.press("Escape")
        self._launch_backfill()

    def launch_all(self, group: str) -> None:
        """Launches a backfill of a group's assets over all their partitions."""
        self.open_materialize(group)
        self.page.get_by_role("button", name="All", exact=True).click()
        self._launch_backfill()

    def open_materialize(self, group: str) -> None:
        """Opens the dialog in which the partitions of a group's assets are chosen."""
        selection = quote(f'group:"{group}"')
        self.open(f"/asset-groups~{selection}/")
        self.page.get_by_role("button", name="Materialize all").click()
        confirm = self.page.get_by_role("button", name="Confirm")
        dialog = self.page.get_by_text("Partition selection")
        confirm.or_(dialog).first.wait_for()
        # Dagster asks "Are you sure?" where something upstream was never materialized.
        if confirm.is_visible():
            confirm.click()
        dialog.wait_for()

    def _launch_backfill(self) -> None:
        button = self.page.get_by_role("button", name="Launch backfill")
        expect(button).to_be_enabled()
        button.click()
        button.wait_for(state="hidden")

    def materialize(self, asset: str) -> None:
        """Materializes an asset that has no partitions."""
        self.open(f"/assets/{asset}")
        self.page.get_by_role("button", name="Materialize").first.click()
        self.see("Launched run")

    def launch_job(self, job: str, *, config: str) -> None:
        """Launches a job from its launchpad.

        Args:
            job: Its name.
            config: What the person writes in place of the defaults, YAML.
        """
        self.open("/jobs", see=job)
        self.page.get_by_text(job, exact=True).first.click()
        self.page.get_by_text("Launchpad", exact=True).first.click()
        self.page.locator(".CodeMirror").first.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(config)
        button = self.page.get_by_role("button", name="Launch run")
        expect(button).to_be_enabled()
        button.click()
        self.see("Run of")

    def open_newest_backfill(self) -> None:
        """Opens the page of the backfill that was launched last."""
        self.open("/runs")
        self.page.locator('a[href^="/runs/b/"]').first.click()
        self.see("Partition selection")

    def backfill_counts(self) -> dict[str, dict[str, int]]:
        """The table of the backfill's page: partitions by asset and what became of them."""
        lines = self.sees().splitlines()
        counts: dict[str, dict[str, int]] = {}
        for asset in ("voice_files", "video_requests", "downloaded_videos"):
            after = lines[lines.index(asset) :] if asset in lines else []
            numbers = [int(line) for line in after if line.strip().isdigit()][: len(_COUNTS)]
            counts[asset] = dict(zip(_COUNTS, numbers, strict=False))
        return counts

    def backfill_status(self) -> str:
        """The status on the backfill's page."""
        lines = self.sees().splitlines()
        return lines[lines.index("Status") + 1] if "Status" in lines else ""

    def switch_on(self, automation: str) -> None:
        """Switches a schedule or a sensor on."""
        self.open("/automation", see=automation)
        row = self.page.locator("div[data-index]").filter(
            has=self.page.get_by_text(automation, exact=True)
        )
        # Not just any checkbox: the one that only chooses the row is there first.
        switch = row.locator('label[class*="formatSwitch"]')
        expect(switch.get_by_role("checkbox")).not_to_be_checked()
        switch.click()
        expect(switch.get_by_role("checkbox")).to_be_checked()

    def open_partitions(self, asset: str, *, key: str | None = None) -> None:
        """Opens the partitions of an asset, or one of them."""
        chosen = "" if key is None else f"&partition={quote(key)}"
        self.open(f"/assets/{asset}?view=partitions{chosen}", see="Partitions Selected")

    def partition_colours(self) -> dict[str, str]:
        """The colour of each partition in the list: ``red``, ``green``, ``gray`` ..."""
        return self.page.evaluate(
            """() => Object.fromEntries(
                [...document.querySelectorAll('[class*="assetListRow"]')].map(row => [
                    row.querySelector('[title]').title,
                    row.innerHTML.match(/background: var\\(--color-accent-(\\w+)/)?.[1] ?? 'none',
                ]))"""
        )

    def click_partition(self, key: str) -> None:
        """Chooses a partition in the list."""
        self.page.locator('[class*="assetListRow"]', has_text=key).click()
        self.page.get_by_text("Latest materialization").wait_for()

    def click_events_of_partition(self) -> None:
        """Opens all events of the partition that is shown, and unfolds the newest."""
        self.page.get_by_role("button", name="View all historical events").click()
        self.page.get_by_text("Historical events for").wait_for()
        self.page.get_by_role("dialog").or_(self.page.locator(".bp5-dialog")).locator(
            "tbody tr"
        ).first.locator("[role=img]").first.click()

    def click_logs_of_partition(self) -> None:
        """Opens the log of the run that failed the partition that is shown."""
        button = self.page.get_by_role("button", name="View logs")
        button.or_(self.page.get_by_role("link", name="View logs")).click()
        self.see("RUN_FAILURE")

    def open_lineage(self) -> None:
        """Opens the whole lineage with its groups unfolded."""
        self.open("/asset-groups")
        folded = self.page.get_by_role("img", name="unfold_more")
        folded.nth(len(_GROUPS) - 1).wait_for()
        # The graph is fitted to the room that there is when its groups unfold.
        self.page.get_by_text("Hide navigation").click()
        self.page.get_by_role("img", name="panel_show_right").click()
        self.page.get_by_role("img", name="panel_show_left").nth(1).wait_for()
        self.page.mouse.click(*_EMPTY_SPOT, button="right")
        self.page.get_by_role("menuitem", name="Expand all groups").click()
        folded.first.wait_for(state="detached")
        self.see("batch_results")


@contextmanager
def browser_page(*, width: int = 1400, height: int = 900) -> Iterator[Page]:
    """Opens a browser's window.

    Args:
        width: In pixels.
        height: In pixels.

    Yields:
        The window.
    """
    expect.set_options(timeout=_PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        try:
            yield page
        finally:
            browser.close()
