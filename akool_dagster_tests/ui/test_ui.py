"""The Dagster UI in a real browser, on the emulator, as a person uses it."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from akool_dagster.media import probe
from akool_dagster_tests.processes import wait_until
from akool_dagster_tests.support import plain_line, write_manifest
from akool_dagster_tests.ui.dev_server import DevServer, dev_server
from akool_dagster_tests.ui.person import CHROMIUM, Person, browser_page

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.timeout(400),
]

_ROWS = ("a", "b", "c", "d", "e", "f")
_BAD = "d"
_GOOD = [row for row in _ROWS if row != _BAD]

# The names of the samples, so that `dev` brings none of its own: this is about few rows.
_BY_HAND = "welcome"
_BROKEN = "product-tour"
_BY_ITSELF = "night"

_PAGES = {
    "/asset-groups": "Global asset lineage",
    "/assets/avatar_catalog": "Every avatar that this account may use",
    "/assets/voice_catalog": "Every voice that this account may use",
    "/assets/script_manifests": "The validated rows of a manifest",
    "/assets/voice_files": "The spoken script on our storage",
    "/assets/video_requests": "The video that AKOOL accepted",
    "/assets/downloaded_videos": "The finished MP4 on our storage",
    "/assets/batch_results": "what became of each row",
    "/automation": "scheduled_batch",
    "/jobs": "generate_videos",
    "/runs": "validate_manifests",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    folder = tmp_path_factory.mktemp("dev")
    manifests = folder / "data" / "manifests"
    put_manifest(manifests, _BY_HAND)
    (manifests / f"{_BROKEN}.parquet").write_bytes(b"not a table")
    with dev_server(folder, AKOOL_BATCH_CRON="* * * * *") as running:
        yield running


@pytest.fixture(scope="module")
def person(server: DevServer) -> Iterator[Person]:
    with browser_page() as page:
        yield Person(page, server.url)


@pytest.fixture(scope="module")
def evening(server: DevServer, person: Person) -> None:
    """A person has one manifest made, puts another into the folder and leaves the rest to it.

    Both are under way at the same time, so that the tests take no longer than the slower.
    """
    person.open_partitions("downloaded_videos")
    person.see(f"{_BY_HAND}.f")
    put_manifest(server.data / "manifests", _BY_ITSELF)
    person.launch("videos", manifest=_BY_HAND, rows=len(_ROWS))
    wait_until(lambda: bool(backfill_runs(server)), seconds=60, tell=server.last_words)
    person.switch_on("scheduled_batch")


def put_manifest(manifests: Path, name: str) -> None:
    marker = "[[video:failed 1205 create video error]]"
    lines = [plain_line(row, f"{name} {marker if row == _BAD else ''}") for row in _ROWS]
    write_manifest(manifests, name, *lines)


def backfill_runs(server: DevServer) -> list[dict[str, object]]:
    return [run for run in server.runs() if "dagster/backfill" in run["tags"]]


@pytest.mark.usefixtures("evening")
def test_a_backfill_ends_with_the_counts_of_its_rows(server: DevServer, person: Person) -> None:
    person.open_newest_backfill()
    wait_until(lambda: person.backfill_status() == "Failed", seconds=150, tell=person.sees)

    done = {"targeted": 6, "in_progress": 0, "succeeded": 6, "failed": 0}
    assert person.backfill_counts() == {
        "voice_files": done,
        "video_requests": done,
        "downloaded_videos": {**done, "succeeded": 5, "failed": 1},
    }
    for row in _GOOD:
        video = probe(server.data / "videos" / _BY_HAND / f"{row}.mp4")
        assert video.duration_seconds > 0


@pytest.mark.usefixtures("evening")
def test_exactly_the_bad_row_is_red_and_two_clicks_tell_why(person: Person) -> None:
    person.open_partitions("downloaded_videos")
    person.see(f"{_BY_HAND}.f")
    colours = {
        key: colour
        for key, colour in person.partition_colours().items()
        if key.startswith(f"{_BY_HAND}.")
    }
    assert colours == {f"{_BY_HAND}.{row}": "red" if row == _BAD else "green" for row in _ROWS}

    person.click_partition(f"{_BY_HAND}.{_BAD}")
    person.click_logs_of_partition()
    assert "AKOOL code 1205: The video failed: create video error" in person.sees()
    assert "Materialize the row again" in person.sees()


@pytest.mark.usefixtures("evening")
def test_the_events_of_the_red_row_tell_what_to_do(person: Person) -> None:
    person.open_partitions("downloaded_videos", key=f"{_BY_HAND}.{_BAD}")
    person.click_events_of_partition()
    person.see("what_to_do")
    seen = person.sees()
    assert "create video error" in seen
    assert "1205" in seen
    assert "Materialize the row again" in seen


@pytest.mark.usefixtures("evening")
def test_a_green_row_shows_its_poster_and_its_file(server: DevServer, person: Person) -> None:
    person.open_partitions("downloaded_videos", key=f"{_BY_HAND}.a")
    person.see(str(server.data / "videos" / _BY_HAND / "a.mp4"))
    person.page.get_by_text("[Show Markdown]").first.click()
    picture = person.page.locator('img[src^="data:image/"]')
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 100


@pytest.mark.usefixtures("evening")
def test_a_broken_manifest_says_why_and_registers_nothing(
    server: DevServer, person: Person
) -> None:
    (run,) = server.runs(**{"job": "validate_manifests", "dagster/partition": _BROKEN})
    person.open(f"/runs/{run['runId']}", see="RUN_FAILURE")
    assert f"{_BROKEN}.parquet" in person.sees()
    person.open_partitions("voice_files")
    assert not [key for key in person.partition_colours() if key.startswith(f"{_BROKEN}.")]


@pytest.mark.usefixtures("evening")
def test_the_schedule_and_the_sensors_do_the_same_by_themselves(
    server: DevServer, person: Person
) -> None:
    wait_until(lambda: standings(server) == expected(), seconds=240, tell=server.last_words)
    results = read_results(server)
    assert "create video error" in results.loc[_BAD, "cause"]
    for row in _GOOD:
        assert probe(server.data / "videos" / _BY_ITSELF / f"{row}.mp4").duration_seconds > 0

    person.open_partitions("downloaded_videos")
    person.see(f"{_BY_ITSELF}.f")
    reds = {key for key, colour in person.partition_colours().items() if colour == "red"}
    assert reds == {f"{_BY_HAND}.{_BAD}", f"{_BY_ITSELF}.{_BAD}"}


@pytest.mark.usefixtures("evening")
def test_the_run_that_asked_is_marked_failed_and_says_why(
    server: DevServer, person: Person
) -> None:
    marked = {"job": "request_videos", "status": "FAILURE", "akool/marked_failed": "true"}
    wait_until(lambda: bool(server.runs(**marked)), seconds=150, tell=server.last_words)

    (run,) = server.runs(job="request_videos")
    person.open(f"/runs/{run['runId']}", see="AKOOL failed 1 of the 6 videos")
    seen = person.sees()
    assert f"{_BY_ITSELF}.{_BAD} (code 1205, AKOOL id " in seen
    assert "create video error. Materialize the row again" in seen
    # The checks of the assets are no part of it: they would look failed along with the run.
    assert "_in_doubt" not in seen


@pytest.mark.usefixtures("evening")
def test_a_person_retries_what_failed_from_the_launchpad(server: DevServer, person: Person) -> None:
    config = f"ops:\n  retry_scripts:\n    config:\n      manifest: {_BY_HAND}\n"
    person.launch_job("retry_videos", config=config)
    wait_until(
        lambda: bool(server.runs(job="retry_videos", status="FAILURE")),
        seconds=90,
        tell=server.last_words,
    )
    (run,) = server.runs(job="retry_videos")
    person.open(f"/runs/{run['runId']}", see="1 of 1 scripts did not get through")
    person.open_partitions("downloaded_videos")
    person.see(f"{_BY_HAND}.f")
    red = {key for key, colour in person.partition_colours().items() if colour == "red"}
    assert f"{_BY_HAND}.{_BAD}" in red
    assert not red & {f"{_BY_HAND}.{row}" for row in _GOOD}


@pytest.mark.usefixtures("evening")
@pytest.mark.parametrize(("path", "words"), _PAGES.items())
def test_pages_are_built_without_an_error(person: Person, path: str, words: str) -> None:
    person.open(path, see=words)
    assert person.complaints() == []
    seen = person.sees()
    for sign in ("Unexpected", "Sorry, ", "An error occurred", "PythonError"):
        assert sign not in seen


def expected() -> dict[str, str]:
    return {row: "failed" if row == _BAD else "saved" for row in _ROWS}


def standings(server: DevServer) -> dict[str, str]:
    results = read_results(server)
    return {str(row): str(status) for row, status in results["status"].items()}


def read_results(server: DevServer) -> pd.DataFrame:
    path = server.data / "results" / f"{_BY_ITSELF}.csv"
    if not path.exists():
        return pd.DataFrame({"status": []})
    return pd.read_csv(path, encoding="utf-8-sig").set_index("script_id")
