"""Looks for new and changed manifests, and for a new or changed ``avatars.csv``."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
from upath import UPath

from akool_dagster.automation.avatars_watch import watch_avatars
from akool_dagster.manifest import ManifestError, manifest_name
from akool_dagster.storage import Storage

SETTLE_SECONDS = 2.0
"""A file changed more recently may still be being copied."""


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """A file in the folder of manifests.

    Attributes:
        path: Where it is.
        fingerprint: Changes when the file does, or one that goes with it.
        changed_at: When one of them last changed, in seconds since 1970 UTC; 0 where not known.
    """

    path: UPath
    fingerprint: str
    changed_at: float


@dataclass(frozen=True, kw_only=True)
class ManifestPlan:
    """What to do about the files that were found.

    Attributes:
        changed: Fingerprint by name of the manifests to validate.
        seen: Fingerprint by name of all manifests that are dealt with; the next cursor.
        complaints: What is wrong with file names.
    """

    changed: Mapping[str, str]
    seen: Mapping[str, str]
    complaints: tuple[str, ...]


def plan_manifests(
    files: list[ManifestFile], *, seen: Mapping[str, str], now: float
) -> ManifestPlan:
    """Decides which manifests are new or changed.

    Args:
        files: What the folder holds.
        seen: Fingerprint by name, as of the last look.
        now: The time.

    Returns:
        The plan. Files that are gone are forgotten, and nothing of theirs is deleted.
    """
    by_name: dict[str, list[ManifestFile]] = {}
    complaints: list[str] = []
    for file in files:
        try:
            by_name.setdefault(manifest_name(file.path), []).append(file)
        except ManifestError as error:
            complaints.append(str(error))
    changed: dict[str, str] = {}
    now_seen: dict[str, str] = {}
    for name, candidates in by_name.items():
        if len(candidates) > 1:
            names = " and ".join(file.path.name for file in candidates)
            complaints.append(f"{names} would both be the manifest {name!r}: rename one of them.")
            continue
        (file,) = candidates
        if seen.get(name) == file.fingerprint:
            now_seen[name] = file.fingerprint
        elif now - file.changed_at >= SETTLE_SECONDS:
            now_seen[name] = changed[name] = file.fingerprint
        elif name in seen:
            now_seen[name] = seen[name]
    return ManifestPlan(changed=changed, seen=now_seen, complaints=tuple(complaints))


def watch_manifests(
    context: dg.SensorEvaluationContext, storage: Storage
) -> dg.SensorResult | dg.SkipReason:
    """Does one tick of ``manifest_sensor``.

    Args:
        context: Of the tick; its cursor holds what was seen before.
        storage: The data root.

    Returns:
        A run for each new or changed manifest, or why there is none.
    """
    seen, now = _read_cursor(context), time.time()
    known = set(context.instance.get_dynamic_partitions("manifests"))
    # One that was retired and is back is new again, whatever the cursor remembers.
    remembered = {name: fingerprint for name, fingerprint in seen.items() if name in known}
    plan = plan_manifests(list_manifest_files(storage), seen=remembered, now=now)
    avatars = watch_avatars(storage, seen=seen, now=now, settle_seconds=SETTLE_SECONDS)
    complaints = [*plan.complaints, *filter(None, [avatars.complaint])]
    for complaint in complaints:
        context.log.error(complaint)
    cursor = json.dumps({**plan.seen, **avatars.seen})
    if not plan.changed and not avatars.evaluations:
        context.update_cursor(cursor)
        return dg.SkipReason("; ".join(complaints) or "No new or changed manifest.")
    return dg.SensorResult(
        dynamic_partitions_requests=[
            dg.AddDynamicPartitionsRequest("manifests", sorted(plan.changed)),
            dg.AddDynamicPartitionsRequest("avatars", list(avatars.avatar_ids)),
        ],
        asset_events=avatars.evaluations,
        run_requests=[
            dg.RunRequest(
                run_key=_run_key(name, fingerprint, now=None if name in known else now),
                partition_key=name,
                tags={"akool/manifest": name},
            )
            for name, fingerprint in sorted(plan.changed.items())
        ],
        skip_reason=None if plan.changed else "; ".join(complaints) or "avatars.csv is valid.",
        cursor=cursor,
    )


def _run_key(name: str, fingerprint: str, *, now: float | None) -> str:
    """Names a validation; Dagster starts none twice, but that of a file that came back may be."""
    return f"{name}:{fingerprint}" + ("" if now is None else f":{now:.0f}")


def list_manifest_files(storage: Storage) -> list[ManifestFile]:
    """Lists the manifests of a data root.

    Args:
        storage: The data root.

    Returns:
        The files, sorted by name.
    """
    return [_file(path, storage.companions(path)) for path in storage.manifests()]


def _file(path: UPath, companions: list[UPath]) -> ManifestFile:
    stats = [file.stat() for file in (path, *companions)]
    times = [float(stat.st_mtime or 0.0) for stat in stats]
    marks = [f"{at:.6f}-{stat.st_size}" for at, stat in zip(times, stats, strict=True)]
    return ManifestFile(path=path, fingerprint="+".join(marks), changed_at=max(times))


def _read_cursor(context: dg.SensorEvaluationContext) -> dict[str, str]:
    try:
        cursor = json.loads(context.cursor or "{}")
    except json.JSONDecodeError:
        context.log.warning("The cursor cannot be read; all manifests are validated once more.")
        return {}
    return {str(name): str(fingerprint) for name, fingerprint in cursor.items()}
