"""The saved catalogs: ``catalogs/<name>.parquet``, each stamped with whose it is and how old."""

import json
import logging
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from upath import UPath

from akool_dagster.storage import Storage, StorageError

logger = logging.getLogger(__name__)

_METADATA = b"akool_dagster.catalog"


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """Where a saved catalog comes from.

    Attributes:
        service: AKOOL's host name or ``emulator``, see ``Settings.service``.
        read_at: When AKOOL was asked, in seconds since 1970 UTC.
        api: The generation of AKOOL's interface, where there are several.
    """

    service: str
    read_at: float
    api: str = ""

    def put_on(self, table: pa.Table) -> pa.Table:
        """Writes the stamp into a table's metadata, which its Parquet file keeps.

        Args:
            table: The catalog.

        Returns:
            The table with the stamp.
        """
        return table.replace_schema_metadata({_METADATA: json.dumps(asdict(self))})


def install_catalog(storage: Storage, name: str, table: pa.Table) -> UPath:
    """Saves a catalog.

    Args:
        storage: The data root.
        name: Such as ``avatars``.
        table: The stamped catalog.

    Returns:
        Where it is.

    Raises:
        StorageError: It could not be written.
    """
    path, sink = storage.catalog_path(name), BytesIO()
    parquet.write_table(table, sink)
    storage.install_bytes(path, sink.getvalue())
    return path


def save_catalog(storage: Storage, name: str, table: pa.Table) -> None:
    """Saves a catalog that was read along the way; in vain is no harm but a warning.

    Args:
        storage: The data root.
        name: Such as ``avatars``.
        table: The stamped catalog.
    """
    try:
        install_catalog(storage, name, table)
    except (StorageError, OSError) as error:
        logger.warning("The catalog of %s could not be saved: %s", name, error)


def read_catalog(
    storage: Storage, name: str, *, service: str, api: str = ""
) -> tuple[list[dict[str, Any]], float] | None:
    """Reads a saved catalog.

    Args:
        storage: The data root.
        name: Such as ``avatars``.
        service: Whose it must be; that of the emulator says nothing about AKOOL.
        api: Which generation of AKOOL's interface it must be of.

    Returns:
        Its lines, value by column, and when AKOOL was asked; None when there is none to rely on.
    """
    path = storage.catalog_path(name)
    if not path.exists():
        return None
    try:
        table = parquet.ParquetFile(pa.BufferReader(path.read_bytes())).read()
        stamp = Stamp(**json.loads((table.schema.metadata or {}).get(_METADATA, b"{}")))
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        logger.warning("The saved catalog %s cannot be read, and is left aside: %s", path, error)
        return None
    is_ours = stamp.service == service and stamp.api == api
    return (table.to_pylist(), stamp.read_at) if is_ours else None
