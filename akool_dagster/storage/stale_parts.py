"""Finds what a killed process left behind: parts, and uploads to S3 that were never completed."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from upath import UPath

from akool_dagster.storage.names import PART


def remove_parts(folder: UPath, limit: dt.datetime) -> Iterator[str]:
    """Removes the parts in a folder, and in the folders in it, that were last written before.

    Yields:
        The path of each.
    """
    fs = folder.fs
    for name in fs.find(folder.path, maxdepth=2):
        if not PART.fullmatch(Path(name).name):
            continue
        # Its owner may finish or remove it at any moment.
        with contextlib.suppress(FileNotFoundError):
            if fs.modified(name) < limit:
                fs.rm_file(name)
                yield name


def end_uploads(folder: UPath, limit: dt.datetime) -> Iterator[str]:
    """Ends the uploads into a folder on S3 that nobody will complete.

    They are those of parts, and those by which s3fs copies a large part to its target.
    """
    fs: Any = folder.fs
    bucket, prefix, _ = fs.split_path(folder.path)
    for upload in _open_uploads(fs, bucket, f"{prefix}/"):
        if upload["Initiated"] < limit:
            # Its owner may end it at any moment.
            with contextlib.suppress(FileNotFoundError):
                fs.abort_mpu(bucket, upload["Key"], upload["UploadId"])
                yield f"{bucket}/{upload['Key']}"


def _open_uploads(fs: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    marks: dict[str, str] = {}
    while True:
        try:
            page = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **marks)
        except OSError:
            return  # the key may not list them, or the store does not know such a list
        yield from page.get("Uploads", [])
        if not page.get("IsTruncated"):
            return
        marks = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
