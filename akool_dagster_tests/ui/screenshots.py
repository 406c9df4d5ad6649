"""Makes the README's screenshots from a fresh rehearsal of the sample manifests.

Run it after a change that shows in the UI::

    python -m akool_dagster_tests.ui.screenshots docs/images

It takes about five minutes. The emulator's usual port must be free, for the samples' links name it.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from akool_dagster.cli.rehearsal import PORT
from akool_dagster_tests.processes import wait_until
from akool_dagster_tests.ui.dev_server import dev_server
from akool_dagster_tests.ui.person import Person, browser_page

_SETTLING_SECONDS = 3.0
_LARGEST_BYTES = 200_000
_COLOURS = 128

_SAMPLES = ("welcome", "product-tour")
_SHOWN = "welcome.onboarding-en"


def main(folder: Path) -> None:
    """Rehearses the samples in the UI and writes the pictures.

    The sensors make all samples first; a backfill over them then finds all but the failing row
    done and pays for none of them again.

    Args:
        folder: Where the pictures go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        dev_server(Path(place), emulator_port=PORT) as server,
        browser_page() as page,
    ):
        person = Person(page, server.url)
        scripts = [server.data / "scripts" / f"{name}.parquet" for name in _SAMPLES]
        wait_until(
            lambda: all(path.exists() for path in scripts), seconds=120, tell=server.last_words
        )
        for catalog in ("avatar_catalog", "voice_catalog"):
            person.materialize(catalog)
        person.switch_on("new_scripts_sensor")
        results = [server.data / "results" / f"{name}.csv" for name in _SAMPLES]
        wait_until(
            lambda: bool(server.runs(**{"akool/marked_failed": "true"})) and all_made(results),
            seconds=400,
            tell=server.last_words,
        )
        (marked,) = server.runs(**{"akool/marked_failed": "true"})
        person.open("/automation", see="scheduled_batch")
        shoot(person, folder / "sensors.png")
        person.open(f"/runs/{marked['runId']}", see="AKOOL failed 1 of the")
        shoot(person, folder / "failed-run.png")
        person.open_lineage()
        shoot(person, folder / "asset-graph.png")
        person.page.get_by_role("img", name="panel_show_left").first.click()

        person.launch_all("videos")
        person.open_newest_backfill()
        wait_until(lambda: person.backfill_status() == "Failed", seconds=240, tell=person.sees)
        shoot(person, folder / "backfill.png")
        person.open_partitions("downloaded_videos", key=_SHOWN)
        page.get_by_text("[Show Markdown]").first.click()
        page.locator('img[src^="data:image/"]').wait_for()
        shoot(person, folder / "partition.png")


def all_made(results: list[Path]) -> bool:
    """Whether the results of all manifests are written and no row of theirs is under way."""
    texts = [path.read_text(encoding="utf-8-sig") for path in results if path.exists()]
    under_way = (",requested,", ",finished at AKOOL,", ",voice ready,", ",voice pending,", ",new,")
    return len(texts) == len(results) and not any(w in text for text in texts for w in under_way)


def shoot(person: Person, path: Path) -> None:
    """Takes a picture of what the person sees.

    Args:
        person: The person.
        path: The PNG file; of few colours when it would be large.
    """
    time.sleep(_SETTLING_SECONDS)
    picture = person.page.screenshot()
    if len(picture) > _LARGEST_BYTES:
        small = io.BytesIO()
        image = Image.open(io.BytesIO(picture)).convert("RGB").quantize(_COLOURS)
        image.save(small, "PNG", optimize=True)
        picture = small.getvalue()
    path.write_bytes(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
