"""What AKOOL offers: avatars and voices."""

import time
from collections.abc import Iterable

import dagster as dg
import pandas as pd

from akool_dagster.akool import AkoolError, Avatar
from akool_dagster.assets.custom_avatars import CUSTOM_AVATARS
from akool_dagster.assets.failures import akool_failure
from akool_dagster.assets.tables import markdown_table
from akool_dagster.batch.catalogs.avatar_book import KnownAvatar, avatar_table, list_avatars
from akool_dagster.batch.catalogs.files import Stamp
from akool_dagster.batch.catalogs.voice_book import voice_table
from akool_dagster.resources import AkoolResource

_PICTURES = 12
_PREVIEW_ROWS = 25


@dg.asset(
    group_name="catalogs",
    kinds={"akool", "pandas", "parquet"},
    io_manager_key="catalog_io",
    metadata={"catalog": "avatars"},
    deps=[CUSTOM_AVATARS],
)
def avatar_catalog(context: dg.AssetExecutionContext, akool: AkoolResource) -> pd.DataFrame:
    """Every avatar that this account may use: AKOOL's own and the user's, with their status.

    The column `avatar_id` is what a manifest names. An avatar of your own (`source` 3) can be used
    once its `status` is 3; AKOOL's own (`source` 2) can be used whatever theirs says. Reading the
    list costs nothing.
    """
    stamp = Stamp(service=akool.service, read_at=time.time())
    try:
        with akool.open() as client:
            avatars = list_avatars(client)
    except AkoolError as error:
        raise akool_failure(error, what="The list of avatars") from error
    table = avatar_table(avatars, stamp=stamp)
    own = [known for known in map(KnownAvatar.from_listed, avatars) if known.is_own]
    context.add_output_metadata(
        {
            "dagster/row_count": len(table),
            "own_avatars": len(own),
            "own_avatars_not_ready": sum(not known.is_ready for known in own),
            "pictures": dg.MetadataValue.md(_pictures(avatars)),
            "preview": dg.MetadataValue.md(markdown_table(table.head(_PREVIEW_ROWS))),
        }
    )
    return table


@dg.asset(
    group_name="catalogs",
    kinds={"akool", "pandas", "parquet"},
    io_manager_key="catalog_io",
    metadata={"catalog": "voices"},
)
def voice_catalog(context: dg.AssetExecutionContext, akool: AkoolResource) -> pd.DataFrame:
    """Every voice that this account may use: AKOOL's own and cloned ones.

    The column `voice_id` is what a manifest names. Reading the list costs nothing.
    """
    api = akool.rules().voice_api
    stamp = Stamp(service=akool.service, read_at=time.time(), api=api)
    try:
        with akool.open() as client:
            voices = client.list_voices(api)
    except AkoolError as error:
        raise akool_failure(error, what="The list of voices") from error
    table = voice_table(voices, stamp=stamp)
    by_language = table["language"].fillna("not told").value_counts()
    context.add_output_metadata(
        {
            "dagster/row_count": len(table),
            "languages": {str(name): int(count) for name, count in by_language.items()},
            "cloned_voices_held": sum(voice.is_own is True for voice in voices),
            "preview": dg.MetadataValue.md(markdown_table(table.head(_PREVIEW_ROWS))),
        }
    )
    return table


def _pictures(avatars: Iterable[Avatar]) -> str:
    shown = [avatar for avatar in avatars if avatar.thumbnail_url][:_PICTURES]
    return " ".join(f'![{a.avatar_id}]({a.thumbnail_url} "{a.avatar_id}")' for a in shown)
