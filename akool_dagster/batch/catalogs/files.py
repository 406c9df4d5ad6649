"""The saved catalogs: ``catalogs/<name>.parquet``, each stamped with whose it is and how old."""

import io
import logging
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from akool_dagster.storage import Storage, StorageError

logger = logging.getLogger(__name__)


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

    def put_on(self, table: pd.DataFrame) -> pd.DataFrame:
        """Writes the stamp into a table's attributes, which its Parquet file keeps.

        Args:
            table: The catalog.

        Returns:
            The same table.
        """
        table.attrs = {"service": self.service, "read_at": self.read_at, "api": self.api}
        return table


def save_catalog(storage: Storage, name: str, table: pd.DataFrame) -> None:
    """Saves a catalog that was read along the way; in vain is no harm but a warning.

    Args:
        storage: The data root.
        name: Such as ``avatars``.
        table: The stamped catalog.
    """
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    try:
        storage.install_bytes(storage.catalog_path(name), buffer.getvalue())
    except (StorageError, OSError) as error:
        logger.warning("The catalog of %s could not be saved: %s", name, error)


def read_catalog(
    storage: Storage, name: str, *, service: str, api: str = ""
) -> tuple[pd.DataFrame, float] | None:
    """Reads a saved catalog.

    Args:
        storage: The data root.
        name: Such as ``avatars``.
        service: Whose it must be; that of the emulator says nothing about AKOOL.
        api: Which generation of AKOOL's interface it must be of.

    Returns:
        The table and when AKOOL was asked, or None when there is none to rely on.
    """
    path = storage.catalog_path(name)
    if not path.exists():
        return None
    try:
        table = pd.read_parquet(io.BytesIO(path.read_bytes()))
    except (pa.ArrowException, OSError, ValueError) as error:
        logger.warning("The saved catalog %s cannot be read, and is left aside: %s", path, error)
        return None
    read_at = table.attrs.get("read_at")
    is_ours = table.attrs.get("service") == service and table.attrs.get("api", "") == api
    return (table, float(read_at)) if is_ours and isinstance(read_at, int | float) else None
