"""Reads AKOOL's avatars and voices, keeps them, and shows them on their assets."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import dagster as dg
import pyarrow as pa

from akool_dagster.akool import AkoolError, Avatar
from akool_dagster.assets.failures import akool_failure
from akool_dagster.assets.tables import markdown_table
from akool_dagster.batch.catalogs import avatar_book, voice_book
from akool_dagster.batch.catalogs.files import Stamp, install_catalog
from akool_dagster.resources import AkoolResource
from akool_dagster.storage import Storage

_PICTURES = 12
_PREVIEW_ROWS = 25


def read_avatars(akool: AkoolResource, storage: Storage) -> dg.MaterializeResult:
    """Reads and keeps the avatars.

    Args:
        akool: AKOOL.
        storage: The data root.

    Returns:
        What there is, for the asset's page.

    Raises:
        dagster.Failure: AKOOL's list could not be read; the catalog stays as it was.
        StorageError: The catalog could not be written.
    """
    stamp = Stamp(service=akool.service, read_at=time.time())
    try:
        with akool.open() as client:
            avatars = avatar_book.list_avatars(client)
    except AkoolError as error:
        raise akool_failure(error, what="The list of avatars") from error
    known = map(avatar_book.KnownAvatar.from_listed, avatars)
    own = [avatar for avatar in known if avatar.is_own]
    facts = {
        "own_avatars": len(own),
        "own_avatars_not_ready": sum(not avatar.is_ready for avatar in own),
        "pictures": dg.MetadataValue.md(_pictures(avatars)),
    }
    table = avatar_book.avatar_table(avatars, stamp=stamp)
    return _kept(storage, avatar_book.CATALOG, table, facts=facts)


def read_voices(akool: AkoolResource, storage: Storage) -> dg.MaterializeResult:
    """Reads and keeps the voices of the generation that is in use.

    Args:
        akool: AKOOL.
        storage: The data root.

    Returns:
        What there is, for the asset's page.

    Raises:
        dagster.Failure: AKOOL's list could not be read; the catalog stays as it was.
        StorageError: The catalog could not be written.
    """
    api = akool.rules().voice_api
    stamp = Stamp(service=akool.service, read_at=time.time(), api=api)
    try:
        with akool.open() as client:
            voices = client.list_voices(api)
    except AkoolError as error:
        raise akool_failure(error, what="The list of voices") from error
    facts = {
        "languages": dict(Counter(voice.language or "not told" for voice in voices).most_common()),
        "cloned_voices_held": sum(voice.is_own is True for voice in voices),
    }
    table = voice_book.voice_table(voices, stamp=stamp)
    return _kept(storage, voice_book.CATALOG, table, facts=facts)


def _kept(
    storage: Storage, name: str, table: pa.Table, *, facts: dict[str, Any]
) -> dg.MaterializeResult:
    path = install_catalog(storage, name, table)
    preview = markdown_table(table.slice(0, _PREVIEW_ROWS).to_pylist())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": table.num_rows,
            **facts,
            "preview": dg.MetadataValue.md(preview),
            "path": dg.MetadataValue.path(str(path)),
        }
    )


def _pictures(avatars: Iterable[Avatar]) -> str:
    shown = [avatar for avatar in avatars if avatar.thumbnail_url][:_PICTURES]
    return " ".join(f'![{a.avatar_id}]({a.thumbnail_url} "{a.avatar_id}")' for a in shown)
