"""``akool-dagster status``: where every script stands."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import click

from akool_dagster.batch.row_status import RowStatus, row_statuses
from akool_dagster.cli.exits import exit_code, stop
from akool_dagster.cli.tables import counts_table, row_json, rows_table, stop_in_words, stop_json
from akool_dagster.cli.terminal import open_console
from akool_dagster.cli.workplace import opened_ledger
from akool_dagster.ledger import AccountStop, Ledger
from akool_dagster.manifest import MANIFEST_SUFFIXES, read_scripts
from akool_dagster.settings import load_settings
from akool_dagster.storage import Storage, open_storage


@click.command()
@click.argument("manifest", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(manifest: str | None, as_json: bool) -> None:
    """Show where every script stands, of MANIFEST or of all; asks nobody but the ledger.

    The exit code is 0 only when every video is there; see `akool-dagster --help`.
    """
    settings = load_settings()
    storage = open_storage(settings.data)
    names = _names(storage, manifest)
    by_name: dict[str, list[RowStatus]] = {}
    stopped = None
    if names:  # a ledger is not made where there is nothing to look up
        with opened_ledger(settings) as ledger:
            by_name = {name: statuses_of(ledger, storage, name) for name in names}
            stopped = ledger.account.open_stop()
    if as_json:
        click.echo(json.dumps(_as_json(by_name, stopped), indent=2))
    else:
        _show(by_name, stopped, storage=storage, is_one=manifest is not None)
    rows = [row for rows in by_name.values() for row in rows]
    raise SystemExit(int(exit_code(rows, account_stopped=stopped is not None)))


def statuses_of(ledger: Ledger, storage: Storage, manifest: str) -> list[RowStatus]:
    """Looks up the rows of a validated manifest.

    Args:
        ledger: Knows their history.
        storage: Holds the validated manifest.
        manifest: Its name.

    Returns:
        One status per row, in the order of the file.
    """
    return row_statuses(ledger, read_scripts(storage.scripts_path(manifest)).rows())


def _names(storage: Storage, manifest: str | None) -> Sequence[str]:
    validated = sorted(path.stem for path in (storage.root / "scripts").glob("*.parquet"))
    if manifest is None:
        return validated
    word = PurePath(manifest)
    name = word.stem if word.suffix.lower() in MANIFEST_SUFFIXES else manifest
    if name not in validated:
        known = ", ".join(validated) or "none"
        stop(
            f"{name!r} is no manifest that was asked for; there are: {known}. "
            f"What a run would ask for says: akool-dagster plan {manifest}"
        )
    return [name]


def _show(
    by_name: Mapping[str, Sequence[RowStatus]],
    stopped: AccountStop | None,
    *,
    storage: Storage,
    is_one: bool,
) -> None:
    console = open_console()
    if not by_name:
        folder = storage.root / "manifests"
        console.print(
            f"Nothing was asked for yet. Put a manifest into {folder}, then: akool-dagster plan "
            "MANIFEST",
            soft_wrap=True,
        )
        return
    console.print(counts_table(by_name))
    if is_one:
        console.print(rows_table([row for rows in by_name.values() for row in rows]))
    console.print(f"Files are under {storage.root}", soft_wrap=True)
    if stopped is not None:
        console.print(stop_in_words(stopped), style="red")


def _as_json(
    by_name: Mapping[str, Sequence[RowStatus]], stopped: AccountStop | None
) -> dict[str, object]:
    return {
        "account_stop": stop_json(stopped),
        "manifests": {
            name: {
                "counts": dict(Counter(row.standing.value for row in rows)),
                "scripts": [row_json(row) for row in rows],
            }
            for name, rows in by_name.items()
        },
    }
