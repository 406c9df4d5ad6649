"""``akool-dagster dev``: the Dagster UI."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import stop
from akool_dagster.cli.rehearsal import PORT, bring_samples, emulator_for
from akool_dagster.emulator.command import scenario_option
from akool_dagster.settings import Settings, load_settings
from akool_dagster.storage import open_storage

_PATIENCE_SECONDS = 45
"""After it was told to end, Dagster has this long before it is killed."""

_GLANCE_SECONDS = 0.1

WORKSPACE = Path(__file__).with_name("workspace.yaml")
"""Names the code location: ``dagster dev -m`` would call it by its module."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the UI listens.")
@click.option("--port", default=3000, show_default=True, help="Port of the UI.")
@click.option(
    "--emulator-port",
    default=PORT,
    show_default=True,
    help="Port of the emulator; the samples' links need the usual one.",
)
@scenario_option
def dev(host: str, port: int, emulator_port: int, scenario: str | None) -> None:
    """Open the Dagster UI with its daemon: on AKOOL when a key is set, else on the emulator.

    On the emulator nothing costs anything. Its runs and its ledger are kept apart from AKOOL's.
    """
    if importlib.util.find_spec("dagster_webserver") is None:
        stop("The Dagster UI is not installed: pip install 'akool-dagster[dev]'.")
    settings = load_settings()
    with contextlib.ExitStack() as stack:
        if settings.has_credential:
            _refuse_scenario(scenario, settings)
            click.echo(f"Talking to AKOOL at {settings.base_url}: materializing costs credits.")
        else:
            settings = stack.enter_context(
                _rehearsing(settings, port=emulator_port, scenario=scenario)
            )
        home = use_dagster_home(settings)
        click.echo(f"Manifests go into {open_storage(settings.data).root / 'manifests'}")
        click.echo(f"Dagster's own files are in {home}")
        command = [sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE)]
        raise SystemExit(_run([*command, "-h", host, "-p", str(port)]))


def _refuse_scenario(scenario: str | None, settings: Settings) -> None:
    if scenario is not None:
        stop(
            f"--scenario {scenario} is for the emulator, and a key is set, with which this talks "
            f"to AKOOL at {settings.base_url}. Unset AKOOL_API_KEY, AKOOL_CLIENT_ID and "
            "AKOOL_CLIENT_SECRET to rehearse, or leave --scenario out. Nothing was started."
        )


@contextlib.contextmanager
def _rehearsing(settings: Settings, *, port: int, scenario: str | None) -> Iterator[Settings]:
    with emulator_for(settings, port=port, scenario=scenario) as emulator:
        click.echo(f"No key is set: rehearsing on the emulator at {emulator.url}, at no cost.")
        rehearsal = load_settings()
        bring_samples(open_storage(rehearsal.data))
        yield rehearsal


def _run(command: list[str]) -> int:
    """Runs Dagster until it ends, or until this process is told to end."""
    endings = _catch_endings()
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own arguments

    def tell_all(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        # To all of Dagster's processes at once, for one after the other it takes a minute.
        tell_all(signal.SIGINT)
        signal.alarm(_PATIENCE_SECONDS)

    for number in endings:
        signal.signal(number, pass_on)
    signal.signal(signal.SIGALRM, lambda _number, _frame: tell_all(signal.SIGKILL))
    code = process.wait()
    _wait_for_group(process.pid)
    return code


def _wait_for_group(group: int) -> None:
    """Waits for the processes that outlive Dagster's own by a moment.

    The emulator must not be gone before a run that still talks to it.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-group, os.WNOHANG)  # as process 1 of a container they are ours
            os.killpg(group, 0)
            time.sleep(_GLANCE_SECONDS)
        os.killpg(group, signal.SIGKILL)


def _catch_endings() -> list[signal.Signals]:
    """Catches the signals that mean the end, so that Dagster inherits their default meaning.

    A script that starts this with "&" makes it ignore SIGINT. Dagster would inherit that, ignore
    SIGTERM as well, and could not be ended at all.
    """
    endings = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
        endings.append(signal.SIGHUP)
    for number in endings:
        signal.signal(number, signal.default_int_handler)
    return endings
