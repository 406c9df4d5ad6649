"""``akool-dagster plan``: what would be asked for."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from akool_dagster.batch.prices import PriceBook, speech_seconds
from akool_dagster.batch.row_status import RowStatus, Standing, row_statuses
from akool_dagster.cli.exits import Exit, stop
from akool_dagster.cli.tables import stop_in_words, stop_json
from akool_dagster.cli.workplace import checked_manifest, opened_ledger
from akool_dagster.manifest import ManifestError
from akool_dagster.settings import load_settings
from akool_dagster.storage import open_storage

_REPAIRS_SHOWN = 20
_UNDER_WAY = frozenset(
    {
        Standing.NOT_REQUESTED,
        Standing.VOICE_PENDING,
        Standing.VOICE_READY,
        Standing.REQUESTED,
        Standing.FINISHED,
    }
)
_FAILED = frozenset({Standing.REFUSED, Standing.FAILED, Standing.EXPIRED})
_COUNTS = {
    "new": "never asked for",
    "changed": "their script, voice or avatar is another than before",
    "done": "their videos are there",
    "under_way": "begun and not finished: a run goes on with them",
    "failed": "AKOOL refused or failed them: left alone, except by akool-dagster run --failed",
    "in_doubt": "may have been charged: see akool-dagster status, then akool-dagster resolve",
}


@click.command()
@click.argument("manifest")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(manifest: str, as_json: bool) -> None:
    """Validate MANIFEST and say what is new, changed and done; spends nothing.

    MANIFEST is the name of a manifest in the data root, or the path of a CSV or Parquet file.
    """
    settings = load_settings()
    try:
        checked = checked_manifest(open_storage(settings.data), manifest, settings)
    except ManifestError as error:
        if as_json:
            click.echo(json.dumps(_invalid(error), indent=2))
        stop(f"{error}\n\nNothing was asked for and nothing was spent.", Exit.BAD_INPUT)
    with opened_ledger(settings) as ledger:
        statuses = row_statuses(ledger, checked.rows())
        prices = PriceBook.from_ledger(ledger)
        stopped = ledger.account.open_stop()
    counts = summarize(statuses, prices)
    repairs = [str(repair) for repair in checked.repairs]
    if as_json:
        summary = {
            "manifest": checked.name,
            "valid": True,
            **counts,
            "estimate_rests_on": prices.basis,
            "repairs": repairs,
            "account_stop": stop_json(stopped),
        }
        click.echo(json.dumps(summary, indent=2))
    else:
        lines = [
            *_count_lines(checked.name, counts),
            _request_line(counts, basis=prices.basis),
            *([stop_in_words(stopped)] if stopped is not None else []),
            *_repair_lines(repairs),
        ]
        click.echo("\n".join(lines))


def summarize(statuses: Sequence[RowStatus], prices: PriceBook) -> dict[str, int]:
    """Counts the rows by what would happen to them.

    Args:
        statuses: The rows.
        prices: What AKOOL takes, as far as known.

    Returns:
        Counts and estimates by name. ``to_request`` are the rows that a run, the schedule or
        the sensor would ask for; the estimates are for these. ``own_audio`` are those of them
        that bring an audio file, whose length nobody knows yet.
    """
    chosen = [status for status in statuses if status.may_be_asked_again]
    unspoken = [status for status in chosen if status.standing is not Standing.VOICE_READY]
    seconds = [
        speech_seconds(status.row.script or "", rate_percent=status.row.rate_percent)
        for status in chosen
    ]
    price = sum(prices.avatar_video(length) for length in seconds) + sum(
        prices.speech(status.row.script or "", rate_percent=status.row.rate_percent)
        for status in unspoken
    )
    return {
        "rows": len(statuses),
        "new": sum(s.standing is Standing.NEW and not s.is_changed for s in statuses),
        "changed": sum(s.standing is Standing.NEW and s.is_changed for s in statuses),
        "done": sum(s.standing is Standing.SAVED for s in statuses),
        "under_way": sum(s.standing in _UNDER_WAY for s in statuses),
        "failed": sum(s.standing in _FAILED for s in statuses),
        "in_doubt": sum(s.standing is Standing.IN_DOUBT for s in statuses),
        "to_request": len(chosen),
        "own_audio": sum(status.row.voice_url is not None for status in chosen),
        "estimated_seconds": round(sum(seconds)),
        "estimated_credits": round(price),
    }


def _invalid(error: ManifestError) -> dict[str, object]:
    return {
        "manifest": error.path.stem,
        "valid": False,
        "problems": [asdict(problem) for problem in error.problems],
    }


def _count_lines(name: str, counts: dict[str, int]) -> list[str]:
    return [
        f"{name}: valid, {_scripts(counts['rows'])}",
        *(
            f"  {count.replace('_', ' '):<10}{counts[count]:>7}  {meaning}"
            for count, meaning in _COUNTS.items()
            if counts[count]
        ),
    ]


def _request_line(counts: dict[str, int], *, basis: str) -> str:
    if not counts["to_request"]:
        return "A run would ask for nothing and spend nothing."
    own = (
        f", not counting the {_scripts(counts['own_audio'])} with audio of their own"
        if counts["own_audio"]
        else ""
    )
    return (
        f"A run would ask for {_scripts(counts['to_request'])}: about "
        f"{counts['estimated_seconds']:,} seconds of video{own}, about "
        f"{counts['estimated_credits']:,} credits ({basis})."
    )


def _repair_lines(repairs: Sequence[str]) -> list[str]:
    if not repairs:
        return []
    lines = ["Repaired while reading:", *(f"  {repair}" for repair in repairs[:_REPAIRS_SHOWN])]
    if len(repairs) > _REPAIRS_SHOWN:
        lines.append(f"  ... and {len(repairs) - _REPAIRS_SHOWN} more")
    return lines


def _scripts(count: int) -> str:
    return f"{count:,} script{'' if count == 1 else 's'}"
