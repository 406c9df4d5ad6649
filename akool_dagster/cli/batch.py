"""One batch from the terminal: validate, make, write the results, sum up."""

import functools
from collections.abc import Iterable, Sequence

import click
from rich.console import Console

from akool_dagster.batch.row_status import RowStatus, Standing
from akool_dagster.cli.dagster_runs import Runner
from akool_dagster.cli.exits import Exit, exit_code, stop
from akool_dagster.cli.progress import progress_bars
from akool_dagster.cli.status import rows_table, statuses_of
from akool_dagster.ledger import Ledger
from akool_dagster.storage import Storage

_WITH_PERSON = frozenset({Standing.REFUSED, Standing.FAILED, Standing.EXPIRED})
_TO_WAIT_FOR = frozenset({Standing.REQUESTED, Standing.FINISHED})


def make_videos(
    runner: Runner,
    *,
    ledger: Ledger,
    storage: Storage,
    manifests: Sequence[str],
    failed_too: bool,
    console: Console,
) -> tuple[list[RowStatus], Exit]:
    """Makes what is missing of some manifests and waits for it.

    Args:
        runner: Runs the jobs.
        ledger: Knows what was made before.
        storage: Holds manifests and results.
        manifests: Their names; each must be valid.
        failed_too: Whether rows that AKOOL refused or failed are asked for once more.
        console: Where progress is shown.

    Returns:
        All rows of the manifests as they stand afterwards, and the exit code that they mean.
    """
    for name in manifests:
        ended = runner.validate(name)
        if not ended.success:
            stop(ended.message)
    read = functools.partial(_read, ledger, storage, manifests)
    keys = keys_to_make(read(), failed_too=failed_too)
    if keys:
        with progress_bars(read, console=console):
            messages = [run.message for run in runner.generate(keys) if not run.success]
        for message in messages:
            click.echo(message, err=True)
    else:
        console.print("Every script was asked for before: nothing is sent and nothing is spent.")
    runner.write_results(manifests)
    rows = read()
    is_stopped = ledger.account.open_stop() is not None
    return rows, exit_code(rows, account_stopped=is_stopped)


def keys_to_make(rows: Iterable[RowStatus], *, failed_too: bool) -> list[str]:
    """Chooses the rows that a run from the terminal works on.

    Args:
        rows: The rows.
        failed_too: Whether a person wants refused and failed rows asked for once more.

    Returns:
        Their keys: what is new or unfinished, and what has to be waited for.
    """
    return [
        row.row.key
        for row in rows
        if row.may_be_asked_again
        or row.standing in _TO_WAIT_FOR
        or (failed_too and row.standing in _WITH_PERSON)
    ]


def sum_up(rows: Sequence[RowStatus], *, storage: Storage, console: Console) -> None:
    """Shows what became of the rows and where the files are.

    Args:
        rows: The rows.
        storage: Holds the files.
        console: Where to show it.
    """
    console.print(rows_table(rows))
    saved = sum(row.standing is Standing.SAVED for row in rows)
    console.print(f"{saved} of {len(rows)} videos are in {storage.root / 'videos'}")
    console.print(f"The results are in {storage.root / 'results'}")


def _read(ledger: Ledger, storage: Storage, manifests: Sequence[str]) -> list[RowStatus]:
    return [row for name in manifests for row in statuses_of(ledger, storage, name)]
