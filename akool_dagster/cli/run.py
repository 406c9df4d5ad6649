"""``akool-dagster run``: one manifest, start to finish."""

import json
from collections import Counter

import click
from rich.console import Console

from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import Exit, stop
from akool_dagster.cli.workplace import (
    bring_in,
    ledger_or_stop,
    manifest_or_stop,
    settings_or_stop,
    storage_or_stop,
)


@click.command()
@click.argument("manifest")
@click.option("--failed", "failed_too", is_flag=True, help="Ask once more for failed rows; paid.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def run(manifest: str, failed_too: bool, as_json: bool) -> None:
    """Make the videos of MANIFEST through Dagster and wait for them. Costs credits.

    MANIFEST is the name of a manifest in the data root, or the path of a CSV or Parquet file,
    which is then copied there. What is done already is neither sent nor paid again.
    """
    settings = settings_or_stop()
    if not settings.has_credential:
        stop(
            "No AKOOL credential is set. Set AKOOL_API_KEY (or AKOOL_CLIENT_ID and "
            "AKOOL_CLIENT_SECRET), or rehearse without one: akool-dagster demo, akool-dagster dev.",
            Exit.ACCOUNT_STOPPED,
        )
    storage = storage_or_stop(settings)
    checked = manifest_or_stop(storage, manifest, settings)
    bring_in(storage, checked)
    use_dagster_home(settings)
    # Dagster takes a second to import: only once the input is known to be good.
    from akool_dagster.cli.batch import make_videos, sum_up
    from akool_dagster.cli.dagster_runs import Runner

    console = Console(stderr=as_json)
    runner = Runner(settings)
    with ledger_or_stop(settings) as ledger:
        rows, code = make_videos(
            runner,
            ledger=ledger,
            storage=storage,
            manifests=[checked.name],
            failed_too=failed_too,
            console=console,
        )
    runner.close()
    if as_json:
        counts = Counter(row.standing.value for row in rows)
        results = str(storage.results_path(checked.name, ".csv"))
        click.echo(json.dumps({"manifest": checked.name, "counts": counts, "results": results}))
    else:
        sum_up(rows, storage=storage, console=console)
    raise SystemExit(int(code))
