"""What goes wrong with files, in plain words."""

import errno
from pathlib import Path

from upath import UPath

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Numbers of the errors that mean a lack of room."""


class StorageError(Exception):
    """A file of the data root could not be read, written or named.

    Attributes:
        path: The file or folder concerned, as shown in the message.
    """

    def __init__(self, message: str, *, path: object) -> None:
        super().__init__(message)
        self.path = str(path)


def failed(
    action: str, path: Path | UPath, error: Exception, setting: str = "AKOOL_DATA"
) -> StorageError:
    """Puts a failure into plain words."""
    code = error.errno if isinstance(error, OSError) else None
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, FileNotFoundError):
        advice = f"Check that it was not moved and that {setting} names the right place"
        what = "it is not there"
    elif code in DISK_FULL:
        advice = f"Free some space or let {setting} name a larger disk, then run again"
        what = "the disk is full, or a limit on size is reached"
    elif code in {errno.EACCES, errno.EPERM, errno.EROFS}:
        advice = f"Give this user the right to write there, or let {setting} name another place"
        what = "permission is missing"
    elif code in {errno.ENOTDIR, errno.EISDIR, errno.EEXIST}:
        advice = "Move away what stands in its place"
        what = "a file stands where a folder is needed, or the other way round"
    else:
        advice = f"Check the storage that {setting} names, then run again"
        what = "the storage failed"
    return StorageError(
        f"Could not {action} {path}: {what} ({reason or type(error).__name__}). {advice}. "
        f"What was saved before is untouched.",
        path=path,
    )
