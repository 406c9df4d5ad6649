"""``akool-dagster demo``: the main job on the emulator, through Dagster."""

import contextlib
import os
from collections.abc import Sequence

import click

from akool_dagster.batch.row_status import RowStatus
from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import Exit, stop
from akool_dagster.cli.rehearsal import SPEED, bring_samples, emulator_for
from akool_dagster.cli.tables import is_here
from akool_dagster.cli.terminal import open_console
from akool_dagster.cli.workplace import opened_ledger
from akool_dagster.emulator import RunningEmulator
from akool_dagster.emulator.command import scenario_option
from akool_dagster.settings import load_settings
from akool_dagster.storage import open_storage

REHEARSAL_PREFIX = "rehearsal-of-"
"""A script_id that begins so is meant to fail, to show what failure looks like."""


@click.command()
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    show_default=f"the scenario's, else {SPEED:g}",
    help="Virtual seconds per second.",
)
@scenario_option
def demo(speed: float | None, scenario: str | None) -> None:
    """Make the sample videos on the local emulator, without a key and at no cost.

    One sample row is meant to fail; when it alone fails the exit code is 0. A second demo finds
    everything done and creates nothing. Its Dagster runs are kept in the data root, never in the
    folder that DAGSTER_HOME names.
    """
    console = open_console()
    theirs = os.environ.pop("DAGSTER_HOME", None)
    with emulator_for(load_settings(), speed=speed, scenario=scenario) as emulator:
        settings = load_settings()
        storage = open_storage(settings.data)
        home = use_dagster_home(settings)
        names = bring_samples(storage)
        console.print(
            f"The emulator stands in for AKOOL at {emulator.url} ({_speed_of(emulator)} x speed)."
        )
        # Dagster reads the environment that the emulator has just set.
        from akool_dagster.cli.batch import make_videos, sum_up
        from akool_dagster.cli.dagster_runs import Runner

        with contextlib.closing(Runner(settings)) as runner, opened_ledger(settings) as ledger:
            catalogs = runner.refresh_catalogs()
            if not catalogs.success:
                stop(catalogs.message, Exit.SOME_FAILED)
            batch = make_videos(
                runner,
                ledger=ledger,
                storage=storage,
                manifests=names,
                failed_too=False,
                console=console,
            )
    sum_up(batch, storage=storage, console=console)
    code = batch.code
    if code is Exit.SOME_FAILED and only_rehearsals_failed(batch.rows):
        console.print(
            f"The rows named {REHEARSAL_PREFIX}... are meant to fail; all others are there."
        )
        code = Exit.DONE
    left_alone = f" DAGSTER_HOME={theirs} was left alone." if theirs else ""
    command = "env -u DAGSTER_HOME akool-dagster dev" if theirs else "akool-dagster dev"
    console.print(
        f"These runs are in {home}.{left_alone} To see them in the Dagster UI: {command}",
        soft_wrap=True,
    )
    raise SystemExit(int(code))


def _speed_of(emulator: RunningEmulator) -> str:
    return f"{emulator.emulator.config.speed:g}"


def only_rehearsals_failed(rows: Sequence[RowStatus]) -> bool:
    """Tells whether the demo went as intended.

    Args:
        rows: All rows of the samples.

    Returns:
        True when each row has its video but those that are meant to fail.
    """
    missing = [row for row in rows if not is_here(row)]
    return all(row.row.script_id.startswith(REHEARSAL_PREFIX) for row in missing)
