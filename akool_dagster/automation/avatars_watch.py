"""Notices a new or changed ``avatars.csv``: names its avatars, or says what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from akool_dagster.assets.check_results import avatars_file_result, evaluation
from akool_dagster.manifest import ManifestError
from akool_dagster.manifest.avatars_file import AVATARS_FILE, read_avatars
from akool_dagster.storage import Storage


@dataclass(frozen=True, kw_only=True)
class AvatarsNews:
    """What is new about the file.

    Attributes:
        seen: Fingerprint by file name that is dealt with, for the next cursor.
        avatar_ids: The avatars of a new or changed valid file.
        evaluations: The check of a new or changed file: green, or red with every problem.
        complaint: What is wrong with it, for the log of the tick; empty when nothing is.
    """

    seen: Mapping[str, str]
    avatar_ids: tuple[str, ...] = ()
    evaluations: tuple[dg.AssetCheckEvaluation, ...] = ()
    complaint: str = ""


def watch_avatars(
    storage: Storage, *, seen: Mapping[str, str], now: float, settle_seconds: float
) -> AvatarsNews:
    """Looks at the file; one that is still being copied is left for the next time.

    Args:
        storage: The data root.
        seen: Fingerprint by file name, as of the last look.
        now: The time.
        settle_seconds: A file changed more recently is left alone.

    Returns:
        What is new.
    """
    path = storage.path(AVATARS_FILE)
    before = {AVATARS_FILE: seen[AVATARS_FILE]} if AVATARS_FILE in seen else {}
    if not path.exists():
        return AvatarsNews(seen={})
    stat = path.stat()
    changed_at = float(stat.st_mtime or 0.0)
    fingerprint = f"{changed_at:.6f}-{stat.st_size}"
    if before.get(AVATARS_FILE) == fingerprint or now - changed_at < settle_seconds:
        return AvatarsNews(seen=before)
    try:
        file = read_avatars(path)
    except ManifestError as error:
        return AvatarsNews(
            seen={AVATARS_FILE: fingerprint},
            evaluations=(evaluation(avatars_file_result(error)),),
            complaint=str(error),
        )
    return AvatarsNews(
        seen={AVATARS_FILE: fingerprint},
        avatar_ids=tuple(avatar.avatar_id for avatar in file.avatars),
        evaluations=(evaluation(avatars_file_result(file)),),
    )
