"""Sends a file of this machine to a remote storage, where it appears whole or not at all."""

import contextlib
import secrets
from pathlib import Path

from upath import UPath

from akool_dagster.storage.errors import StorageError, failed
from akool_dagster.storage.names import part_name
from akool_dagster.storage.protocols import OBJECT_STORES


def send_file(local: Path, target: UPath) -> None:
    """Sends a file and removes it here.

    Raises:
        StorageError: The storage did not take it; the target is as it was, the file still here.
    """
    try:
        _send(local, target)
    except StorageError:
        raise
    except Exception as error:
        raise failed("send", target, error) from error
    local.unlink()


def _send(local: Path, target: UPath) -> None:
    fs, size = target.fs, local.stat().st_size
    if target.protocol in OBJECT_STORES:
        fs.put_file(str(local), target.path)
        check_size(target, size)
        return
    hidden = target.with_name(part_name(target.name, secrets.token_hex(16)))
    fs.makedirs(target.parent.path, exist_ok=True)
    try:
        fs.put_file(str(local), hidden.path)
        check_size(hidden, size)
        fs.mv(hidden.path, target.path)
    except BaseException:
        with contextlib.suppress(Exception):
            fs.rm_file(hidden.path)
        raise


def check_size(path: UPath, expected: int) -> None:
    """Makes sure that a file has arrived whole.

    Raises:
        StorageError: It has another size, in bytes.
    """
    path.fs.invalidate_cache(path.parent.path)
    size = size_of(path)
    if size != expected:
        raise StorageError(
            f"{path} has {size} bytes after it was sent, expected {expected}: send it again.",
            path=path,
        )


def size_of(path: UPath) -> int:
    """The size of a remote file, in bytes."""
    return path.fs.info(path.path)["size"]
