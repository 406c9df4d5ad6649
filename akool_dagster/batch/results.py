"""The results of a manifest: its own columns, and what became of each row."""

import io
from collections.abc import Iterable

import pandas as pd

from akool_dagster.batch.row_status import RowStatus
from akool_dagster.batch.wording import when
from akool_dagster.ledger import Attempt

OUTCOME_COLUMNS = (
    "status",
    "cause",
    "next_step",
    "video_file",
    "video_seconds",
    "video_bytes",
    "video_sha256",
    "voice_file",
    "akool_video_id",
    "akool_voice_id",
    "akool_code",
    "akool_link",
    "akool_link_expires",
    "credits",
    "attempts",
    "requested_at",
    "saved_at",
)
"""Columns that the results add, always in this order."""


_NUMBERS = {
    "video_seconds": "Float64",
    "video_bytes": "Int64",
    "akool_code": "Int64",
    "credits": "Float64",
    "attempts": "Int64",
}


def results_table(manifest: pd.DataFrame, statuses: Iterable[RowStatus]) -> pd.DataFrame:
    """Joins a manifest with what became of its rows.

    Args:
        manifest: The manifest's own columns, one line per row.
        statuses: One status per row, in the same order.

    Returns:
        The manifest's columns, then :data:`OUTCOME_COLUMNS`. A column of the manifest that has
        the name of an outcome column keeps its values as ``<name>_input``.
    """
    outcomes = pd.DataFrame(
        [_line(status) for status in statuses], columns=list(OUTCOME_COLUMNS), dtype=object
    )
    own = manifest.rename(columns={name: f"{name}_input" for name in OUTCOME_COLUMNS})
    joined = pd.concat([own.reset_index(drop=True), outcomes], axis=1)
    for name, dtype in _NUMBERS.items():
        joined[name] = joined[name].astype(dtype)
    return joined


def to_csv_bytes(table: pd.DataFrame) -> bytes:
    """Writes a table as a CSV file that spreadsheets open as it is.

    Args:
        table: The results.

    Returns:
        UTF-8 with a byte order mark, without which Excel takes it for another encoding.
    """
    return table.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def to_parquet_bytes(table: pd.DataFrame) -> bytes:
    """Writes a table as a Parquet file.

    Args:
        table: The results.

    Returns:
        The file's bytes.
    """
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _line(status: RowStatus) -> dict[str, object]:
    voice, video = status.voice, status.video
    voice_file, video_file = status.voice_file, status.video_file
    saved = video_file if video_file is not None and video_file.saved_at is not None else None
    ended = status.deciding
    return {
        "status": status.standing.value,
        "cause": status.cause.strip(),
        "next_step": status.next_step,
        "video_file": saved.path if saved else None,
        "video_seconds": saved.media_seconds if saved else None,
        "video_bytes": saved.size_bytes if saved else None,
        "video_sha256": saved.sha256 if saved else None,
        "voice_file": voice_file.path if voice_file else None,
        "akool_video_id": video.remote_id if video else None,
        "akool_voice_id": voice.remote_id if voice else None,
        "akool_code": ended.code if ended else None,
        "akool_link": video.url if video else None,
        "akool_link_expires": when(video.url_expires_at) if video else None,
        "credits": _credits(voice, video),
        "attempts": video.number if video else None,
        "requested_at": when(video.sending_at) if video else None,
        "saved_at": when(saved.saved_at) if saved else None,
    }


def _credits(*attempts: Attempt | None) -> float | None:
    """Adds up what AKOOL says it took; None while it says nothing."""
    told = [a.spent_credits for a in attempts if a is not None and a.spent_credits is not None]
    return sum(told) if told else None
