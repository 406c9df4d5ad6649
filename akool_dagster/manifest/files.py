"""The files of a manifest: what it is called after, the companions beside it, and their bytes."""

import re
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from akool_dagster.file_endings import TEXTS_SUFFIXES
from akool_dagster.manifest.report import Report

NAME_LENGTH = 64
"""Most characters of a manifest's name and of a ``script_id``."""

NAME = f"[A-Za-z0-9_-]{{1,{NAME_LENGTH}}}"
"""What a manifest's name and a ``script_id`` look like."""


@dataclass(frozen=True, kw_only=True)
class VoiceFiles:
    """Where it is said which voices there are; neither file need be there.

    Attributes:
        mapping: The user's ``voices.csv`` (see `voice_files`).
        catalog: The saved voice catalog, ``catalogs/voices.parquet`` of the data root.
    """

    mapping: UPath | Path
    catalog: UPath | Path


def manifest_name(path: UPath | Path) -> str:
    """The name of a manifest: its file's stem.

    Raises:
        ManifestError: The stem cannot be a partition key and a folder name.
    """
    if re.fullmatch(NAME, path.stem):
        return path.stem
    if path.stem.endswith(".texts"):
        raise Report(path).stop_with(
            "the file holds the texts of a manifest, and is no manifest itself",
            fix=f"give {path.stem.removesuffix('.texts')}.csv, beside which it belongs",
            value=path.name,
        )
    likely = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-")[:NAME_LENGTH] or "manifest"
    raise Report(path).stop_with(
        "the name of the file may have 1 to 64 letters A-Z, digits, _ and - before its ending",
        fix=f"rename it to {likely}{path.suffix}",
        value=path.name,
    )


def find_texts(manifest: UPath | Path) -> UPath | Path | None:
    """Finds the companion of a manifest that holds its texts (see `texts_file`).

    Args:
        manifest: The manifest's file.

    Returns:
        The file, None where there is none.

    Raises:
        ManifestError: There are two.
    """
    candidates = [manifest.with_name(manifest.stem + suffix) for suffix in TEXTS_SUFFIXES]
    found = [path for path in candidates if path.exists()]
    if len(found) > 1:
        raise Report(manifest).stop_with(
            f"{' and '.join(path.name for path in found)} would both hold its texts",
            fix="delete or rename one of the two",
        )
    return found[0] if found else None


def read_bytes(path: UPath | Path, report: Report) -> bytes:
    """Reads a whole file.

    Raises:
        ManifestError: It cannot be read; an unreachable file never passes for an empty one.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise report.stop_with("there is no such file", fix="check the path") from error
    except IsADirectoryError as error:
        raise report.stop_with("this is a folder, not a file", fix="name the file") from error
    # Each remote file system has its own errors, and none may pass for an empty manifest.
    except Exception as error:
        raise report.stop_with(
            f"the file cannot be read: {type(error).__name__}: {error}",
            fix="check the permissions, and the access to the storage",
        ) from error
