"""Tells for each of the user's own avatars where its upload stands."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from akool_dagster.batch.outcomes import sentences
from akool_dagster.batch.stages.avatar import clashing, earlier_upload, not_made
from akool_dagster.ledger import Attempt, Kind, Ledger, State
from akool_dagster.manifest import ManifestError
from akool_dagster.manifest.avatars_file import AVATARS_FILE, OwnAvatar, read_avatars
from akool_dagster.storage import Storage


class AvatarStanding(str, Enum):
    """Where an avatar stands."""

    NEW = "not uploaded"
    """Nothing was sent, or a person allowed to send it again."""
    SENDING = "being sent"
    """A process is sending it."""
    ACCEPTED = "in the making"
    """AKOOL took it and works on it."""
    READY = "ready"
    """Videos can be made with it."""
    CHANGED = "changed"
    """AKOOL has the same id from something else, and cannot replace it."""
    REFUSED = "refused"
    """AKOOL did not take it; not charged."""
    FAILED = "failed"
    """AKOOL took it and could not make it."""
    IN_DOUBT = "in doubt"
    """AKOOL may have taken it, and nobody knows."""


UPLOADED = frozenset({AvatarStanding.ACCEPTED, AvatarStanding.READY})
"""AKOOL has it, and a batch can use it or wait for it."""

_STANDINGS = {
    State.SENDING: AvatarStanding.SENDING,
    State.ACCEPTED: AvatarStanding.ACCEPTED,
    State.COMPLETED: AvatarStanding.READY,
    State.REFUSED: AvatarStanding.REFUSED,
    State.FAILED: AvatarStanding.FAILED,
    State.IN_DOUBT: AvatarStanding.IN_DOUBT,
}
_NOT_MADE = frozenset({AvatarStanding.REFUSED, AvatarStanding.FAILED, AvatarStanding.IN_DOUBT})
_NEXT_STEP = {
    AvatarStanding.NEW: "To upload it: akool-dagster avatars --upload {avatar_id}",
    AvatarStanding.ACCEPTED: "Nothing: AKOOL works on it.",
}


@dataclass(frozen=True, kw_only=True)
class AvatarStatus:
    """One avatar as the ledger knows it.

    Attributes:
        avatar: The avatar.
        standing: Where it stands.
        cause: Why; empty where the name says it all.
        next_step: What happens next, or what a person must do; empty when nothing.
        may_be_sent: Whether uploading all that is missing sends it: it was never sent, or AKOOL's
            refusal was worded "try again later".
        upload: The newest attempt to upload it, None when there was none.
    """

    avatar: OwnAvatar
    standing: AvatarStanding
    cause: str = ""
    next_step: str = ""
    may_be_sent: bool = False
    upload: Attempt | None = None


def avatar_statuses(ledger: Ledger, avatars: Iterable[OwnAvatar]) -> list[AvatarStatus]:
    """Looks avatars up in the ledger; writes nothing.

    Args:
        ledger: The ledger.
        avatars: The avatars as their file has them now.

    Returns:
        Their statuses, in the same order.
    """
    avatars = list(avatars)
    uploads = ledger.attempts.latest_of(
        kind=Kind.AVATAR, content_hashes=[avatar.content_hash for avatar in avatars]
    )
    return [_status(ledger, avatar, uploads.get(avatar.content_hash)) for avatar in avatars]


def never_uploaded(ledger: Ledger, storage: Storage, names: Collection[str]) -> list[str]:
    """Finds the avatars that stand in ``avatars.csv`` and were never uploaded.

    Args:
        ledger: The ledger.
        storage: The data root.
        names: The avatars that are asked about, by id; others are left out.

    Returns:
        Their ids, in the order of the file; none while the file is broken or not there.
    """
    path = storage.path(AVATARS_FILE)
    try:
        own = read_avatars(path).avatars if path.exists() else ()
    except ManifestError:
        return []
    asked = [avatar for avatar in own if avatar.avatar_id in names]
    return [
        status.avatar.avatar_id
        for status in avatar_statuses(ledger, asked)
        if status.standing is AvatarStanding.NEW
    ]


def _status(ledger: Ledger, avatar: OwnAvatar, upload: Attempt | None) -> AvatarStatus:
    earlier = earlier_upload(ledger, avatar)
    if earlier is not None:
        told = clashing(avatar, earlier)
        return AvatarStatus(
            avatar=avatar,
            standing=AvatarStanding.CHANGED,
            cause=told.text,
            next_step=told.advice,
            upload=earlier,
        )
    standing = _standing(upload)
    if upload is not None and standing in _NOT_MADE:
        told = not_made(avatar.avatar_id, upload)
        code = "" if told.code is None else f"AKOOL code {told.code}: "
        return AvatarStatus(
            avatar=avatar,
            standing=standing,
            cause=sentences(f"{code}{told.text}", told.cost),
            next_step=told.advice,
            may_be_sent=standing is AvatarStanding.REFUSED and upload.try_again,
            upload=upload,
        )
    return AvatarStatus(
        avatar=avatar,
        standing=standing,
        next_step=_NEXT_STEP.get(standing, "").format(avatar_id=avatar.avatar_id),
        may_be_sent=standing is AvatarStanding.NEW,
        upload=upload,
    )


def _standing(upload: Attempt | None) -> AvatarStanding:
    if upload is None or upload.pay_again_at is not None:
        return AvatarStanding.NEW
    return _STANDINGS.get(upload.state, AvatarStanding.NEW)
