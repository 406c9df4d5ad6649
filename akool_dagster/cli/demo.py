"""``akool-dagster demo``: the main job on the emulator, through Dagster."""

from collections.abc import Sequence

import click
from rich.console import Console

from akool_dagster.batch.row_status import RowStatus, Standing
from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import Exit
from akool_dagster.cli.rehearsal import SPEED, bring_samples, emulator_for
from akool_dagster.cli.workplace import ledger_or_stop, settings_or_stop, storage_or_stop

REHEARSAL_PREFIX = "rehearsal-of-"
"""A script_id that begins so is meant to fail, to show what failure looks like."""


@click.command()
@click.option("--speed", default=SPEED, show_default=True, help="Virtual seconds per second.")
def demo(speed: float) -> None:
    """Make the sample videos on the local emulator, without a key and at no cost.

    One sample row is meant to fail; when it alone fails the exit code is 0. A second demo finds
    everything done and creates nothing.
    """
    console = Console()
    data = settings_or_stop().data
    with emulator_for(data, speed=speed) as emulator:
        settings = settings_or_stop()
        storage = storage_or_stop(settings)
        home = use_dagster_home(settings)
        names = bring_samples(storage)
        # Dagster reads the environment that the emulator has just set.
        from akool_dagster.cli.batch import make_videos, sum_up
        from akool_dagster.cli.dagster_runs import Runner

        console.print(f"The emulator stands in for AKOOL at {emulator.url} ({speed:g} x speed).")
        runner = Runner(settings)
        runner.refresh_catalogs()
        with ledger_or_stop(settings) as ledger:
            rows, code = make_videos(
                runner,
                ledger=ledger,
                storage=storage,
                manifests=names,
                failed_too=False,
                console=console,
            )
        runner.close()
    sum_up(rows, storage=storage, console=console)
    console.print(
        f"These runs are in {home}. To see them in the Dagster UI: akool-dagster dev",
        soft_wrap=True,
    )
    if code is Exit.SOME_FAILED and only_rehearsals_failed(rows):
        console.print(
            f"The rows named {REHEARSAL_PREFIX}... are meant to fail; all others are there."
        )
        code = Exit.DONE
    raise SystemExit(int(code))


def only_rehearsals_failed(rows: Sequence[RowStatus]) -> bool:
    """Tells whether the demo went as intended.

    Args:
        rows: All rows of the samples.

    Returns:
        True when each row has its video but those that are meant to fail.
    """
    missing = [row for row in rows if row.standing is not Standing.SAVED]
    return all(row.row.script_id.startswith(REHEARSAL_PREFIX) for row in missing)
