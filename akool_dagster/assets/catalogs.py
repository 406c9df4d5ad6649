"""What AKOOL offers: avatars and voices."""

from collections.abc import Iterable

import dagster as dg
import pandas as pd

from akool_dagster.akool import AkoolError, Avatar, Voice
from akool_dagster.assets.failures import akool_failure
from akool_dagster.assets.tables import markdown_table
from akool_dagster.resources import AkoolResource

_PICTURES = 12
_PREVIEW_ROWS = 25

_AVATAR_COLUMNS = [
    "avatar_id",
    "name",
    "source",
    "kind",
    "status",
    "gender",
    "thumbnail_url",
    "url",
]
_VOICE_COLUMNS = ["voice_id", "name", "is_own", "gender", "language", "accent", "preview_url"]


@dg.asset(
    group_name="catalogs",
    kinds={"akool", "pandas", "parquet"},
    io_manager_key="catalog_io",
    metadata={"catalog": "avatars"},
)
def avatar_catalog(context: dg.AssetExecutionContext, akool: AkoolResource) -> pd.DataFrame:
    """Every avatar that this account may use: AKOOL's own and the user's.

    The column `avatar_id` is what a manifest names. Reading the list costs nothing.
    """
    try:
        with akool.open() as client:
            avatars = client.list_avatars()
    except AkoolError as error:
        raise akool_failure(error, what="The list of avatars") from error
    table = avatar_table(avatars)
    context.add_output_metadata(
        {
            "dagster/row_count": len(table),
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
    try:
        with akool.open() as client:
            voices = client.list_voices(akool.rules().voice_api)
    except AkoolError as error:
        raise akool_failure(error, what="The list of voices") from error
    table = voice_table(voices)
    by_language = table["language"].fillna("not told").value_counts()
    context.add_output_metadata(
        {
            "dagster/row_count": len(table),
            "languages": {str(name): int(count) for name, count in by_language.items()},
            "preview": dg.MetadataValue.md(markdown_table(table.head(_PREVIEW_ROWS))),
        }
    )
    return table


def avatar_table(avatars: Iterable[Avatar]) -> pd.DataFrame:
    """Lays avatars out as a table.

    Args:
        avatars: The avatars.

    Returns:
        One line per avatar, always with the same columns.
    """
    lines = [
        {name: _plain(getattr(avatar, name)) for name in _AVATAR_COLUMNS} for avatar in avatars
    ]
    return pd.DataFrame(lines, columns=_AVATAR_COLUMNS)


def voice_table(voices: Iterable[Voice]) -> pd.DataFrame:
    """Lays voices out as a table.

    Args:
        voices: The voices.

    Returns:
        One line per voice, always with the same columns.
    """
    lines = [{name: _plain(getattr(voice, name)) for name in _VOICE_COLUMNS} for voice in voices]
    return pd.DataFrame(lines, columns=_VOICE_COLUMNS)


def _plain(value: object) -> object:
    return getattr(value, "value", value)


def _pictures(avatars: Iterable[Avatar]) -> str:
    shown = [avatar for avatar in avatars if avatar.thumbnail_url][:_PICTURES]
    return " ".join(f'![{a.avatar_id}]({a.thumbnail_url} "{a.avatar_id}")' for a in shown)
