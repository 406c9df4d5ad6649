"""Makes the README's screenshots from a fresh rehearsal of the sample manifests.

Run it after a change that shows in the UI::

    python -m akool_dagster_tests.ui.screenshots docs/images
"""

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from akool_dagster.cli.rehearsal import PORT
from akool_dagster_tests.ui.person import Person, browser_page, dev_server, wait_until

_SETTLING_SECONDS = 3.0
_LARGEST_BYTES = 150_000


def main(folder: Path) -> None:
    """Runs the samples in the UI and writes the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        dev_server(Path(place), emulator_port=PORT) as server,
        browser_page() as page,
    ):
        person = Person(page, server.url)
        scripts = [server.data / "scripts" / f"{n}.parquet" for n in ("welcome", "product-tour")]
        wait_until(lambda: all(path.exists() for path in scripts), 120, server.log.read_text)
        person.backfill_all_scripts()
        person.open_newest_backfill()
        wait_until(person.backfill_is_over, 240, person.text)
        shoot(person, folder / "backfill.png")
        person.open_partition("downloaded_videos", "welcome.onboarding-en")
        page.get_by_text("[Show Markdown]").first.click()
        page.locator('img[src^="data:image/"]').wait_for()
        shoot(person, folder / "partition.png")
        person.open_partition("downloaded_videos", "welcome.rehearsal-of-a-failure")
        person.open_run_of_partition()
        shoot(person, folder / "failed-run.png")
        person.open("/automation")
        shoot(person, folder / "sensors.png")
        person.open_whole_lineage()
        shoot(person, folder / "asset-graph.png")


def shoot(person: Person, path: Path) -> None:
    """Takes a picture of what the person sees."""
    time.sleep(_SETTLING_SECONDS)
    picture = person.page.screenshot()
    if len(picture) > _LARGEST_BYTES:
        small = io.BytesIO()
        Image.open(io.BytesIO(picture)).convert("RGB").quantize(128).save(
            small, "PNG", optimize=True
        )
        picture = small.getvalue()
    path.write_bytes(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
