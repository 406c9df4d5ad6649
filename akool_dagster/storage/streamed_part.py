"""A part that is an object on S3, sent while it comes, without a copy on this machine's disk."""

import contextlib
import secrets
from collections.abc import Iterator
from typing import BinaryIO, cast

from fsspec.spec import AbstractBufferedFile
from upath import UPath

from akool_dagster.storage.errors import StorageError, failed
from akool_dagster.storage.names import part_name
from akool_dagster.storage.sending import check_size

SENT_AT_ONCE_BYTES = 5 << 20
"""A streamed part is sent in pieces of this size: the least that S3 takes."""

READ_AT_ONCE_BYTES = 1 << 20
"""A streamed part is read back in blocks of this size."""

_KEPT_BLOCKS = 4


class StreamedPart:
    """A hidden object of a store on its way to become another one: a ``Part`` without a disk.

    What is written is sent while it comes, in pieces of ``SENT_AT_ONCE_BYTES``; at most two of
    them are in memory. The calls are those of ``Part``.

    Attributes:
        path: The hidden object; it is there only after ``flush``.
        kept_bytes: Always 0: an upload does not outlive its process.
    """

    kept_bytes = 0

    def __init__(self, target: UPath) -> None:
        self._target = target
        self._begin()

    def _begin(self) -> None:
        self.path = self._target.with_name(part_name(self._target.name, secrets.token_hex(16)))
        with self._plain_errors():
            opened = self.path.fs.open(self.path.path, "wb", block_size=SENT_AT_ONCE_BYTES)
        self._upload = cast(AbstractBufferedFile, opened)
        self._size = 0
        self._whole = False

    def write(self, data: bytes) -> None:
        """Appends.

        Raises:
            StorageError: The store did not take it.
        """
        with self._plain_errors():
            self._upload.write(data)
        self._size += len(data)

    def flush(self) -> None:
        """Completes the hidden object, so that it can be read; nothing can be written any more.

        Raises:
            StorageError: The store did not take it.
        """
        if self._whole:
            return
        with self._plain_errors():
            self._upload.close()
            check_size(self.path, self._size)
        self._whole = True

    def restart(self) -> None:
        """Forgets what was written, to write it anew."""
        self.discard()
        self._begin()

    @contextlib.contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        """Opens what was flushed; only the blocks that are looked at are fetched.

        Raises:
            Exception: Whatever the library of the store raises.
        """
        with self.path.fs.open(
            self.path.path,
            "rb",
            block_size=READ_AT_ONCE_BYTES,
            cache_type="blockcache",
            cache_options={"maxblocks": _KEPT_BLOCKS},
            size=self._size,
        ) as handle:
            yield cast(BinaryIO, handle)

    def require_space(self, size: int) -> None:
        """Does nothing: a store has no end that could be asked for."""

    def commit(self) -> None:
        """Has the store copy the part to its target, which shows it in one step.

        Raises:
            StorageError: It did not work; the part is gone and the target is as before (or, if
                no more than the store's answer was lost, the whole new file).
        """
        try:
            self.flush()
            with self._plain_errors():
                self.path.fs.cp_file(self.path.path, self._target.path)
                check_size(self._target, self._size)
        finally:
            self.discard()

    def discard(self) -> None:
        """Removes the part; what cannot be removed now is left to ``remove_stale_parts``."""
        may_be_there = self._upload.closed
        if not self._whole:
            # Before all else: its finalizer would send the rest and complete it.
            self._upload.closed = True
            with contextlib.suppress(Exception):
                self._upload.discard()
        if may_be_there:
            with contextlib.suppress(Exception):
                self.path.fs.rm_file(self.path.path)

    def keep(self) -> None:
        """Removes the part too: no later process could go on with it."""
        self.discard()

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            raise failed("send", self._target, error) from error
