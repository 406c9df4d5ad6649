"""What AKOOL offers: avatars and voices."""

import dagster as dg

from akool_dagster.assets.custom_avatars import CUSTOM_AVATARS
from akool_dagster.resources import AkoolResource, StorageResource


@dg.asset(group_name="catalogs", kinds={"akool", "parquet"}, deps=[CUSTOM_AVATARS])
def avatar_catalog(akool: AkoolResource, storage: StorageResource) -> dg.MaterializeResult:
    """Every avatar that this account may use: AKOOL's own and the user's, with their status.

    Kept as `catalogs/avatars.parquet`. The column `avatar_id` is what a manifest names. An avatar
    of your own (`source` 3) can be used once its `status` is 3; AKOOL's own (`source` 2) can be
    used whatever theirs says. Reading the list costs nothing.
    """
    from akool_dagster.assets.catalog_reading import read_avatars

    return read_avatars(akool, storage.open())


@dg.asset(group_name="catalogs", kinds={"akool", "parquet"})
def voice_catalog(akool: AkoolResource, storage: StorageResource) -> dg.MaterializeResult:
    """Every voice that this account may use: AKOOL's own and cloned ones.

    Kept as `catalogs/voices.parquet`. The column `voice_id` is what a manifest names. Reading the
    list costs nothing.
    """
    from akool_dagster.assets.catalog_reading import read_voices

    return read_voices(akool, storage.open())
