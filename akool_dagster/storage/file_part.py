"""A part that is a file of this machine: beside its target, or on its way to a remote storage."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from upath import UPath

from akool_dagster.storage.durable import rename
from akool_dagster.storage.errors import failed
from akool_dagster.storage.names import part_name
from akool_dagster.storage.sending import send_file

if sys.platform != "win32":
    import fcntl

COPY_BYTES = 1 << 20


class Part:
    """A hidden file on its way to become another one.

    Write to ``handle`` (or with ``write``, which speaks plainly of a full disk), then call exactly
    one of ``commit``, ``discard`` and ``keep``.

    Attributes:
        handle: Open for reading and writing; positioned at its end.
        path: The local path of the part.
        shown: The path that errors name.
        kept_bytes: How many bytes an earlier process had already written.
    """

    def __init__(
        self,
        handle: BinaryIO,
        path: Path,
        publish: Callable[[], None],
        *,
        shown: Path,
        lasting: bool = False,
        setting: str = "AKOOL_DATA",
    ) -> None:
        self.handle = handle
        self.path = path
        self.shown = shown
        self.kept_bytes = os.fstat(handle.fileno()).st_size
        self._publish = publish
        self._lasting = lasting
        self._setting = setting

    def write(self, data: bytes) -> None:
        """Appends.

        Raises:
            StorageError: The disk is full or broken.
        """
        with self._plain_errors():
            self.handle.write(data)

    def flush(self) -> None:
        """Hands everything written to the operating system, so that others can read the part."""
        with self._plain_errors():
            self.handle.flush()

    def restart(self) -> None:
        """Empties the part, to write it anew."""
        with self._plain_errors():
            self.handle.seek(0)
            self.handle.truncate()

    @contextlib.contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        """Opens what was flushed, to look at it from its beginning.

        Raises:
            OSError: It cannot be read.
        """
        with self.path.open("rb") as handle:
            yield handle

    def require_space(self, size: int) -> None:
        """Says at once, and not hours later, that ``size`` more bytes will not fit.

        Raises:
            StorageError: The disk has less room than that.
        """
        free = shutil.disk_usage(self.path.parent).free
        if size > free:
            shortage = OSError(errno.ENOSPC, f"{size} bytes are needed, {free} are free")
            raise failed("write", self.shown, shortage, self._setting)

    def commit(self) -> None:
        """Makes the part durable and puts it in the place of its target, in one step.

        Raises:
            StorageError: It did not work; the part is gone and the target is as before.
        """
        try:
            with self._plain_errors():
                self._settle()
        except BaseException:
            self.discard()
            raise

    def _settle(self) -> None:
        if not self.handle.closed:
            self.handle.flush()
        if not self._lasting:
            self.handle.close()
        # A lasting part stays locked until it has its new name: nobody may take it over.
        self._publish()
        self.handle.close()

    def discard(self) -> None:
        """Removes the part."""
        if not self._lasting:
            _close_quietly(self.handle)
        # A lasting part goes while it is still locked: nobody may have taken it over.
        with contextlib.suppress(OSError):
            self.path.unlink()
        _close_quietly(self.handle)

    def keep(self) -> None:
        """Leaves the bytes for a later process, if they can be recognised; else removes them."""
        if not self._lasting:
            self.discard()
            return
        _close_quietly(self.handle)

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise failed("write", self.shown, error, self._setting) from error


def open_local_part(target: Path, identity: str | None) -> Part:
    """Opens a part beside its target.

    Args:
        target: The file that it is to become.
        identity: See `Storage.open_part`.

    Returns:
        The part; one that an earlier process left, if it has this identity.

    Raises:
        OSError: The folder cannot be written.
    """
    boot = _boot_id()
    if identity is not None and boot is not None:
        digest = hashlib.sha256(f"{boot}\n{identity}".encode()).hexdigest()[:32]
        path = target.with_name(part_name(target.name, digest))
        handle = _open_alone(path)
        if handle is not None:
            return Part(handle, path, lambda: rename(path, target), shown=target, lasting=True)
    path = target.with_name(part_name(target.name, secrets.token_hex(16)))
    return Part(path.open("x+b"), path, lambda: rename(path, target), shown=target)


def open_temporary_part(target: UPath) -> Part:
    """Opens a part in the temporary folder; its bytes are sent when they are complete."""
    folder = Path(tempfile.gettempdir())
    local = folder / part_name(target.name, secrets.token_hex(16))
    try:
        handle = local.open("x+b")
    except OSError as error:
        raise failed("write", local, error, "TMPDIR") from error
    return Part(handle, local, lambda: send_file(local, target), shown=local, setting="TMPDIR")


def _open_alone(path: Path) -> BinaryIO | None:
    """Opens a part that others may know too; None if another process is writing to it."""
    handle = path.open("a+b", buffering=COPY_BYTES)
    # Between opening and locking, the other process may have renamed the file to its target:
    # the lock would then be one on the finished file.
    if _lock(handle) and _still_named(handle, path):
        handle.seek(0, os.SEEK_END)
        return handle
    handle.close()
    return None


def _lock(handle: BinaryIO) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _still_named(handle: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _boot_id() -> str | None:
    """Tells one start of this machine from the next; None where the system has no such mark."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _close_quietly(handle: BinaryIO) -> None:
    # Closing writes what is buffered: on a full disk that fails once more.
    with contextlib.suppress(OSError):
        handle.close()
