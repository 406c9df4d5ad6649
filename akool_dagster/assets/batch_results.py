"""The results of a manifest, for the person who wrote it."""

from collections import Counter
from collections.abc import Mapping
from datetime import date

import dagster as dg
import pandas as pd

from akool_dagster.assets.script_videos import DOWNLOADED_VIDEOS
from akool_dagster.assets.tables import markdown_table
from akool_dagster.batch.results import results_table, to_csv_bytes, to_parquet_bytes
from akool_dagster.batch.row_status import row_statuses
from akool_dagster.ledger import Spend
from akool_dagster.manifest import read_scripts
from akool_dagster.partitions import lineage_only, manifests_partitions
from akool_dagster.resources import LedgerResource, StorageResource

_DAYS_SHOWN = 14
_PREVIEW_ROWS = 50
_PREVIEW_COLUMNS = ["script_id", "status", "cause", "video_file", "video_seconds", "credits"]


@dg.asset(
    group_name="results",
    kinds={"csv", "parquet"},
    partitions_def=manifests_partitions,
    deps=[dg.AssetDep(DOWNLOADED_VIDEOS, partition_mapping=lineage_only)],
)
def batch_results(
    context: dg.AssetExecutionContext, ledger: LedgerResource, storage: StorageResource
) -> dg.MaterializeResult:
    """The manifest's own columns and what became of each row, as CSV and Parquet.

    It may be materialized at any time; unfinished rows say where they stand.
    """
    name = context.partition_key
    root = storage.open()
    path = root.scripts_path(name)
    if not path.exists():
        raise dg.Failure(
            f"The manifest {name!r} was not validated yet: materialize script_manifests for it.",
            allow_retries=False,
        )
    scripts = read_scripts(path)
    with ledger.open() as book:
        statuses = row_statuses(book, scripts.rows())
        spend, by_day = book.spending.by_manifest().get(name), book.spending.by_day()
    table = results_table(scripts.table, statuses)
    csv_path, parquet_path = root.results_path(name, ".csv"), root.results_path(name, ".parquet")
    root.install_bytes(csv_path, to_csv_bytes(table))
    root.install_bytes(parquet_path, to_parquet_bytes(table))
    counts = Counter(status.standing.value for status in statuses)
    preview = table[_PREVIEW_COLUMNS].head(_PREVIEW_ROWS)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "statuses": dict(counts),
            "credits_of_these_rows": float(table["credits"].sum()),
            **_money(spend),
            "credits_of_the_account_by_day": dg.MetadataValue.md(_days_table(by_day)),
            "csv": dg.MetadataValue.path(str(csv_path)),
            "parquet": dg.MetadataValue.path(str(parquet_path)),
            "preview": dg.MetadataValue.md(markdown_table(preview)),
        }
    )


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
    return markdown_table(pd.DataFrame(lines, dtype=object))


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
