"""Writes the results of a manifest and shows them on their asset."""

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import date

import dagster as dg

from akool_dagster.assets.tables import markdown_preview, markdown_table
from akool_dagster.batch.results import results_table, to_csv_bytes, to_parquet_bytes
from akool_dagster.batch.row_status import row_statuses
from akool_dagster.ledger import Ledger, Spend
from akool_dagster.manifest import read_scripts
from akool_dagster.storage import Storage, StorageError

logger = logging.getLogger(__name__)

_DAYS_SHOWN = 14
_PREVIEW_ROWS = 50
_PREVIEW_COLUMNS = ["script_id", "status", "cause", "video_file", "video_seconds", "credits"]


def write_results(ledger: Ledger, storage: Storage, *, name: str) -> dg.MaterializeResult:
    """Writes ``results/<manifest>.csv`` and ``.parquet``.

    Args:
        ledger: Knows what became of each row.
        storage: The data root.
        name: Partition key of the manifest.

    Returns:
        Counts, credits and a preview, for the asset's page.

    Raises:
        dagster.Failure: The manifest was not validated yet.
        StorageError: A file could not be written.
    """
    path = storage.scripts_path(name)
    if not path.exists():
        raise dg.Failure(
            f"The manifest {name!r} was not validated yet: materialize script_manifests for it.",
            allow_retries=False,
        )
    scripts = read_scripts(path)
    statuses = row_statuses(ledger, scripts.rows())
    spend, by_day = ledger.spending.by_manifest().get(name), ledger.spending.by_day()
    table = results_table(scripts.table, statuses)
    csv_path = storage.results_path(name, ".csv")
    parquet_path = storage.results_path(name, ".parquet")
    storage.install_bytes(csv_path, to_csv_bytes(table))
    storage.install_bytes(parquet_path, to_parquet_bytes(table))
    counts = Counter(status.standing.value for status in statuses)
    preview = markdown_preview(table.loc[:, _PREVIEW_COLUMNS], rows=_PREVIEW_ROWS)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "statuses": dict(counts),
            "credits_of_these_rows": float(table["credits"].sum()),
            **_money(spend),
            "credits_of_the_account_by_day": dg.MetadataValue.md(_days_table(by_day)),
            "csv": dg.MetadataValue.path(str(csv_path)),
            "parquet": dg.MetadataValue.path(str(parquet_path)),
            "preview": dg.MetadataValue.md(preview),
            "stopped_downloads_removed": _tidied(storage),
        }
    )


def _tidied(storage: Storage) -> int:
    """Removes what killed downloads left behind: now that a manifest is at rest."""
    try:
        return len(storage.remove_stale_parts())
    except StorageError as error:
        logger.warning("%s", error)
        return 0


def _days_table(by_day: Mapping[date, Spend]) -> str:
    """Lays out what all manifests together were estimated at and cost, the newest day first."""
    lines = [
        {
            "day (UTC)": day.isoformat(),
            "requests": spend.creates,
            "estimated": f"{spend.estimated:g}",
            "spent": f"{spend.spent:g}",
            "not told yet": f"{spend.open:g}",
            "in doubt": f"{spend.in_doubt:g}",
        }
        for day, spend in sorted(by_day.items(), reverse=True)[:_DAYS_SHOWN]
    ]
    return markdown_table(lines)


def _money(spend: Spend | None) -> dict[str, float]:
    """Tells estimated against actual, for everything that the manifest ever asked for."""
    if spend is None:
        return {}
    return {
        "credits_estimated": spend.estimated,
        "credits_spent": spend.spent,
        "credits_not_told_yet": spend.open,
        "credits_in_doubt": spend.in_doubt,
    }
