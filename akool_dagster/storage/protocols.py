"""What the kinds of storage can do, by the protocol of their addresses."""

LOCAL = {"", "file", "local"}
"""Folders of this machine."""

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss"}
"""Their put of one object is all or nothing, so it needs no detour over a hidden name."""

S3 = {"s3", "s3a"}
"""Downloads are sent to them while they arrive."""

COPYING_STORES = {*S3, "gs", "gcs"}
"""Their copy of an object, as fsspec asks for it, is there and whole when they have answered.

That of az:// may still be under way.
"""
