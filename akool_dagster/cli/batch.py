"""One batch from the terminal: validate, make, write the results, sum up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import click
from rich.console import Console

from akool_dagster.batch.row_status import RowStatus, row_statuses
from akool_dagster.batch.standing import Standing
from akool_dagster.cli.dagster_runs import EndedRun, Runner
from akool_dagster.cli.exits import Exit, exit_code, stop
from akool_dagster.cli.interrupts import insistent_interrupts
from akool_dagster.cli.progress import progress_bars
from akool_dagster.cli.tables import in_words, is_here, rows_table, stop_in_words
from akool_dagster.ledger import AccountStop, Ledger
from akool_dagster.manifest.scripts import read_rows
from akool_dagster.storage import Storage

_ROWS_SHOWN = 50

_WITH_PERSON = frozenset({Standing.REFUSED, Standing.FAILED, Standing.EXPIRED})
_TO_WAIT_FOR = frozenset({Standing.REQUESTED, Standing.FINISHED})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What became of a batch.

    Attributes:
        rows: All rows of its manifests as they stand now.
        code: The exit code that they mean.
        told: What the runs said about rows that did not get through, by key.
        account_stop: The stop of the account that is in force, if any.
        had_work: Whether there was anything to ask for or to wait for.
        results: The manifests whose results are written.
    """

    rows: Sequence[RowStatus]
    code: Exit
    told: dict[str, str] = field(default_factory=dict)
    account_stop: AccountStop | None = None
    had_work: bool = True
    results: Sequence[str] = ()


def make_videos(
    runner: Runner,
    *,
    ledger: Ledger,
    storage: Storage,
    manifests: Sequence[str],
    failed_too: bool,
    console: Console,
) -> Batch:
    """Makes what is missing of some manifests and waits for it.

    Args:
        runner: Runs the jobs.
        ledger: Knows what was made before.
        storage: Holds manifests and results.
        manifests: Their names; each must be valid.
        failed_too: Whether rows that AKOOL refused or failed are asked for once more.
        console: Where progress is shown.

    Returns:
        The batch.
    """
    for name in manifests:
        ended = runner.validate(name)
        if not ended.success:
            stop(ended.message)
    paths = map(storage.scripts_path, manifests)
    scripts = [row for path in paths for row in read_rows(path).values()]

    def read() -> list[RowStatus]:
        return row_statuses(ledger, scripts)

    keys = keys_to_make(read(), failed_too=failed_too)
    told: dict[str, str] = {}
    if keys:
        try:
            with insistent_interrupts(), progress_bars(read, console=console):
                runs = list(runner.generate(keys))
        except KeyboardInterrupt:
            return Batch(rows=read(), code=Exit.INTERRUPTED)
        told = _listen(runs)
    written = _write_results(runner, manifests)
    rows, account_stop = read(), ledger.account.open_stop()
    code = exit_code(rows, account_stopped=account_stop is not None)
    if code is Exit.DONE and len(written) < len(manifests):
        code = Exit.SOME_FAILED
    return Batch(
        rows=rows,
        code=code,
        told=told,
        account_stop=account_stop,
        had_work=bool(keys),
        results=written,
    )


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


def sum_up(batch: Batch, *, storage: Storage, console: Console, offer_failed: bool = False) -> None:
    """Shows what became of the rows and where the files are.

    Args:
        batch: The batch.
        storage: Holds the files.
        console: Where to show it.
        offer_failed: Whether to name the command that asks for failed rows once more.
    """
    if batch.code is Exit.INTERRUPTED:
        console.print(
            f"Interrupted. What was sent is written down ({in_words(batch.rows)}); the same "
            "command goes on from there and sends nothing twice.",
            soft_wrap=True,
        )
        return
    if not batch.had_work:
        console.print("Nothing is left to ask for: nothing was sent and nothing was spent.")
    shown = _worth_showing(batch.rows)
    if shown:
        console.print(rows_table(shown, told=batch.told))
    saved = sum(is_here(row) for row in batch.rows)
    lines = [f"{saved} of {len(batch.rows)} videos are in {storage.root / 'videos'}"]
    lines += [f"The results are in {storage.results_path(name, '.csv')}" for name in batch.results]
    if batch.account_stop is not None:
        lines.append(stop_in_words(batch.account_stop))
    elif offer_failed:
        lines += _offers(batch)
    console.print("\n".join(lines), soft_wrap=True)


def _offers(batch: Batch) -> list[str]:
    left = [row for row in batch.rows if row.standing in _WITH_PERSON]
    names = dict.fromkeys(row.row.manifest for row in left)
    return [
        f"Rows that AKOOL refused or failed are left alone; to ask for them once more, which is "
        f"paid again: akool-dagster run {name} --failed"
        for name in names
    ]


def _worth_showing(rows: Sequence[RowStatus]) -> Sequence[RowStatus]:
    """Leaves good rows out where there are many."""
    if len(rows) <= _ROWS_SHOWN:
        return rows
    bad = [row for row in rows if not is_here(row)]
    if len(bad) > _ROWS_SHOWN:
        click.echo(
            f"Shown are {_ROWS_SHOWN} of {len(bad)} rows without a video; all of them: "
            f"akool-dagster status {bad[0].row.manifest}",
            err=True,
        )
    return bad[:_ROWS_SHOWN]


def _listen(runs: Iterable[EndedRun]) -> dict[str, str]:
    """Collects what runs said about rows, and passes on what they said about themselves."""
    told: dict[str, str] = {}
    for run in runs:
        told.update(run.told)
        if not run.success and not run.told:
            click.echo(run.message, err=True)
    return told


def _write_results(runner: Runner, manifests: Sequence[str]) -> list[str]:
    written = []
    for name, run in zip(manifests, runner.write_results(manifests), strict=True):
        if run.success:
            written.append(name)
        else:
            click.echo(f"The results of {name} could not be written: {run.message}", err=True)
    return written
