"""Asset checks: what a person must know of, beside the assets that it is about.

They can be run like any check. ``video_info_sensor`` evaluates them too, whenever their answer
changes, so that nobody has to think of running them.
"""

import time
from collections.abc import Sequence

import dagster as dg
import pandas as pd

from akool_dagster.assets.script_videos import DOWNLOADED_VIDEOS, VIDEO_REQUESTS, VOICE_FILES
from akool_dagster.assets.tables import markdown_table
from akool_dagster.batch.alarms import Concern, dying_links, lost_videos, open_doubts
from akool_dagster.batch.wording import when
from akool_dagster.ledger import Kind, Ledger
from akool_dagster.resources import LedgerResource

_ROWS_SHOWN = 100

_DOUBTS = "no_request_in_doubt"
_LINKS = "saved_before_links_die"


@dg.asset_check(asset=VOICE_FILES, name=_DOUBTS, description="No paid voice request is in doubt.")
def voice_requests_known(ledger: LedgerResource) -> dg.AssetCheckResult:
    """Fails while it is not known whether AKOOL took some voice."""
    with ledger.open() as book:
        return _doubts(book, kind=Kind.VOICE, asset=VOICE_FILES)


@dg.asset_check(
    asset=VIDEO_REQUESTS, name=_DOUBTS, description="No paid video request is in doubt."
)
def video_requests_known(ledger: LedgerResource) -> dg.AssetCheckResult:
    """Fails while it is not known whether AKOOL took some video."""
    with ledger.open() as book:
        return _doubts(book, kind=Kind.VIDEO, asset=VIDEO_REQUESTS)


@dg.asset_check(
    asset=DOWNLOADED_VIDEOS,
    name=_LINKS,
    description="Every finished video is saved while its link has more than 48 hours to live.",
)
def videos_saved_in_time(ledger: LedgerResource) -> dg.AssetCheckResult:
    """Warns 48 hours before a link dies, and fails when a video was lost."""
    with ledger.open() as book:
        return _links(book, now=time.time())


CHECKS = (voice_requests_known, video_requests_known, videos_saved_in_time)
"""All checks of the code location."""


def evaluate_all(ledger: Ledger, *, now: float) -> list[dg.AssetCheckEvaluation]:
    """Evaluates every check without a run.

    Args:
        ledger: The ledger.
        now: The time.

    Returns:
        One evaluation per check, for a sensor to record.
    """
    results = [
        _doubts(ledger, kind=Kind.VOICE, asset=VOICE_FILES),
        _doubts(ledger, kind=Kind.VIDEO, asset=VIDEO_REQUESTS),
        _links(ledger, now=now),
    ]
    return [_evaluation(result) for result in results]


def _evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    assert result.asset_key is not None  # noqa: S101 - each result below names both
    assert result.check_name is not None  # noqa: S101
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )


def _doubts(ledger: Ledger, *, kind: Kind, asset: dg.AssetKey) -> dg.AssetCheckResult:
    doubts = open_doubts(ledger, kind=kind)
    credit = sum(concern.attempt.reserved_credits or 0.0 for concern in _per_attempt(doubts))
    option = " --voice" if kind is Kind.VOICE else ""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=_DOUBTS,
        passed=not doubts,
        description=(
            f"{len(doubts)} scripts wait for a person's word; up to {credit:g} credits may have "
            f"been charged. Say `akool-dagster resolve KEY{option} --{kind.value}-id ID`, "
            "`--not-created` or `--pay-again`."
            if doubts
            else f"No {kind.value} request is in doubt."
        ),
        metadata=_table(doubts, column="in doubt since"),
    )


def _links(ledger: Ledger, *, now: float) -> dg.AssetCheckResult:
    lost, dying = lost_videos(ledger), dying_links(ledger, now=now)
    said = []
    if lost:
        said.append(f"{len(lost)} videos were made and paid for, and their links died unsaved.")
    if dying:
        said.append(f"{len(dying)} finished videos are not saved and will die within 48 hours.")
    return dg.AssetCheckResult(
        asset_key=DOWNLOADED_VIDEOS,
        check_name=_LINKS,
        passed=not lost and not dying,
        severity=dg.AssetCheckSeverity.ERROR if lost else dg.AssetCheckSeverity.WARN,
        description=" ".join(said) or "Every finished video is saved, or has time left.",
        metadata=_table([*lost, *dying], column="link dies"),
    )


def _per_attempt(concerns: Sequence[Concern]) -> list[Concern]:
    return list({concern.attempt.id: concern for concern in concerns}.values())


def _table(concerns: Sequence[Concern], *, column: str) -> dict[str, dg.MetadataValue]:
    if not concerns:
        return {}
    lines = [
        {
            "script": concern.key,
            "attempt": concern.attempt.number,
            column: when(
                concern.attempt.sending_at
                if column == "in doubt since"
                else concern.attempt.url_expires_at
            ),
            "credits reserved": concern.attempt.reserved_credits,
            "what happened": concern.problem or concern.attempt.reason,
        }
        for concern in concerns[:_ROWS_SHOWN]
    ]
    return {
        "scripts": dg.MetadataValue.int(len(concerns)),
        "which": dg.MetadataValue.md(markdown_table(pd.DataFrame(lines, dtype=object))),
    }
