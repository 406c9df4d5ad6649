"""Builders that several test modules use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from akool_dagster.akool import AkoolClient, ApiKey
from akool_dagster.batch.catalogs.avatar_book import open_avatar_book
from akool_dagster.batch.catalogs.voice_book import open_voice_book
from akool_dagster.batch.tools import Rules, Tools
from akool_dagster.downloads import Downloader
from akool_dagster.emulator import EmulatorConfig, RenderTimes, RunningEmulator
from akool_dagster.ledger import Ledger, Limits
from akool_dagster.storage import open_storage

QUICK = EmulatorConfig(speed=120.0, media="tiny", times=RenderTimes(sigma=0.2))
"""Speech in a fraction of a second, videos within a second."""


@contextmanager
def opened_tools(
    akool: RunningEmulator, data: Path, *, rules: Rules | None = None, **overrides: object
) -> Iterator[Tools]:
    with (
        AkoolClient(ApiKey(akool.api_key), base_url=akool.url) as client,
        Ledger.open(f"sqlite:///{data / 'ledger.sqlite'}", service="emulator") as ledger,
        Downloader() as downloader,
    ):
        chosen, storage = rules or quick_rules(), open_storage(str(data))
        values: dict[str, object] = {
            "storage": storage,
            "avatars": open_avatar_book(client, storage, service="emulator"),
            "voices": open_voice_book(client, storage, service="emulator", api=chosen.voice_api),
            "rules": chosen,
        }
        yield Tools(
            client=client,
            ledger=ledger,
            downloader=downloader,
            **{**values, **overrides},  # type: ignore[arg-type]
        )


def quick_rules(**changes: object) -> Rules:
    values: dict[str, object] = {"poll_seconds": 0.15, "limits": Limits(max_in_flight=10)}
    return Rules(**{**values, **changes})  # type: ignore[arg-type]


COLUMNS = "script_id,script,voice_id,voice_sample_url,voice_url,avatar_id,avatar_url"


def csv_line(
    script_id: str,
    *,
    script: str = "",
    voice_id: str = "",
    voice_sample_url: str = "",
    voice_url: str = "",
    avatar_id: str = "",
    avatar_url: str = "",
) -> str:
    return ",".join(
        [script_id, script, voice_id, voice_sample_url, voice_url, avatar_id, avatar_url]
    )


def plain_line(script_id: str, script: str = "") -> str:
    """A row that the emulator makes without a murmur, unless the script holds a marker."""
    return csv_line(
        script_id,
        script=f"This is {script_id}. {script}",
        voice_id="Emma_en-US",
        avatar_id="Jane_in_Blue_2024",
    )


def write_manifest(folder: Path, name: str, *lines: str) -> Path:
    path = folder / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([COLUMNS, *lines]) + "\n", encoding="utf-8")
    return path
