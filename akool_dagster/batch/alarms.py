"""What a person must know of: requests in doubt, and files that AKOOL will soon have deleted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from akool_dagster.batch.wording import when
from akool_dagster.ledger import Attempt, Kind, Ledger, News, State

ALARM_SECONDS = 48 * 3600.0 + 300.0
"""How long before its link dies a finished video that is not saved raises the alarm.

48 hours, and as long as a tick of the sensor that looks may be late.
"""

_NAMED = 10  # of many, in one text


@dataclass(frozen=True, kw_only=True)
class Concern:
    """A row that a person should look at.

    Attributes:
        key: The script.
        attempt: The attempt that it is about.
        problem: What stood in the way of saving, where something did.
    """

    key: str
    attempt: Attempt
    problem: str | None = None


def open_doubts(ledger: Ledger, *, kind: Kind) -> list[Concern]:
    """Finds the rows whose request may have been charged, and nobody knows.

    Args:
        ledger: The ledger.
        kind: Voice or video.

    Returns:
        One entry per row and doubtful attempt, oldest doubt first.
    """
    doubts = [
        attempt
        for attempt in ledger.attempts.in_states(kind=kind, states=[State.IN_DOUBT])
        if attempt.pay_again_at is None
    ]
    return [concern for attempt in doubts for concern in _rows_of(ledger, attempt)]


def dying_links(ledger: Ledger, *, now: float) -> list[Concern]:
    """Finds the finished videos that are not saved while their links have 48 hours or less.

    Args:
        ledger: The ledger.
        now: The time.

    Returns:
        One entry per row, shortest life first.
    """
    unsaved = ledger.deliveries.waiting(now=float("inf"))
    return [
        Concern(key=row.delivery.script_key, attempt=row.attempt, problem=row.delivery.problem)
        for row in unsaved
        if row.attempt.state is State.COMPLETED
        and (row.attempt.url_expires_at or 0.0) - now <= ALARM_SECONDS
    ]


def lost_videos(ledger: Ledger) -> list[Concern]:
    """Finds the rows whose video was made, paid for, and never saved.

    Args:
        ledger: The ledger.

    Returns:
        One entry per row, as long as nothing newer was asked for in its place.
    """
    expired = ledger.attempts.in_states(kind=Kind.VIDEO, states=[State.EXPIRED])
    newest = ledger.attempts.latest_of(
        kind=Kind.VIDEO, content_hashes=[attempt.content_hash for attempt in expired]
    )
    return [
        concern
        for attempt in expired
        if newest[attempt.content_hash].id == attempt.id
        for concern in _rows_of(ledger, attempt)
    ]


def warnings(ledger: Ledger, *, now: float) -> list[str]:
    """Puts what a person must look at into words.

    Args:
        ledger: The ledger.
        now: The time.

    Returns:
        One text per matter, the loss of a video first; empty when all is well.
    """
    matters: Sequence[tuple[Sequence[Concern], str, Callable[[Concern], object]]] = (
        (
            lost_videos(ledger),
            "LOST: made and paid for, and its link died before it was saved",
            lambda concern: f"link died {when(concern.attempt.url_expires_at)}",
        ),
        (
            dying_links(ledger, now=now),
            "Finished and not saved, and AKOOL deletes it within 48 hours: run it, or leave "
            "video_info_sensor switched on",
            lambda concern: f"link dies {when(concern.attempt.url_expires_at)}",
        ),
    )
    told = [_in_words(text, found, detail) for found, text, detail in matters if found]
    conflicts = ledger.callbacks.conflicts()
    if conflicts:
        told.append(_conflicts_in_words(conflicts))
    return told


def _in_words(text: str, concerns: Sequence[Concern], detail: Callable[[Concern], object]) -> str:
    return f"{text}: {_some(f'{concern.key} ({detail(concern)})' for concern in concerns)}."


def _conflicts_in_words(conflicts: Sequence[News]) -> str:
    cases = _some(f"AKOOL id {news.remote_id} ({news.reason})" for news in conflicts)
    return (
        "AKOOL's callbacks named jobs that the ledger cannot place, and that may have been "
        f"charged; look them up on AKOOL's site: {cases}."
    )


def _some(words: Iterable[str]) -> str:
    words = list(words)
    more = len(words) - _NAMED
    return ", ".join(words[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _rows_of(ledger: Ledger, attempt: Attempt) -> list[Concern]:
    rows = ledger.deliveries.of_content(kind=attempt.kind, content_hash=attempt.content_hash)
    return [Concern(key=row.script_key, attempt=attempt, problem=row.problem) for row in rows]
