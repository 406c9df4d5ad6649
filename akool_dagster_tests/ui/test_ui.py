"""The Dagster UI in a real browser, on the emulator, as a person would use it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from akool_dagster.media import probe
from akool_dagster_tests.support import plain_line, write_manifest
from akool_dagster_tests.ui.person import (
    CHROMIUM,
    DevServer,
    Person,
    browser_page,
    dev_server,
    wait_until,
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.timeout(400),
]

BAD = "[[video:failed 1205 create video error]]"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    folder = tmp_path_factory.mktemp("dev")
    drop(folder / "data", "first", plain_line("a"), plain_line("b", BAD), plain_line("c"))
    with dev_server(folder, AKOOL_BATCH_CRON="* * * * *") as running:
        # The samples are for people; this test wants few rows.
        for sample in ("welcome.csv", "product-tour.parquet"):
            (running.data / "manifests" / sample).unlink(missing_ok=True)
        yield running


@pytest.fixture
def person(server: DevServer) -> Iterator[Person]:
    with browser_page() as page:
        yield Person(page, server.url)


def drop(data: Path, name: str, *lines: str) -> None:
    """Puts a manifest into the folder, as old as a finished copy."""
    path = write_manifest(data / "manifests", name, *lines)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_a_backfill_over_all_three_assets_ends_with_exactly_the_bad_row_failed(
    server: DevServer, person: Person
) -> None:
    wait_until((server.data / "scripts" / "first.parquet").exists, 90)
    person.backfill_all_scripts()
    person.open_newest_backfill()
    wait_until(person.backfill_is_over, 120, person.text)
    counts = person.backfill_counts()
    targeted = counts["voice_files"]["targeted"]
    assert counts["voice_files"]["succeeded"] == targeted
    assert counts["video_requests"]["succeeded"] == targeted
    assert counts["downloaded_videos"]["failed"] >= 1
    for good in ("a", "c"):
        video = probe(server.data / "videos" / "first" / f"{good}.mp4")
        assert video.duration_seconds > 0

    person.open_partition("downloaded_videos", "first.a")
    person.page.get_by_text("credits_spent").first.wait_for()
    person.page.get_by_text("[Show Markdown]").first.click()
    person.page.locator('img[src^="data:image/"]').wait_for()

    person.open_partition("downloaded_videos", "first.b")
    person.page.get_by_text("failed, and did not materialize this asset").wait_for()
    person.open_run_of_partition()
    assert "create video error" in person.text()
    assert "first.b: AKOOL code 1205" in person.text()


def test_the_schedule_and_the_sensors_do_the_same_by_themselves(
    server: DevServer, person: Person
) -> None:
    person.switch_on("scheduled_batch")
    drop(server.data, "second", plain_line("d"), plain_line("e", BAD), plain_line("f"))
    results = server.data / "results" / "second.csv"

    def is_written() -> bool:
        text = results.read_text(encoding="utf-8-sig") if results.exists() else ""
        return text.count(",saved,") == 2 and ",failed," in text

    wait_until(is_written, 240, lambda: server.log.read_text()[-2000:])
    assert "create video error" in results.read_text(encoding="utf-8-sig")
    for good in ("d", "f"):
        assert (server.data / "videos" / "second" / f"{good}.mp4").exists()

    person.open("/runs")
    person.page.get_by_text("request_videos").first.wait_for()
    person.page.get_by_text("akool/marked_failed").first.wait_for()


@pytest.mark.parametrize(
    "path",
    ["/asset-groups", "/automation", "/jobs", "/assets/voice_files", "/assets/batch_results"],
)
def test_pages_render_without_an_error(person: Person, path: str) -> None:
    person.open(path)
    person.page.get_by_text("Lineage").first.wait_for()
    for sign in ("Unexpected error", "Sorry, this page", "PythonError"):
        assert sign not in person.text()


def test_told_to_end_it_ends_with_all_its_processes(tmp_path: Path) -> None:
    with dev_server(tmp_path) as short_lived:
        assert short_lived.stop() in (0, 130, -2)
        session = short_lived.process.pid
        left = [p.name for p in Path("/proc").glob("[0-9]*") if _parent(p) == session]
        assert left == []


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0
