"""``akool-dagster dev``: the Dagster UI."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType

import click

from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import stop
from akool_dagster.cli.rehearsal import bring_samples, emulator_for
from akool_dagster.cli.workplace import settings_or_stop, storage_or_stop
from akool_dagster.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the UI listens.")
@click.option("--port", default=3000, show_default=True, help="Port of the UI.")
def dev(host: str, port: int) -> None:
    """Open the Dagster UI with its daemon: on AKOOL when a key is set, else on the emulator.

    On the emulator nothing costs anything. Its runs and its ledger are kept apart from AKOOL's.
    """
    if importlib.util.find_spec("dagster_webserver") is None:
        stop("The Dagster UI is not installed: pip install 'akool-dagster[dev]'.")
    settings = settings_or_stop()
    with contextlib.ExitStack() as stack:
        if settings.has_credential:
            click.echo(f"Talking to AKOOL at {settings.base_url}: materializing costs credits.")
        else:
            settings = stack.enter_context(_rehearsing(settings))
        home = use_dagster_home(settings)
        click.echo(f"Manifests go into {storage_or_stop(settings).root / 'manifests'}")
        click.echo(f"Dagster's own files are in {home}")
        command = [sys.executable, "-m", "dagster", "dev", "-m", "akool_dagster.definitions"]
        raise SystemExit(_run([*command, "-h", host, "-p", str(port)]))


@contextlib.contextmanager
def _rehearsing(settings: Settings) -> Iterator[Settings]:
    with emulator_for(settings.data) as emulator:
        click.echo(f"No key is set: rehearsing on the emulator at {emulator.url}, at no cost.")
        rehearsal = settings_or_stop()
        bring_samples(storage_or_stop(rehearsal))
        yield rehearsal


def _run(command: list[str]) -> int:
    """Runs Dagster until it ends, or until this process is told to end."""
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own arguments

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        # To all of Dagster's processes at once, for one after the other it takes a minute.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)

    signal.signal(signal.SIGINT, pass_on)
    signal.signal(signal.SIGTERM, pass_on)
    return process.wait()
