"""Names that are safe as file names, and those of parts."""

import re

from akool_dagster.storage.errors import StorageError

PART = re.compile(r"\..+\.[0-9a-f]{32}\.part")
"""The exact shape of a part's name."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def split_key(key: str) -> tuple[str, str]:
    """Splits ``<manifest>.<script_id>``.

    Raises:
        StorageError: One of the two is not 1 to 64 of A-Z, a-z, 0-9, ``_`` and ``-``.
    """
    manifest, dot, script_id = key.partition(".")
    if not dot:
        raise StorageError(f"{key!r} is no key: expected <manifest>.<script_id>.", path=key)
    return checked_name(manifest, "manifest"), checked_name(script_id, "script_id")


def checked_name(name: str, what: str) -> str:
    """Gives a name back that is safe as a file name.

    Args:
        name: Of a manifest, a script or a catalog.
        what: Which of these.

    Raises:
        StorageError: It is not 1 to 64 of A-Z, a-z, 0-9, ``_`` and ``-``.
    """
    if not _NAME.fullmatch(name):
        raise StorageError(
            f"{name!r} cannot be a {what}'s name: use 1 to 64 of A-Z, a-z, 0-9, '_' and '-'.",
            path=name,
        )
    return name


def part_name(name: str, digest: str) -> str:
    """Names the hidden part of a file.

    Args:
        name: Of the file.
        digest: 32 hexadecimal digits that tell its parts from each other.
    """
    return f".{name}.{digest}.part"
