"""What the asset checks find: in the ledger, and in the file of own avatars."""

from collections.abc import Sequence

import dagster as dg

from akool_dagster.assets.checks import AVATARS_VALID, NO_DOUBT, SAVED_IN_TIME
from akool_dagster.assets.custom_avatars import CUSTOM_AVATARS
from akool_dagster.assets.script_videos import DOWNLOADED_VIDEOS, VIDEO_REQUESTS, VOICE_FILES
from akool_dagster.assets.tables import markdown_table
from akool_dagster.batch.alarms import Concern, dying_links, lost_videos, open_doubts
from akool_dagster.batch.wording import when
from akool_dagster.ledger import Kind, Ledger
from akool_dagster.manifest import ManifestError
from akool_dagster.manifest.avatars_file import AVATARS_FILE, AvatarsFile, read_avatars
from akool_dagster.storage import Storage

_ROWS_SHOWN = 100


def evaluate_all(ledger: Ledger, *, now: float) -> list[dg.AssetCheckEvaluation]:
    """Evaluates every check of the ledger without a run.

    Args:
        ledger: The ledger.
        now: The time.

    Returns:
        One evaluation per check, for a sensor to record.
    """
    results = [
        voice_doubts(ledger),
        video_doubts(ledger),
        avatar_doubts(ledger),
        links(ledger, now=now),
    ]
    return [evaluation(result) for result in results]


def voice_doubts(ledger: Ledger) -> dg.AssetCheckResult:
    """Says which voices, and clones for them, may have been charged unknown to anybody."""
    return _doubts(ledger, kinds=(Kind.VOICE, Kind.CLONE), asset=VOICE_FILES)


def video_doubts(ledger: Ledger) -> dg.AssetCheckResult:
    """Says which videos may have been charged unknown to anybody."""
    return _doubts(ledger, kinds=(Kind.VIDEO,), asset=VIDEO_REQUESTS)


def avatar_doubts(ledger: Ledger) -> dg.AssetCheckResult:
    """Says which uploads of avatars may have been charged unknown to anybody."""
    return _doubts(ledger, kinds=(Kind.AVATAR,), asset=CUSTOM_AVATARS)


def avatars_file_now(storage: Storage) -> dg.AssetCheckResult:
    """Reads the file of own avatars and says whether it can be used."""
    path = storage.path(AVATARS_FILE)
    if not path.exists():
        return avatars_file_result(None)
    try:
        return avatars_file_result(read_avatars(path))
    except ManifestError as error:
        return avatars_file_result(error)


def avatars_file_result(found: AvatarsFile | ManifestError | None) -> dg.AssetCheckResult:
    """Says whether the file of own avatars can be used.

    Args:
        found: What came of reading it; None when there is no such file.

    Returns:
        The check's result, with every problem, or the repairs.
    """
    if isinstance(found, ManifestError):
        count = len(found.problems)
        return dg.AssetCheckResult(
            asset_key=CUSTOM_AVATARS,
            check_name=AVATARS_VALID,
            passed=False,
            description=(
                f"{AVATARS_FILE} has {count} problem{'' if count == 1 else 's'}; no avatar of it "
                "can be uploaded until they are corrected."
            ),
            metadata={"problems": dg.MetadataValue.md(found.to_markdown())},
        )
    count = len(found.avatars) if found is not None else 0
    repairs = [f"- {repair}" for repair in found.repairs] if found is not None else []
    return dg.AssetCheckResult(
        asset_key=CUSTOM_AVATARS,
        check_name=AVATARS_VALID,
        passed=True,
        description=(
            f"There is no {AVATARS_FILE}." if found is None else f"{count} avatars, all valid."
        ),
        metadata={"repairs": dg.MetadataValue.md("\n".join(repairs))} if repairs else {},
    )


def evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """Turns a result into an event that a sensor can record.

    Args:
        result: A result that names its asset and its check.

    Returns:
        The event.
    """
    assert result.asset_key is not None  # noqa: S101 - each result below names both
    assert result.check_name is not None  # noqa: S101
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )


def _doubts(ledger: Ledger, *, kinds: Sequence[Kind], asset: dg.AssetKey) -> dg.AssetCheckResult:
    doubts = [concern for kind in kinds for concern in open_doubts(ledger, kind=kind)]
    credit = sum(concern.attempt.reserved_credits or 0.0 for concern in _per_attempt(doubts))
    found = dict.fromkeys(concern.attempt.kind for concern in doubts)
    what = "avatars" if Kind.AVATAR in kinds else "scripts"
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=NO_DOUBT,
        passed=not doubts,
        description=(
            f"{len(doubts)} {what} wait for a person's word; up to {credit:g} credits may have "
            f"been charged. Say {' or '.join(map(_resolve, found))}, `--not-created` or "
            "`--pay-again`."
            if doubts
            else f"No {kinds[0].value} request is in doubt."
        ),
        metadata=_table(doubts, column="in doubt since"),
    )


def _resolve(kind: Kind) -> str:
    option = "" if kind is Kind.VIDEO else f" --{kind.value}"
    return f"`akool-dagster resolve KEY{option} --{kind.value}-id ID`"


def links(ledger: Ledger, *, now: float) -> dg.AssetCheckResult:
    """Says which finished videos will soon be lost, and which ones were.

    Args:
        ledger: The ledger.
        now: The time.

    Returns:
        The check's result: a warning 48 hours before, an error after.
    """
    lost, dying = lost_videos(ledger), dying_links(ledger, now=now)
    said = []
    if lost:
        said.append(f"{len(lost)} videos were made and paid for, and their links died unsaved.")
    if dying:
        said.append(f"{len(dying)} finished videos are not saved and will die within 48 hours.")
    return dg.AssetCheckResult(
        asset_key=DOWNLOADED_VIDEOS,
        check_name=SAVED_IN_TIME,
        passed=not lost and not dying,
        severity=dg.AssetCheckSeverity.ERROR if lost else dg.AssetCheckSeverity.WARN,
        description=" ".join(said) or "Every finished video is saved, or has time left.",
        metadata=_table([*lost, *dying], column="link dies"),
    )


def _per_attempt(concerns: Sequence[Concern]) -> list[Concern]:
    return list({concern.attempt.id: concern for concern in concerns}.values())


def _table(concerns: Sequence[Concern], *, column: str) -> dict[str, dg.MetadataValue]:
    if not concerns:
        return {}
    lines = [
        {
            "script": concern.key,
            "request": f"{concern.attempt.kind.value} {concern.attempt.number}",
            column: when(
                concern.attempt.sending_at
                if column == "in doubt since"
                else concern.attempt.url_expires_at
            ),
            "credits reserved": concern.attempt.reserved_credits,
            "what happened": concern.problem or concern.attempt.reason,
        }
        for concern in concerns[:_ROWS_SHOWN]
    ]
    return {
        "scripts": dg.MetadataValue.int(len(concerns)),
        "which": dg.MetadataValue.md(markdown_table(lines)),
    }
