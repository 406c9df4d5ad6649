"""Sets this process up for the emulator: nothing of it can reach AKOOL or cost anything."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import akool_dagster
from akool_dagster.cli.exits import stop
from akool_dagster.emulator import EmulatorConfig, RunningEmulator, serve
from akool_dagster.storage import Storage

PORT = 8790
"""The samples' links name this port."""

SPEED = 60.0
"""Virtual seconds per second: a video that takes three minutes is there in three seconds."""

_POLL_SECONDS = "0.5"


@contextlib.contextmanager
def emulator_for(data: str, *, speed: float = SPEED) -> Iterator[RunningEmulator]:
    """Runs the emulator and points the environment of this process at it.

    Args:
        data: The data root; the emulator keeps its own memory beside it.
        speed: Virtual seconds per second.

    Yields:
        The running emulator.
    """
    local = Path("data" if "://" in data else data)
    config = EmulatorConfig(speed=speed, state_dir=str(local / "emulator"))
    try:
        with serve(config, port=PORT) as emulator:
            point_at(emulator)
            yield emulator
    except OSError as error:
        stop(
            f"The emulator cannot listen on 127.0.0.1:{PORT}: {error}. Is another one running "
            "(akool-dagster dev, demo or emulator)? Stop it first."
        )


def point_at(emulator: RunningEmulator) -> None:
    """Makes this process and its children talk to the emulator, whatever key was set before.

    Args:
        emulator: The running emulator.
    """
    os.environ["AKOOL_BASE_URL"] = emulator.url
    os.environ["AKOOL_API_KEY"] = emulator.api_key
    os.environ.setdefault("AKOOL_POLL_SECONDS", _POLL_SECONDS)
    for name in ("AKOOL_CLIENT_ID", "AKOOL_CLIENT_SECRET", "AKOOL_WEBHOOK_URL"):
        os.environ.pop(name, None)


def bring_samples(storage: Storage) -> list[str]:
    """Puts the sample manifests into the data root where they are missing.

    Args:
        storage: The data root.

    Returns:
        The names of the sample manifests.
    """
    samples = _samples_folder()
    there = {path.name for path in storage.manifests()}
    files = sorted(path for path in samples.iterdir() if path.suffix in (".csv", ".parquet"))
    for file in files:
        if file.name not in there:
            storage.install_bytes(storage.root / "manifests" / file.name, file.read_bytes())
    return [file.stem for file in files]


def _samples_folder() -> Path:
    package = Path(akool_dagster.__file__).parent
    installed = package / "samples"
    return installed if installed.is_dir() else package.parent / "data" / "manifests"
