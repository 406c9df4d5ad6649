"""``akool-dagster status``: where every script stands."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table

from akool_dagster.batch.outcomes import sentences
from akool_dagster.batch.row_status import RowStatus, row_statuses
from akool_dagster.batch.wording import when
from akool_dagster.cli.exits import exit_code, stop
from akool_dagster.cli.workplace import ledger_or_stop, settings_or_stop, storage_or_stop
from akool_dagster.ledger import AccountStop, Ledger
from akool_dagster.manifest import read_scripts
from akool_dagster.storage import Storage

_COLOURS = {
    "saved": "green",
    "failed": "red",
    "refused": "red",
    "expired": "red",
    "in doubt": "yellow",
}


@click.command()
@click.argument("manifest", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(manifest: str | None, as_json: bool) -> None:
    """Show where every script stands, of MANIFEST or of all; asks nobody but the ledger."""
    settings = settings_or_stop()
    storage = storage_or_stop(settings)
    names = _names(storage, manifest)
    with ledger_or_stop(settings) as ledger:
        by_name = {name: statuses_of(ledger, storage, name) for name in names}
        stopped = ledger.account.open_stop()
    rows = [entry for entries in by_name.values() for entry in entries]
    if as_json:
        click.echo(json.dumps(_as_json(by_name, stopped), indent=2))
    else:
        console = Console()
        console.print(counts_table(by_name))
        if manifest is not None:
            console.print(rows_table(rows))
        if stopped is not None:
            console.print(
                f"[red]AKOOL stopped this account since {when(stopped.stopped_at)}: "
                f"{stopped.reason}[/red] {stopped.advice or ''}"
            )
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


def rows_table(rows: Iterable[RowStatus]) -> Table:
    """Lays rows out for the terminal.

    Args:
        rows: The rows.

    Returns:
        One line per row: script, status, length, file or cause.
    """
    table = Table("script", "status", "seconds", "file, or what happened and what to do")
    for entry in rows:
        file = entry.video_file
        is_here = file is not None and file.saved_at is not None
        name = entry.standing.value
        colour = _COLOURS.get(name)
        table.add_row(
            entry.row.key,
            f"[{colour}]{name}[/{colour}]" if colour else name,
            f"{file.media_seconds:.1f}" if is_here and file and file.media_seconds else "",
            (file.path or "") if is_here and file else sentences(entry.cause, entry.next_step),
        )
    return table


def counts_table(by_name: dict[str, list[RowStatus]]) -> Table:
    """Lays the counts of manifests out for the terminal.

    Args:
        by_name: Rows by manifest.

    Returns:
        One line per manifest.
    """
    table = Table("manifest", "scripts", "standing")
    for name, rows in by_name.items():
        counts = Counter(entry.standing.value for entry in rows)
        standing = ", ".join(f"{count} {word}" for word, count in counts.most_common())
        table.add_row(name, str(len(rows)), standing)
    return table


def _names(storage: Storage, manifest: str | None) -> Sequence[str]:
    files = storage.manifests()
    validated = sorted({f.stem for f in files if storage.scripts_path(f.stem).exists()})
    if manifest is None:
        return validated
    if manifest not in validated and not storage.scripts_path(manifest).exists():
        stop(f"{manifest!r} is no validated manifest; there are: {', '.join(validated) or 'none'}.")
    return [manifest]


def _as_json(by_name: dict[str, list[RowStatus]], stopped: AccountStop | None) -> dict[str, object]:
    return {
        "account_stop": None
        if stopped is None
        else {"code": stopped.code, "reason": stopped.reason, "since": when(stopped.stopped_at)},
        "manifests": {
            name: {
                "counts": dict(Counter(entry.standing.value for entry in rows)),
                "scripts": [_row_json(entry) for entry in rows],
            }
            for name, rows in by_name.items()
        },
    }


def _row_json(entry: RowStatus) -> dict[str, object]:
    file = entry.video_file
    return {
        "key": entry.row.key,
        "status": entry.standing.value,
        "cause": entry.cause,
        "next_step": entry.next_step,
        "video_id": entry.video.remote_id if entry.video else None,
        "video_file": file.path if file and file.saved_at else None,
    }
