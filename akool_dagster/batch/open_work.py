"""What of a manifest is not over: work that AKOOL was paid for, and rows without a video."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from akool_dagster.batch.row_status import RowStatus, statuses_but_saved
from akool_dagster.batch.standing import Standing
from akool_dagster.batch.wording import when
from akool_dagster.ledger import Kind, Ledger, State

if TYPE_CHECKING:
    from akool_dagster.manifest import Manifest

_PENDING = (State.SENDING, State.ACCEPTED, State.IN_DOUBT)
_MADE = (State.COMPLETED, State.SAVED)
_KINDS = (Kind.CLONE, Kind.VOICE, Kind.VIDEO)
_KEYS_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class OpenWork:
    """What is not over.

    Attributes:
        rows: How many rows the manifest has.
        unfinished: How many of them have no video, by where they stand.
        in_the_way: What is under way, in doubt, or finished and not saved, one sentence each.
    """

    rows: int
    unfinished: Mapping[str, int]
    in_the_way: Sequence[str]


def open_work(ledger: Ledger, manifest: "Manifest") -> OpenWork:
    """Looks up what of a manifest is not over.

    Args:
        ledger: The ledger.
        manifest: The validated manifest.

    Returns:
        What is not over. What rows asked for before they were edited, or taken out of the file, is
        waited for as long as AKOOL may be working on it.
    """
    statuses, _ = statuses_but_saved(ledger, manifest)
    left = [status for status in statuses if status.standing is not Standing.SAVED]
    return OpenWork(
        rows=len(manifest),
        unfinished=Counter(status.standing.value for status in left),
        in_the_way=[*_pending(ledger, manifest.name), *_unsaved(left)],
    )


def _pending(ledger: Ledger, manifest: str) -> Iterator[str]:
    under_way: dict[str, None] = {}
    in_doubt: dict[str, None] = {}
    for kind in _KINDS:
        for attempt in ledger.attempts.in_states(kind=kind, states=_PENDING):
            is_doubt = attempt.state is State.IN_DOUBT
            if is_doubt and attempt.pay_again_at is not None:
                continue
            asked = ledger.deliveries.of_content(kind=kind, content_hash=attempt.content_hash)
            keys = [line.script_key for line in asked]
            mine = [key for key in keys if key.partition(".")[0] == manifest]
            (in_doubt if is_doubt else under_way).update(dict.fromkeys(mine))
    if under_way:
        yield (
            f"AKOOL may be working on {_scripts(list(under_way))}. Wait until it has finished: "
            "video_info_sensor saves what it makes."
        )
    if in_doubt:
        yield (
            f"{_scripts(list(in_doubt))} in doubt: each may have been charged. Settle them with "
            "akool-dagster resolve."
        )


def _unsaved(left: Sequence[RowStatus]) -> Iterator[str]:
    waiting = [status for status in left if _is_unsaved(status)]
    if not waiting:
        return
    ends = [status.deciding.url_expires_at for status in waiting if status.deciding is not None]
    first = min((end for end in ends if end is not None), default=None)
    dies = "" if first is None else f" (the first link dies {when(first)})"
    yield (
        f"AKOOL has finished {_scripts([status.row.key for status in waiting])}, and the file is "
        f"not saved{dies}. Leave it to video_info_sensor, or run the manifest."
    )


def _is_unsaved(status: RowStatus) -> bool:
    """Whether a finished voice or video that the row itself asked for still has to be fetched."""
    attempt = status.deciding
    if attempt is None or attempt.kind is Kind.CLONE:
        return False  # a clone stays at AKOOL
    is_asked = status.video_file if attempt.kind is Kind.VIDEO else status.voice_file
    is_open = status.standing in (Standing.FINISHED, Standing.VOICE_PENDING)
    return is_open and attempt.state in _MADE and is_asked is not None


def _scripts(keys: Sequence[str]) -> str:
    more = len(keys) - _KEYS_NAMED
    named = ", ".join(keys[:_KEYS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
    return f"{len(keys):,} script{'' if len(keys) == 1 else 's'} ({named})"
