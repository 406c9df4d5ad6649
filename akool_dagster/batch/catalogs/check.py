"""Looks voice and avatar of a row up before anything is spent on the row.

A row with a typo costs nothing: it fails at its first stage, with the nearest ids. Only an avatar
of the user's own may be worth waiting for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from akool_dagster.akool import AvatarSource, ListedAvatar, Status
from akool_dagster.batch import wording
from akool_dagster.batch.catalogs import avatar_book, voice_book
from akool_dagster.batch.catalogs.avatar_book import KnownAvatar, saved_avatars
from akool_dagster.batch.catalogs.listing import CatalogUnreadable
from akool_dagster.batch.catalogs.voice_book import KnownVoice, saved_voices
from akool_dagster.batch.outcomes import Later, Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.stages.avatar import newest_upload
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.watching.looking import look
from akool_dagster.ledger import Attempt, Kind, State
from akool_dagster.manifest import ManifestError, ScriptRow
from akool_dagster.manifest.avatars_file import AVATARS_FILE, read_avatars
from akool_dagster.settings import VoiceApi
from akool_dagster.storage import Storage

_NOTHING_SENT = "Nothing was sent."
_CORRECT = (
    "Correct the {0} of this row in the manifest; or set AKOOL_UNLISTED_IDS=try where it is right "
    "and AKOOL only does not list it."
)
_UNDER_WAY = frozenset({State.PLANNED, State.RESERVED, State.SENDING, State.ACCEPTED})
_TAKEN_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Whose avatar or voice is looked at, for the outcome."""

    key: str
    stage: Stage

    def trouble(self, kind: Trouble, text: str, *, advice: str, **facts: str) -> Outcome:
        return wording.trouble(
            kind,
            f"{text} {_NOTHING_SENT}",
            key=self.key,
            stage=self.stage,
            advice=advice,
            facts=facts,
        )


def check_before_voice(
    tools: Tools, row: ScriptRow, *, waiting_since: float
) -> Later | Outcome | None:
    """Checks a row that is about to have its voice made, which may be the first thing paid for.

    Args:
        tools: What the batch works with.
        row: The row.
        waiting_since: When this run began to wait for it.

    Returns:
        None when the voice may be asked for, or nothing would be sent anyway; else the outcome of
        the stage, or when to look again.
    """
    if not _would_begin(tools, row):
        return None
    whose = _Row(key=row.key, stage=Stage.VOICE)
    voice = _check_voice(tools, row, whose)
    if voice is not None:
        return voice
    avatar = _check_avatar(tools, row, whose, waiting_since=waiting_since)
    return None if isinstance(avatar, ListedAvatar) else avatar


def usable_avatar(
    tools: Tools, avatar_id: str, *, key: str, stage: Stage, waiting_since: float
) -> ListedAvatar | Later | Outcome:
    """Finds out whether a video can be asked for with an avatar now.

    Args:
        tools: What the batch works with.
        avatar_id: What the manifest names.
        key: The row.
        stage: The stage that needs it.
        waiting_since: When this run began to wait for this row.

    Returns:
        The avatar as a create takes it, when to look again at an own one that AKOOL works on, or
        the outcome of the stage. An official one is never judged by its status.
    """
    whose = _Row(key=key, stage=stage)
    try:
        known = tools.avatars.find(avatar_id)
    except CatalogUnreadable as error:
        return whose.trouble(Trouble.LATER, error.message, advice=error.advice, avatar_id=avatar_id)
    if known is not None and known.is_disabled:
        return _unfit(whose, known)
    if known is not None and known.is_ready:
        return ListedAvatar(avatar_id=avatar_id, avatar_from=known.source)
    upload = newest_upload(tools, avatar_id)
    if upload is not None and upload.state in (*_UNDER_WAY, State.COMPLETED):
        return _uploaded(tools, upload, whose, avatar_id, waiting_since=waiting_since)
    if known is None:
        return _unlisted(tools, upload, whose, avatar_id)
    known, look_at = tools.avatars.look_again(known)
    if known.is_ready:
        return ListedAvatar(avatar_id=avatar_id, avatar_from=known.source)
    if known.status is Status.FAILED:
        return _unfit(whose, known)
    return _pending(tools, whose, avatar_id, look_at=look_at, waiting_since=waiting_since)


# -- one row ------------------------------------------------------------------------------


def _would_begin(tools: Tools, row: ScriptRow) -> bool:
    """Whether making the voice is still ahead; what was sent needs no more looking up."""
    if row.voice_url is not None:
        delivery = tools.ledger.deliveries.find(
            script_key=row.key, kind=Kind.VOICE, content_hash=row.voice_hash
        )
        return delivery is None or delivery.saved_at is None
    spoken = tools.ledger.attempts.latest(kind=Kind.VOICE, content_hash=row.voice_hash)
    return (
        spoken is None or spoken.may_be_followed or spoken.state in (State.PLANNED, State.RESERVED)
    )


def _check_voice(tools: Tools, row: ScriptRow, whose: _Row) -> Outcome | None:
    if row.voice_id is None or tools.voices is None:
        return None
    try:
        voice = tools.voices.find(row.voice_id)
    except CatalogUnreadable as error:
        return whose.trouble(
            Trouble.LATER, error.message, advice=error.advice, voice_id=row.voice_id
        )
    if voice is None and tools.rules.unlisted_ids == "try":
        return None
    if voice is None:
        return whose.trouble(
            Trouble.ROW,
            tools.voices.suggestion(row.voice_id),
            advice=_CORRECT.format("voice_id"),
            voice_id=row.voice_id,
        )
    if voice.problem is None:
        return None
    return whose.trouble(
        Trouble.LATER if voice.is_pending else Trouble.ROW,
        f"voice_id {row.voice_id!r} {voice.problem}",
        advice=(
            "Materialize the row again when AKOOL has finished it."
            if voice.is_pending
            else "Name another voice_id in the manifest."
        ),
        voice_id=row.voice_id,
    )


def _check_avatar(
    tools: Tools, row: ScriptRow, whose: _Row, *, waiting_since: float
) -> ListedAvatar | Later | Outcome | None:
    if row.avatar_id is None:
        return None
    return usable_avatar(
        tools, row.avatar_id, key=whose.key, stage=whose.stage, waiting_since=waiting_since
    )


def _uploaded(
    tools: Tools, upload: Attempt, whose: _Row, avatar_id: str, *, waiting_since: float
) -> ListedAvatar | Later | Outcome:
    """Goes by the ledger's own upload, which may be newer than any list."""
    if upload.state is State.ACCEPTED and (upload.next_look_at or 0.0) <= tools.clock():
        upload = look(tools, upload)
    if upload.state is State.COMPLETED:
        return ListedAvatar(avatar_id=avatar_id, avatar_from=AvatarSource.OWN)
    if upload.state is State.FAILED:
        return _failed_upload(upload, whose, avatar_id)
    look_at = upload.next_look_at if upload.state is State.ACCEPTED else None
    return _pending(
        tools,
        whose,
        avatar_id,
        look_at=look_at or tools.clock() + _TAKEN_SECONDS,
        waiting_since=waiting_since,
    )


def _pending(
    tools: Tools, whose: _Row, avatar_id: str, *, look_at: float, waiting_since: float
) -> Later | Outcome:
    rules = tools.rules
    waited = tools.clock() - waiting_since
    if rules.avatar_not_ready == "wait" and waited < rules.render_deadline_seconds:
        return Later(at=look_at)
    hours = rules.render_deadline_seconds / 3600
    how_long = f" after {hours:g} hours of waiting" if rules.avatar_not_ready == "wait" else ""
    return whose.trouble(
        Trouble.LATER,
        f"Your own avatar {avatar_id} is not ready{how_long}: AKOOL still works on it.",
        advice=(
            "Materialize the row again when custom_avatars shows it as ready. With "
            "AKOOL_AVATAR_NOT_READY=wait a run waits for it."
        ),
        avatar_id=avatar_id,
    )


def _failed_upload(upload: Attempt, whose: _Row, avatar_id: str) -> Outcome:
    return whose.trouble(
        Trouble.ROW,
        f"AKOOL could not make your own avatar {avatar_id}: {upload.reason}",
        advice=upload.advice or "",
        avatar_id=avatar_id,
    )


def _unlisted(
    tools: Tools, upload: Attempt | None, whose: _Row, avatar_id: str
) -> ListedAvatar | Outcome:
    """Tells an upload that came to nothing, one that was never begun, and a typo apart."""
    if upload is not None and upload.state is State.FAILED:
        return _failed_upload(upload, whose, avatar_id)
    if upload is not None:
        state = upload.state.value.replace("_", " ")
        return whose.trouble(
            Trouble.LATER,
            f"AKOOL does not list your own avatar {avatar_id}; its upload is {state}: "
            f"{upload.reason}",
            advice=f"See the partition {avatar_id} of custom_avatars for what to do.",
            avatar_id=avatar_id,
        )
    if avatar_id in own_avatar_ids(tools.storage):
        return whose.trouble(
            Trouble.LATER,
            f"Your own avatar {avatar_id} stands in {AVATARS_FILE} and was not uploaded yet.",
            advice=(
                f"Upload it first: akool-dagster avatars --upload {avatar_id} (or materialize its "
                "partition of custom_avatars). Then run the row (or materialize it) again."
            ),
            avatar_id=avatar_id,
        )
    if tools.rules.unlisted_ids == "try":
        # Official avatars are all listed: what is not may be shared by another account.
        return ListedAvatar(avatar_id=avatar_id, avatar_from=AvatarSource.OWN)
    return whose.trouble(
        Trouble.ROW,
        tools.avatars.suggestion(avatar_id),
        advice=_CORRECT.format("avatar_id"),
        avatar_id=avatar_id,
    )


def _unfit(whose: _Row, known: KnownAvatar) -> Outcome:
    return whose.trouble(
        Trouble.ROW,
        f"avatar_id {known.avatar_id!r} {_problem(known)}",
        advice="Name another avatar_id in the manifest.",
        avatar_id=known.avatar_id,
    )


def _problem(known: KnownAvatar) -> str | None:
    if known.is_disabled:
        return "is disabled at AKOOL."
    if known.is_own and known.status is Status.FAILED:
        told = f": {known.failure}" if known.failure else ""
        return f"is one of your own that AKOOL could not make{told}."
    return None if known.is_ready else "is one of your own that AKOOL still works on."


def own_avatar_ids(storage: Storage) -> frozenset[str]:
    """Reads which avatars ``avatars.csv`` names.

    Args:
        storage: The data root.

    Returns:
        Their ids; none while there is no such file, or a broken one.
    """
    path = storage.path(AVATARS_FILE)
    if not path.exists():
        return frozenset()
    try:
        return frozenset(avatar.avatar_id for avatar in read_avatars(path).avatars)
    except ManifestError:
        return frozenset()


# -- many rows, without the network ---------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SavedCatalogs:
    """What was saved of AKOOL's lists.

    Attributes:
        avatars: Avatar by id.
        avatars_at: When AKOOL was asked for them, None when nothing usable is saved.
        voices: Voice by each of its ids.
        voices_at: When AKOOL was asked for them, None when nothing usable is saved.
        voice_api: Which generation of AKOOL's voices they are of.
        own_avatars: Ids that ``avatars.csv`` names; they need not exist yet.
    """

    avatars: Mapping[str, KnownAvatar] = field(default_factory=dict)
    avatars_at: float | None = None
    voices: Mapping[str, KnownVoice] = field(default_factory=dict)
    voices_at: float | None = None
    voice_api: VoiceApi = "v4"
    own_avatars: frozenset[str] = frozenset()


def saved_catalogs(storage: Storage, *, service: str, voice_api: VoiceApi) -> SavedCatalogs:
    """Reads what was saved of AKOOL's lists; asks AKOOL nothing.

    Args:
        storage: The data root.
        service: Whose they must be, see ``Settings.service``.
        voice_api: Which generation of AKOOL's voices is in use.

    Returns:
        The catalogs, empty where nothing usable is saved.
    """
    avatars, avatars_at = saved_avatars(storage, service=service)
    voices, voices_at = saved_voices(storage, service=service, api=voice_api)
    return SavedCatalogs(
        avatars=avatars,
        avatars_at=avatars_at,
        voices=voices,
        voices_at=voices_at,
        voice_api=voice_api,
        own_avatars=own_avatar_ids(storage),
    )


def check_rows(rows: Iterable[ScriptRow], catalogs: SavedCatalogs) -> dict[str, list[str]]:
    """Looks the voices and avatars of many rows up in saved catalogs.

    Args:
        rows: The rows.
        catalogs: What was saved; a catalog that is not there finds nothing wrong. An id may have
            come to AKOOL since: a run asks AKOOL before it fails a row.

    Returns:
        Problems by script key, one sentence or two each; rows without any are left out.
    """

    @cache
    def avatar_problem(avatar_id: str) -> str | None:
        known = catalogs.avatars.get(avatar_id)
        if known is not None:
            told = _problem(known)
            return told and f"avatar_id {avatar_id!r} {told}"
        if avatar_id in catalogs.own_avatars:
            return f"avatar_id {avatar_id!r} stands in {AVATARS_FILE} and is not at AKOOL yet."
        return avatar_book.did_you_mean(avatar_id, catalogs.avatars)

    @cache
    def voice_problem(voice_id: str) -> str | None:
        known = catalogs.voices.get(voice_id)
        if known is None:
            return voice_book.did_you_mean(voice_id, catalogs.voices, api=catalogs.voice_api)
        return known.problem and f"voice_id {voice_id!r} {known.problem}"

    problems: dict[str, list[str]] = {}
    for row in rows:
        found = []
        if row.voice_id is not None and catalogs.voices:
            found.append(voice_problem(row.voice_id))
        if row.avatar_id is not None and catalogs.avatars:
            found.append(avatar_problem(row.avatar_id))
        told = [text for text in found if text is not None]
        if told:
            problems[row.key] = told
    return problems
