"""Lays rows, manifests and the account's stop out for people and for scripts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from akool_dagster.batch.outcomes import sentences
from akool_dagster.batch.row_status import RowStatus
from akool_dagster.batch.standing import Standing
from akool_dagster.batch.wording import when
from akool_dagster.ledger import AccountStop, Spend

_COLOURS = {
    Standing.SAVED: "green",
    Standing.FAILED: "red",
    Standing.REFUSED: "red",
    Standing.EXPIRED: "red",
    Standing.IN_DOUBT: "yellow",
}
_WITH_CODE = frozenset({Standing.REFUSED, Standing.FAILED})


def rows_table(rows: Iterable[RowStatus], *, told: Mapping[str, str] | None = None) -> Table:
    """Lays rows out for the terminal; long texts are folded, never cut.

    Args:
        rows: The rows.
        told: What a run just said about rows that it could not finish, by key. It knows more
            than the ledger where nothing was sent.

    Returns:
        One line per row: script, status, length, file or cause.
    """
    table = Table()
    table.add_column("script", overflow="fold", min_width=12)
    table.add_column("status", no_wrap=True)
    table.add_column("seconds", no_wrap=True, justify="right")
    table.add_column("file, or what happened and what to do", overflow="fold", ratio=1)
    for row in rows:
        seconds = row.video_file.media_seconds if row.video_file and is_here(row) else None
        table.add_row(
            row.row.key,
            Text(row.standing.value, style=_COLOURS.get(row.standing, "")),
            f"{seconds:.1f}" if seconds else "",
            explain(row, told=(told or {}).get(row.row.key)),
        )
    return table


def explain(row: RowStatus, *, told: str | None = None) -> str:
    """Says of a row where its video is, or what happened and what to do.

    Args:
        row: The row.
        told: What a run just said about it.

    Returns:
        A path under the data root, or sentences.
    """
    if is_here(row):
        return (row.video_file.path if row.video_file else None) or ""
    if told is not None:
        return told
    code = akool_code(row)
    cause = f"AKOOL code {code}: {row.cause}" if code is not None else row.cause
    return sentences(cause, row.next_step)


def is_here(row: RowStatus) -> bool:
    """Tells whether a row's video is on our storage.

    Args:
        row: The row.

    Returns:
        True for a saved video of the content that the row has now.
    """
    return row.standing is Standing.SAVED


def akool_code(row: RowStatus) -> int | None:
    """Finds the code that AKOOL gave for a row that it refused or failed.

    Args:
        row: The row.

    Returns:
        The code, None when AKOOL gave none or nothing is wrong.
    """
    ended = row.deciding
    return ended.code if ended is not None and row.standing in _WITH_CODE else None


def counts_table(by_name: Mapping[str, Sequence[RowStatus]]) -> Table:
    """Lays the counts of manifests out for the terminal.

    Args:
        by_name: Rows by manifest.

    Returns:
        One line per manifest.
    """
    table = Table()
    table.add_column("manifest", overflow="fold")
    table.add_column("scripts", no_wrap=True, justify="right")
    table.add_column("standing", overflow="fold")
    for name, rows in by_name.items():
        table.add_row(name, str(len(rows)), in_words(rows))
    return table


def spend_table(spends: Mapping[str, Spend], *, of: str) -> Table:
    """Lays credits out for the terminal.

    Args:
        spends: Credits by name.
        of: What the names are, such as ``day (UTC)``.

    Returns:
        One line per name: what was estimated before the requests and what AKOOL took.
    """
    table = Table()
    table.add_column(of, overflow="fold")
    for title in ("requests", "estimated", "spent", "not told yet", "in doubt"):
        table.add_column(title, no_wrap=True, justify="right")
    for name, spend in spends.items():
        credit = (spend.estimated, spend.spent, spend.open, spend.in_doubt)
        table.add_row(name, f"{spend.creates:,}", *(f"{amount:,.10g}" for amount in credit))
    return table


def in_words(rows: Iterable[RowStatus]) -> str:
    """Counts rows by their standing, the most frequent first.

    Args:
        rows: The rows.

    Returns:
        For example ``10 saved, 2 failed``.
    """
    counts = Counter(row.standing.value for row in rows)
    return ", ".join(f"{count} {word}" for word, count in counts.most_common())


def row_json(row: RowStatus) -> dict[str, object]:
    """Turns a row into what scripts read.

    Args:
        row: The row.

    Returns:
        An object for JSON.
    """
    return {
        "key": row.row.key,
        "status": row.standing.value,
        "akool_code": akool_code(row),
        "cause": row.cause,
        "next_step": row.next_step,
        "video_id": row.video.remote_id if row.video else None,
        "video_file": row.video_file.path if row.video_file and is_here(row) else None,
    }


def stop_in_words(stop: AccountStop) -> str:
    """Says that AKOOL refuses the account, and what to do.

    Args:
        stop: The stop in force.

    Returns:
        Sentences.
    """
    code = "" if stop.code is None else f" (code {stop.code})"
    return sentences(
        f"AKOOL has stopped this account since {when(stop.stopped_at)}{code}: {stop.reason}",
        "Until that is settled nothing is sent",
        stop.advice or "Look at the account on AKOOL's site",
        "Each run looks at the balance first, and goes on by itself when there is credit",
    )


def stop_json(stop: AccountStop | None) -> dict[str, object] | None:
    """Turns the account's stop into what scripts read.

    Args:
        stop: The stop in force, if any.

    Returns:
        An object for JSON, None without a stop.
    """
    if stop is None:
        return None
    return {
        "code": stop.code,
        "reason": stop.reason,
        "advice": stop.advice,
        "since": when(stop.stopped_at),
    }
