"""The results of a manifest, for the person who wrote it."""

import dagster as dg

from akool_dagster.assets.script_videos import DOWNLOADED_VIDEOS
from akool_dagster.partitions import lineage_only, manifests_partitions
from akool_dagster.resources import LedgerResource, StorageResource


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
    from akool_dagster.assets.results_writing import write_results

    with ledger.open() as book:
        return write_results(book, storage.open(), name=context.partition_key)
