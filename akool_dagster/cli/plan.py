"""``akool-dagster plan``: what would be asked for."""

import json
from collections.abc import Sequence

import click

from akool_dagster.batch.prices import speech_credits, speech_seconds, video_credits
from akool_dagster.batch.row_status import RowStatus, Standing, row_statuses
from akool_dagster.cli.workplace import (
    ledger_or_stop,
    manifest_or_stop,
    settings_or_stop,
    storage_or_stop,
)

_REPAIRS_SHOWN = 20
_COUNTS = ("new", "changed", "done", "under_way", "failed", "in_doubt")


@click.command()
@click.argument("manifest")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(manifest: str, as_json: bool) -> None:
    """Validate MANIFEST and say what is new, changed and done; spends nothing.

    MANIFEST is the name of a manifest in the data root, or the path of a CSV or Parquet file.
    """
    settings = settings_or_stop()
    storage = storage_or_stop(settings)
    checked = manifest_or_stop(storage, manifest, settings)
    with ledger_or_stop(settings) as ledger:
        statuses = row_statuses(ledger, checked.rows())
    summary = summarize(statuses)
    summary = {"manifest": checked.name, **summary, "repairs": [str(r) for r in checked.repairs]}
    click.echo(json.dumps(summary, indent=2) if as_json else _text(summary))


def summarize(statuses: Sequence[RowStatus]) -> dict[str, object]:
    """Counts the rows by what would happen to them.

    Args:
        statuses: The rows.

    Returns:
        Counts and estimates by name. ``to_request`` are the rows that a run, the schedule or
        the sensor would ask for; the estimates are for these.
    """
    chosen = [status for status in statuses if status.may_be_asked_again]
    unspoken = [status for status in chosen if status.standing is not Standing.VOICE_READY]
    seconds = {
        status.row.key: speech_seconds(
            status.row.script or "", rate_percent=status.row.rate_percent
        )
        for status in chosen
    }
    price = sum(video_credits(length) for length in seconds.values()) + sum(
        speech_credits(status.row.script or "") for status in unspoken
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
        "estimated_seconds": round(sum(seconds.values())),
        "estimated_credits": round(price),
    }


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


def _text(summary: dict[str, object]) -> str:
    lines = [f"{summary['manifest']}: valid, {summary['rows']} scripts"]
    lines += [
        f"  {name.replace('_', ' '):<10} {summary[name]:>7}" for name in _COUNTS if summary[name]
    ]
    lines.append(
        f"A run would ask for {summary['to_request']} of them: about "
        f"{summary['estimated_seconds']} seconds of video, about {summary['estimated_credits']} "
        "credits (a guess: AKOOL publishes no price for avatar videos)."
        if summary["to_request"]
        else "A run would ask for nothing."
    )
    repairs = summary["repairs"]
    if isinstance(repairs, list) and repairs:
        lines.append("Repaired while reading:")
        lines += [f"  {repair}" for repair in repairs[:_REPAIRS_SHOWN]]
        if len(repairs) > _REPAIRS_SHOWN:
            lines.append(f"  ... and {len(repairs) - _REPAIRS_SHOWN} more")
    return "\n".join(lines)
