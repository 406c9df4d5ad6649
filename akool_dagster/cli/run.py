"""``akool-dagster run``: one manifest, start to finish."""

import contextlib
import json
from collections import Counter

import click

from akool_dagster.batch.avatar_status import never_uploaded
from akool_dagster.cli.dagster_home import use_dagster_home
from akool_dagster.cli.exits import Exit, stop
from akool_dagster.cli.tables import is_here, row_json, stop_json
from akool_dagster.cli.terminal import open_console
from akool_dagster.cli.workplace import bring_in, checked_manifest, opened_ledger
from akool_dagster.manifest import ManifestError
from akool_dagster.settings import load_settings
from akool_dagster.storage import open_storage


@click.command()
@click.argument("manifest")
@click.option("--failed", "failed_too", is_flag=True, help="Ask once more for failed rows; paid.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def run(manifest: str, failed_too: bool, as_json: bool) -> None:
    """Make the videos of MANIFEST through Dagster and wait for them. Costs credits.

    MANIFEST is the name of a manifest in the data root, or the path of a CSV or Parquet file,
    which is then copied there. What is done already is neither sent nor paid again.
    """
    settings = load_settings()
    if not settings.has_credential:
        stop(
            "No AKOOL credential is set. Set AKOOL_API_KEY (or AKOOL_CLIENT_ID and "
            "AKOOL_CLIENT_SECRET), or rehearse without one: akool-dagster demo, akool-dagster dev.",
            Exit.ACCOUNT_STOPPED,
        )
    storage = open_storage(settings.data)
    try:
        checked = checked_manifest(storage, manifest, settings)
    except ManifestError as error:
        stop(f"{error}\n\nNothing was asked for and nothing was spent.")
    use_dagster_home(settings)
    bring_in(storage, checked)
    # Dagster takes a second to import: only once the input is known to be good.
    from akool_dagster.cli.batch import Batch, make_videos, sum_up
    from akool_dagster.cli.dagster_runs import Runner

    console = open_console(stderr=as_json)
    with contextlib.closing(Runner(settings)) as runner, opened_ledger(settings) as ledger:
        batch: Batch = make_videos(
            runner,
            ledger=ledger,
            storage=storage,
            manifests=[checked.name],
            failed_too=failed_too,
            console=console,
        )
        unmade = {row.row.avatar_id or "" for row in batch.rows if not is_here(row)}
        missing = never_uploaded(ledger, storage, unmade)
    sum_up(batch, storage=storage, console=console, offer_failed=True)
    if missing:
        console.print(
            f"Own avatars that scripts name and that were never uploaded: {', '.join(missing)}. "
            "To upload them: akool-dagster avatars --upload; then run this again.",
            soft_wrap=True,
        )
    if as_json:
        summary = {
            "manifest": checked.name,
            "counts": Counter(row.standing.value for row in batch.rows),
            "not_made": [row_json(row) for row in batch.rows if not is_here(row)],
            "account_stop": stop_json(batch.account_stop),
            "results": str(storage.results_path(checked.name, ".csv")) if batch.results else None,
        }
        click.echo(json.dumps(summary))
    raise SystemExit(int(batch.code))
