"""What the saved catalogs say of the scripts that a run would ask for; asks AKOOL nothing."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from akool_dagster.akool import AvatarSource, Status
from akool_dagster.batch.avatar_status import UPLOADED, AvatarStanding, avatar_statuses
from akool_dagster.batch.catalogs.avatar_book import KnownAvatar
from akool_dagster.batch.catalogs.check import SavedCatalogs, check_rows, saved_catalogs
from akool_dagster.batch.row_status import RowStatus
from akool_dagster.batch.wording import when
from akool_dagster.ledger import Ledger
from akool_dagster.manifest import ManifestError, ScriptRow, find_texts
from akool_dagster.manifest.avatars_file import AVATARS_FILE, read_avatars
from akool_dagster.manifest.report import Report
from akool_dagster.settings import Settings
from akool_dagster.storage import Storage

if TYPE_CHECKING:
    from akool_dagster.manifest import Manifest

_UNFINISHED = frozenset({Status.QUEUED, Status.PROCESSING})
_LINES_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class CatalogProblem:
    """A script that would fail for its voice or its avatar, before anything is spent on it.

    Attributes:
        key: The script.
        line: Of the manifest.
        problem: What is wrong.
        fix: What to do about it.
    """

    key: str
    line: int
    problem: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class CatalogReport:
    """What was found.

    Attributes:
        problems: In the order of the manifest.
        avatars_at: When AKOOL was asked for its avatars, None when no usable list is saved.
        voices_at: When AKOOL was asked for its voices, None when no usable list is saved.
        row: What the manifest's rows are counted in: ``line``, or ``row`` of a Parquet file.
    """

    problems: Sequence[CatalogProblem]
    avatars_at: float | None
    voices_at: float | None
    row: str = "line"

    @property
    def scripts(self) -> int:
        """How many scripts would fail."""
        return len({problem.key for problem in self.problems})

    def told_together(self) -> list[tuple[str, CatalogProblem]]:
        """Puts what is wrong in many lines into one entry.

        Returns:
            The lines in words and the problem, for each that is different.
        """
        lines: dict[tuple[str, str], list[int]] = {}
        first: dict[tuple[str, str], CatalogProblem] = {}
        for problem in self.problems:
            same = (problem.problem, problem.fix)
            first.setdefault(same, problem)
            lines.setdefault(same, []).append(problem.line)
        return [(_lines_in_words(lines[same], word=self.row), first[same]) for same in first]

    def as_json(self) -> dict[str, object]:
        """What scripts read: part of the summary of ``plan``."""
        return {
            "catalogs": {
                "avatars_read_at": when(self.avatars_at),
                "voices_read_at": when(self.voices_at),
            },
            "catalog_problems": [
                {"key": each.key, "line": each.line, "problem": each.problem, "fix": each.fix}
                for each in self.problems
            ],
        }


def catalog_report(
    ledger: Ledger,
    storage: Storage,
    settings: Settings,
    *,
    manifest: "Manifest",
    statuses: Iterable[RowStatus],
) -> CatalogReport:
    """Looks the scripts that a run would ask for up in the saved catalogs.

    Args:
        ledger: Knows which own avatars were uploaded since the catalogs were saved.
        storage: Holds the catalogs.
        settings: Say whose the catalogs must be, and whether a run waits for own avatars.
        manifest: The manifest.
        statuses: Its scripts.

    Returns:
        The report. What is done or under way is not looked up: nothing is sent for it.
    """
    saved = saved_catalogs(storage, service=settings.service, voice_api=settings.voice_api)
    waits = settings.avatar_not_ready == "wait"
    catalogs = replace(saved, avatars=_as_a_run_sees(saved, ledger, storage, waits=waits))
    rows = {each.row.key: each.row for each in statuses if each.may_be_asked_again}
    found = check_rows(rows.values(), catalogs)
    files = _files(manifest, storage)
    return CatalogReport(
        problems=[
            CatalogProblem(
                key=key,
                line=rows[key].line,
                problem=text,
                fix=_fix(rows[key], text, catalogs, files=files),
            )
            for key, texts in found.items()
            for text in texts
        ],
        avatars_at=saved.avatars_at,
        voices_at=saved.voices_at,
        row=Report(manifest.path).row,
    )


def age_in_words(read_at: float) -> str:
    """Says how old a saved catalog is.

    Args:
        read_at: When AKOOL was asked, in seconds since 1970 UTC.

    Returns:
        For example ``3 hours old``.
    """
    minutes = max(0.0, time.time() - read_at) / 60
    for size, unit in ((24 * 60, "days"), (60, "hours")):
        if minutes >= 2 * size:
            return f"{minutes / size:.0f} {unit} old"
    return f"{minutes:.0f} minutes old"


def _as_a_run_sees(
    saved: SavedCatalogs, ledger: Ledger, storage: Storage, *, waits: bool
) -> Mapping[str, KnownAvatar]:
    """Adds the avatars that were uploaded since, and those that a run would wait for."""
    if not saved.avatars:
        return saved.avatars
    avatars = {**saved.avatars, **_uploaded(ledger, storage)}
    if not waits:
        return avatars
    return {
        avatar_id: replace(known, status=Status.COMPLETED)
        if known.is_own and known.status in _UNFINISHED
        else known
        for avatar_id, known in avatars.items()
    }


def _uploaded(ledger: Ledger, storage: Storage) -> dict[str, KnownAvatar]:
    path = storage.path(AVATARS_FILE)
    try:
        own = read_avatars(path).avatars if path.exists() else ()
    except ManifestError:  # `akool-dagster avatars` tells what is wrong with it
        return {}
    return {
        each.avatar.avatar_id: KnownAvatar(
            avatar_id=each.avatar.avatar_id,
            source=AvatarSource.OWN,
            status=(
                Status.COMPLETED if each.standing is AvatarStanding.READY else Status.PROCESSING
            ),
        )
        for each in avatar_statuses(ledger, own)
        if each.standing in UPLOADED
    }


def _fix(row: ScriptRow, text: str, catalogs: SavedCatalogs, *, files: Sequence[str]) -> str:
    is_avatar = text.startswith("avatar_id")
    avatar_id, voice_id = row.avatar_id or "", row.voice_id or ""
    if is_avatar and avatar_id not in catalogs.avatars and avatar_id in catalogs.own_avatars:
        return f"upload it: akool-dagster avatars --upload {avatar_id}"
    is_known = avatar_id in catalogs.avatars if is_avatar else voice_id in catalogs.voices
    column = "avatar_id" if is_avatar else "voice_id"
    where = " or ".join(name for name in files if not (is_avatar and name == "voices.csv"))
    return f"{'name another' if is_known else 'correct the'} {column} in {where}"


def _files(manifest: "Manifest", storage: Storage) -> list[str]:
    """Names the files that a voice or an avatar of the manifest may stand in."""
    texts, voices = find_texts(manifest.path), storage.voice_map_path()
    beside = [path.name for path in (texts, voices) if path is not None and path.exists()]
    is_in_languages = not manifest.table.index.is_unique
    return [manifest.path.name, *(beside if is_in_languages else ())]


def _lines_in_words(lines: Sequence[int], *, word: str) -> str:
    distinct = list(dict.fromkeys(lines))
    named = ", ".join(str(line) for line in distinct[:_LINES_NAMED])
    more = len(distinct) - _LINES_NAMED
    plural = "" if len(distinct) == 1 else "s"
    return f"{word}{plural} {named}" + (f" and {more:,} more" if more > 0 else "")
