"""The dynamic partition sets, and how their keys hang together."""

from collections.abc import Iterable

import dagster as dg

manifests_partitions = dg.DynamicPartitionsDefinition(name="manifests")
"""One partition per manifest; the key is the stem of its file."""

scripts_partitions = dg.DynamicPartitionsDefinition(name="scripts")
"""One partition per script row, ``<manifest>.<script_id>``, in the order of the manifest."""

avatars_partitions = dg.DynamicPartitionsDefinition(name="avatars")
"""One partition per avatar of the user's own; the key is its ``avatar_id``."""

lineage_only = dg.SpecificPartitionsPartitionMapping([])
"""Draws the line between manifests and scripts without passing partitions along it.

Dagster has no mapping from a manifest to its own scripts, and with the mapping to all scripts a
backfill of one manifest would ask for, and pay for, the scripts of every other.
"""

_CHUNK = 5_000  # older SQLite takes no more values in one statement


def manifest_of(script_key: str) -> str:
    """Tells which manifest a script belongs to.

    Args:
        script_key: Partition key of a script.

    Returns:
        Partition key of its manifest.
    """
    return script_key.partition(".")[0]


def by_manifest(script_keys: Iterable[str]) -> dict[str, list[str]]:
    """Puts scripts together that are of one manifest.

    Args:
        script_keys: Partition keys of scripts.

    Returns:
        The keys by the partition key of their manifest, both in the order given.
    """
    keys: dict[str, list[str]] = {}
    for key in script_keys:
        keys.setdefault(manifest_of(key), []).append(key)
    return keys


def register_scripts(instance: dg.DagsterInstance, keys: list[str]) -> list[str]:
    """Adds script keys to their partition set, in the given order; known ones keep their place.

    Args:
        instance: The Dagster instance.
        keys: The keys, in manifest order, so that a manifest is one contiguous range.

    Returns:
        The keys that were new.
    """
    known = set(instance.get_dynamic_partitions("scripts"))
    new = [key for key in keys if key not in known]
    for start in range(0, len(new), _CHUNK):
        instance.add_dynamic_partitions("scripts", new[start : start + _CHUNK])
    return new
