"""From the user's files to validated scripts."""

import dagster as dg

from akool_dagster.partitions import manifests_partitions
from akool_dagster.resources import AkoolResource, StorageResource


@dg.asset(
    group_name="manifests",
    kinds={"csv", "parquet", "pandas"},
    partitions_def=manifests_partitions,
)
def script_manifests(
    context: dg.AssetExecutionContext, akool: AkoolResource, storage: StorageResource
) -> dg.MaterializeResult:
    """The validated rows of a manifest; each becomes a partition of the row assets.

    A manifest with an error anywhere starts nothing. Rows that are gone from the file keep their
    partitions and their videos.
    """
    from akool_dagster.assets.manifest_reading import validate_manifest

    return validate_manifest(
        context.instance,
        storage.open(),
        name=context.partition_key,
        voice_api=akool.rules().voice_api,
    )
