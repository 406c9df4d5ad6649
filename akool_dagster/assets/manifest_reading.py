"""Validates a manifest, keeps the checked copy and registers its scripts as partitions."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import dagster as dg
from upath import UPath

from akool_dagster.assets.tables import markdown_preview
from akool_dagster.batch.prices import speech_seconds
from akool_dagster.manifest import (
    Manifest,
    ManifestError,
    ScriptRow,
    VoiceFiles,
    manifest_name,
    read_manifest,
)
from akool_dagster.manifest.scripts import read_rows
from akool_dagster.partitions import register_scripts
from akool_dagster.settings import VoiceApi
from akool_dagster.storage import Storage

_PREVIEW_ROWS = 10
_REPAIRS_SHOWN = 50


def validate_manifest(
    instance: dg.DagsterInstance, storage: Storage, *, name: str, voice_api: VoiceApi
) -> dg.MaterializeResult:
    """Reads and checks a manifest; only one without any error is kept and registered.

    Args:
        instance: The Dagster instance.
        storage: The data root.
        name: Partition key of the manifest.
        voice_api: Which generation of AKOOL's voices speaks.

    Returns:
        What was found and what changed, for the asset's page.

    Raises:
        dagster.Failure: There is no such file, there are two, or it has errors: all of them.
        StorageError: The checked copy could not be written.
    """
    path = find_manifest(storage, name)
    voices = VoiceFiles(mapping=storage.voice_map_path(), catalog=storage.catalog_path("voices"))
    try:
        manifest = read_manifest(path, voice_api=voice_api, voices=voices)
    except ManifestError as error:
        raise dg.Failure(
            str(error),
            metadata={"problems": dg.MetadataValue.md(error.to_markdown())},
            allow_retries=False,
        ) from error
    before = _rows_before(storage, manifest.name)
    storage.install_bytes(storage.scripts_path(manifest.name), manifest.to_parquet_bytes())
    new = register_scripts(instance, manifest.keys)
    return dg.MaterializeResult(metadata=_facts(manifest, before=before, new=len(new)))


def find_manifest(storage: Storage, name: str) -> UPath:
    """Finds the file of a manifest.

    Args:
        storage: The data root.
        name: Partition key of the manifest.

    Returns:
        The file.

    Raises:
        dagster.Failure: There is none, or there are two.
    """
    found = [path for path in storage.manifests() if path.stem == name]
    folder = storage.root / "manifests"
    if not found:
        raise dg.Failure(
            f"There is no {name}.csv or {name}.parquet in {folder}. Put the file back, or leave "
            "this partition alone: finished videos stay where they are.",
            allow_retries=False,
        )
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise dg.Failure(
            f"{names} in {folder} would both be the manifest {name!r}: rename one of them.",
            allow_retries=False,
        )
    manifest_name(found[0])
    return found[0]


def _rows_before(storage: Storage, name: str) -> dict[str, ScriptRow]:
    path = storage.scripts_path(name)
    if not path.exists():
        return {}
    return read_rows(path)


def _facts(manifest: Manifest, *, before: dict[str, ScriptRow], new: int) -> dict[str, Any]:
    rows = list(manifest.rows())
    changes = _changes(rows, before)
    seconds = sum(speech_seconds(row.script or "", rate_percent=row.rate_percent) for row in rows)
    repairs = [f"- {repair}" for repair in manifest.repairs[:_REPAIRS_SHOWN]]
    facts: dict[str, Any] = {
        "dagster/row_count": len(rows),
        "new_partitions": new,
        "rows_new": changes["new"],
        "rows_changed": changes["changed"],
        "rows_unchanged": changes["unchanged"],
        "rows_gone_from_the_file": changes["gone"],
        "estimated_seconds_of_speech": round(seconds),
        "file": dg.MetadataValue.path(str(manifest.path)),
        "sha256": manifest.sha256,
        "preview": dg.MetadataValue.md(markdown_preview(manifest.table, rows=_PREVIEW_ROWS)),
    }
    if repairs:
        facts["repairs"] = dg.MetadataValue.md("\n".join(repairs))
    return facts


def _changes(rows: Iterable[ScriptRow], before: dict[str, ScriptRow]) -> Counter[str]:
    counts: Counter[str] = Counter()
    left = dict(before)
    for row in rows:
        old = left.pop(row.key, None)
        if old is None:
            counts["new"] += 1
        else:
            counts["unchanged" if old.video_hash == row.video_hash else "changed"] += 1
    counts["gone"] = len(left)
    return counts
