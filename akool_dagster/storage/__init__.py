"""The data root: where every file lives, and how it gets there whole or not at all.

The root is a local folder or any fsspec address (``s3://bucket/akool``). A file is first written
to a hidden ``.part`` file and takes its place in one step when it is complete, so a reader, a
crash or a power cut meets either the old file, or none, or the whole new one:

* local: the part lies beside its target, is fsynced, renamed, and the folder is fsynced;
* object stores: the part is a local temporary file, sent with the store's own put, which shows an
  object only when all of it has arrived;
* downloads to S3: the part is an object beside the target, sent piece by piece while it arrives,
  with no copy on this machine's disk. It is read back in places, copied by the store, which shows
  the copy in one step, and removed. Why not upload to the target and withhold the last step? Until
  then no byte can be read back, so the file's index, of any size and often at its end, would have
  to be kept here; and what was looked at would not be what the store has;
* other remote systems (``sftp://``): sent to a hidden part beside the target, then renamed.

A killed process leaves a part behind, or on S3 an upload that was never completed, which no listing
shows and which is billed all the same. ``remove_stale_parts`` finds both. A bucket that keeps old
versions keeps those of the parts too: let a lifecycle rule of the bucket remove them.

Every failure is a ``StorageError`` that names the file and what to do; it leaves no part behind
and the old file as it was.
"""

from akool_dagster.storage.data_root import RETIRED, Storage, open_storage
from akool_dagster.storage.errors import StorageError
from akool_dagster.storage.file_part import Part
from akool_dagster.storage.names import split_key
from akool_dagster.storage.streamed_part import StreamedPart

__all__ = [
    "RETIRED",
    "Part",
    "Storage",
    "StorageError",
    "StreamedPart",
    "open_storage",
    "split_key",
]
