"""Sets this process up for the emulator: nothing of it can reach AKOOL or cost anything."""

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import akool_dagster
from akool_dagster.cli.exits import stop
from akool_dagster.cli.workplace import local_folder
from akool_dagster.emulator import EmulatorConfig, RunningEmulator, serve
from akool_dagster.emulator.scenario import load_scenario
from akool_dagster.file_endings import TEXTS_SUFFIXES
from akool_dagster.settings import Settings
from akool_dagster.storage import Storage

PORT = 8790
"""The samples' links name this port."""

SPEED = 60.0
"""Virtual seconds per second: a video that takes three minutes is there in three seconds."""

_POLL_SECONDS = "0.5"


@contextlib.contextmanager
def emulator_for(
    settings: Settings,
    *,
    speed: float | None = None,
    port: int = PORT,
    scenario: str | None = None,
) -> Iterator[RunningEmulator]:
    """Runs the emulator and points the environment of this process at it.

    Args:
        settings: Name the data root; the emulator keeps its own memory beside it.
        speed: Virtual seconds per second; None leaves it to the scenario, else it is `SPEED`.
        port: Where it listens; with another one than the usual the samples' links lead nowhere.
        scenario: A file with its habits, see `akool_dagster.emulator.scenario`.

    Yields:
        The running emulator. Ends the command when its port is taken or the scenario is bad.
    """
    config = _config(scenario, state=local_folder(settings) / "emulator")
    if speed is not None:
        config = replace(config, speed=speed)
    with contextlib.ExitStack() as stack:
        try:
            emulator = stack.enter_context(serve(config, port=port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            stop(
                f"Port {port} of this machine is taken, and the emulator needs it. Another "
                "akool-dagster demo, dev or emulator may be running: stop it, then try again. "
                "Nothing was started."
            )
        point_at(emulator)
        yield emulator


def _config(scenario: str | None, *, state: Path) -> EmulatorConfig:
    if scenario is None:
        return EmulatorConfig(speed=SPEED, state_dir=str(state))
    try:
        return replace(load_scenario(scenario, speed=SPEED), state_dir=str(state))
    except (OSError, ValueError) as error:
        stop(f"{error}\nNothing was started.")


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
    files = sorted(path for path in samples.iterdir() if path.suffix in (".csv", ".parquet"))
    for file in files:
        target = storage.root / "manifests" / file.name
        if not target.exists():
            storage.install_bytes(target, file.read_bytes())
    return [file.stem for file in files if not file.name.endswith(TEXTS_SUFFIXES)]


def _samples_folder() -> Path:
    package = Path(akool_dagster.__file__).parent
    installed = package / "samples"
    return installed if installed.is_dir() else package.parent / "data" / "manifests"
