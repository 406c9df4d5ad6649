"""How fast the UI and our sensors stay with very many scripts in the partition set.

``python -m benchmarks.partitions`` registers ``--scripts`` scripts of ``--manifests`` manifests
(and 1,000, for comparison), nine in ten of them with videos that are saved, lets each sensor tick,
and then opens the pages of the Dagster UI in a headless browser, with a backfill of all scripts in
progress that launches nothing. It prints a Markdown table; **bold** is a page above 5 seconds. The
ledger's lines and Dagster's materializations are written past their interfaces, for time's sake.
"""

import argparse
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from playwright.sync_api import expect

from akool_dagster.automation.retiring import unregister_scripts
from akool_dagster.definitions import build_definitions
from akool_dagster.emulator import RunningEmulator, serve
from akool_dagster.ledger import Kind, Ledger
from akool_dagster.manifest import ScriptRow, read_manifest, write_scripts
from akool_dagster.partitions import register_scripts
from akool_dagster_tests.dagster_place import Place, emulator_settings
from akool_dagster_tests.support import QUICK, plain_line, write_manifest
from akool_dagster_tests.ui.person import Person, browser_page
from benchmarks.backfills import ROW_ASSETS
from benchmarks.deployment import Dagster, dagster_dev, machine
from benchmarks.termination import end_on_sigterm

TARGET_SECONDS = 5.0
"""Until a page can be used."""

SMALL = 1_000
SENSORS = ("manifest_sensor", "new_scripts_sensor", "video_info_sensor")
_PATIENCE_SECONDS = 180.0
_GROUP = "videos"
_SOME_MATERIALIZED = re.compile(r"Materialized \([1-9]")
_SETTLED_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long one thing took.

    Attributes:
        what: The thing.
        wall_seconds: From its begin to its end.
        cpu_seconds: Of this process; None where another process did the work.
    """

    what: str
    wall_seconds: float
    cpu_seconds: float | None = None


class World:
    """A data root, a ledger and a Dagster home with many scripts.

    Args:
        folder: An empty folder.
        akool: An emulator.
        scripts: How many scripts.
        manifests: How many manifests they are spread over.
    """

    def __init__(
        self, folder: Path, akool: RunningEmulator, *, scripts: int, manifests: int
    ) -> None:
        self.folder = folder
        self.timings: list[Timing] = []
        self._names = [f"batch-{number:02d}" for number in range(manifests)]
        self._size = scripts // manifests
        self._data = folder / "data"
        self._akool = akool

    @property
    def keys(self) -> list[str]:
        """The partition keys of all scripts."""
        return [f"{name}.{script}" for name in self._names for script in self._scripts()]

    def make(self) -> None:
        """Writes the manifests, registers their scripts, and lets nine in ten be done."""
        home = self.folder / "dagster_home"
        home.mkdir(parents=True)
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        rows = [row for name in self._names for row in self._rows(name)]
        done = [row for number, row in enumerate(rows) if number % 10]
        with dg.DagsterInstance.from_config(str(home)) as instance:
            instance.add_dynamic_partitions("manifests", self._names)
            with self._timed(f"registering {len(rows):,} partition keys"):
                register_scripts(instance, [row.key for row in rows])
            _materialize(instance, [row.key for row in done])
            settings = emulator_settings(self._akool, self._data)
            with Ledger.open(settings.ledger_url, service=settings.service):
                pass
            _fill_ledger(self._data / "ledger.sqlite", settings.service, done)
            self._tick(
                Place(
                    definitions=build_definitions(settings),
                    instance=instance,
                    settings=settings,
                    data=self._data,
                    akool=self._akool,
                )
            )
        # Otherwise the daemon would validate them all beside the pages that are measured.
        (self._data / "manifests").rename(self._data / "put_away")

    def unregister(self) -> None:
        """Takes all scripts out of the partition set."""
        home = str(self.folder / "dagster_home")
        what = f"taking {len(self.keys):,} partition keys out"
        with dg.DagsterInstance.from_config(home) as instance, self._timed(what):
            unregister_scripts(instance, self.keys)

    def _scripts(self) -> list[str]:
        return [f"row-{number:05d}" for number in range(self._size)]

    def _rows(self, name: str) -> Iterator[ScriptRow]:
        lines = [plain_line(script, f"Of {name}.") for script in self._scripts()]
        path = write_manifest(self._data / "manifests", name, *lines)
        old = time.time() - _SETTLED_SECONDS
        os.utime(path, (old, old))
        manifest = read_manifest(path)
        write_scripts(manifest, self._data / "scripts" / f"{name}.parquet")
        yield from manifest.rows()

    def _tick(self, place: Place) -> None:
        cursors = {sensor: place.tick(sensor).cursor for sensor in SENSORS}
        for sensor in SENSORS:
            with self._timed(f"a tick of `{sensor}`"):
                place.tick(sensor, cursor=cursors[sensor])

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        wall, cpu = time.monotonic(), time.process_time()
        yield
        self.timings.append(
            Timing(
                what=what,
                wall_seconds=time.monotonic() - wall,
                cpu_seconds=time.process_time() - cpu,
            )
        )


def _materialize(instance: dg.DagsterInstance, keys: Sequence[str]) -> None:
    """Copies one materialization of each row asset, which Dagster wrote, for each key."""
    storage, table = instance.event_log_storage, SqlEventLogStorageTable
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"{type(storage).__name__} is no database")
    mark = "a.mark"
    for asset in ROW_ASSETS:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_key=asset, partition=mark)
        )
    with storage.index_connection() as connection:
        for row in connection.execute(sa.select(table).where(table.c.partition == mark)).all():
            values = {k: v for k, v in row._mapping.items() if k != "id"}  # noqa: SLF001
            copies = [
                {**values, "partition": key, "event": values["event"].replace(mark, key)}
                for key in keys
            ]
            connection.execute(sa.insert(table), copies)


def _fill_ledger(path: Path, service: str, rows: Iterable[ScriptRow]) -> None:
    attempts, files, number = [], [], 0
    for row in rows:
        for kind, content in ((Kind.VOICE, row.voice_hash), (Kind.VIDEO, row.video_hash)):
            number += 1
            manifest = row.key.partition(".")[0]
            where = f"{kind.value}s/{manifest}/{row.script_id}.bin"
            attempts.append((number, service, kind.value, content, f"t{number}", f"r{number}"))
            files.append((service, row.key, kind.value, content, manifest, number, where, content))
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "insert into akool_attempts (id, service, kind, content_hash, number, state, api, "
            "webhook_token, remote_id, try_again, spent_credits, media_seconds, planned_at, "
            "settled_at, looks) values (?, ?, ?, ?, 1, 'saved', 'v4', ?, ?, 0, 10.0, 14.0, 1.0, "
            "2.0, 5)",
            attempts,
        )
        connection.executemany(
            "insert into akool_deliveries (service, script_key, kind, content_hash, manifest, "
            "asked_at, changed_at, attempt_id, path, sha256, size_bytes, media_seconds, saved_at, "
            "tries, next_try_at) values (?, ?, ?, ?, ?, 1.0, 2.0, ?, ?, ?, 1000000, 14.0, 2.0, 0, "
            "0.0)",
            files,
        )
    connection.close()


def measure_pages(dagster: Dagster, keys: Sequence[str], *, pictures: Path) -> list[Timing]:
    """Opens the pages as a person does.

    Args:
        dagster: The running UI; its daemon launches no run.
        keys: Partition keys of all scripts.
        pictures: A folder for screenshots.

    Returns:
        Seconds until each page can be used.
    """
    pictures.mkdir(parents=True, exist_ok=True)
    found: list[Timing] = []
    with browser_page() as page:
        page.set_default_timeout(_PATIENCE_SECONDS * 1000)
        expect.set_options(timeout=_PATIENCE_SECONDS * 1000)
        person = Person(page, dagster.url)
        person.open("/automation", see="manifest_sensor")  # the browser reads the UI's code once

        def timed(what: str, act: Callable[[], object]) -> None:
            began = time.monotonic()
            act()
            found.append(Timing(what=what, wall_seconds=time.monotonic() - began))
            page.screenshot(path=pictures / f"{len(found):02d}.png")

        timed("lineage of the scripts", lambda: _see_lineage(person))
        for asset in (*ROW_ASSETS, "script_manifests", "batch_results"):
            timed(f"`{asset}`, partitions", lambda asset=asset: _see_partitions(person, asset))
        timed("`downloaded_videos`, one partition", lambda: _see_one(person, keys[1]))
        timed("dialog *Materialize all*, all chosen", lambda: _choose_all(person))
        began = time.monotonic()
        backfill = dagster.backfill(ROW_ASSETS, partitions=keys)
        found.append(Timing(what="launching the backfill", wall_seconds=time.monotonic() - began))
        began = time.monotonic()
        _await_run(dagster, backfill)
        found.append(
            Timing(what="until its first run is there", wall_seconds=time.monotonic() - began)
        )
        timed("page of the backfill", lambda: _see_backfill(person, backfill))
        timed("runs", lambda: person.open("/runs", see=backfill))
        timed("automation", lambda: person.open("/automation", see="video_info_sensor"))
        dagster.cancel(backfill)
    return found


def _see_lineage(person: Person) -> None:
    selection = quote(f'group:"{_GROUP}"')
    person.open(f"/asset-groups~{selection}/", see="downloaded_videos")
    person.see("% filled")  # a node is drawn before it knows how its partitions stand


def _see_partitions(person: Person, asset: str) -> None:
    person.open_partitions(asset)
    person.page.locator('[class*="assetListRow"]').first.wait_for()
    if asset in ROW_ASSETS:
        person.page.get_by_text(_SOME_MATERIALIZED).wait_for()


def _choose_all(person: Person) -> None:
    person.open_materialize(_GROUP)
    person.page.get_by_role("button", name="All", exact=True).click()
    expect(person.page.get_by_role("button", name="Launch backfill")).to_be_enabled()


def _see_one(person: Person, key: str) -> None:
    person.open_partitions("downloaded_videos", key=key)
    person.see("Latest materialization")


def _see_backfill(person: Person, backfill: str) -> None:
    person.open(f"/runs/b/{backfill}", see="Partition selection")
    person.see("voice_files")


def _await_run(dagster: Dagster, backfill: str) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while not dagster.runs(backfill=backfill):
        if time.monotonic() > until:
            raise RuntimeError(f"no run was made:\n{dagster.log.read_text()[-3000:]}")
        time.sleep(0.5)


def measure(*, scripts: int, manifests: int, pictures: Path) -> list[Timing]:
    """Builds a world and measures it.

    Args:
        scripts: How many scripts.
        manifests: How many manifests they are spread over.
        pictures: A folder for screenshots.

    Returns:
        All that was measured, in the same order for every world.
    """
    with tempfile.TemporaryDirectory(prefix="akool-partitions-") as name, serve(QUICK) as akool:
        os.environ["AKOOL_API_KEY"] = akool.api_key
        world = World(Path(name), akool, scripts=scripts, manifests=manifests)
        world.make()
        env = {
            "AKOOL_BASE_URL": akool.url,
            "AKOOL_API_KEY": akool.api_key,
            "AKOOL_DATA": str(world.folder / "data"),
        }
        with dagster_dev(
            world.folder, module="akool_dagster.definitions", env=env, max_runs=0
        ) as dagster:
            pages = measure_pages(dagster, world.keys, pictures=pictures)
        world.unregister()
        return [*world.timings, *pages]


def main() -> None:
    """Measures and prints a Markdown table."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=int, default=20_000)
    parser.add_argument("--manifests", type=int, default=20)
    parser.add_argument("--pictures", type=Path, help="where screenshots go; nowhere by default")
    chosen = parser.parse_args()
    print(f"{machine()}, dagster {dg.__version__}, load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="akool-pictures-") as nowhere:
        pictures = chosen.pictures or Path(nowhere)
        few, many = (
            measure(scripts=n, manifests=chosen.manifests, pictures=pictures / str(n))
            for n in (SMALL, chosen.scripts)
        )
    print(f"| what | {SMALL:,} scripts, s | {chosen.scripts:,} scripts, s (CPU) |")
    print("| --- | --- | --- |")
    for one, other in zip(few, many, strict=True):
        print(f"| {other.what} | {one.wall_seconds:.2f} | {_judged(other)} |")
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}.")


def _judged(timing: Timing) -> str:
    text = f"{timing.wall_seconds:.2f}"
    if timing.cpu_seconds is not None:
        return f"{text} ({timing.cpu_seconds:.2f})"
    return text if timing.wall_seconds <= TARGET_SECONDS else f"**{text}**"


if __name__ == "__main__":
    main()
