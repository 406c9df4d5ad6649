"""The stage ``custom_avatars``: an avatar of the user's own is uploaded, once.

AKOOL knows an avatar by the id that the user chose, and keeps that id for ever (docs: avatar page,
no delete is documented). So an upload, unlike any other create, can be looked up afterwards: an id
that is taken (code 1222) and an answer that was lost both end with a look into the user's list.
"""

import heapq
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from akool_dagster.akool import (
    AccountStopped,
    AkoolError,
    AlreadyExists,
    Avatar,
    AvatarKind,
    AvatarSource,
    AvatarUpload,
    ItemRefused,
    Status,
)
from akool_dagster.batch import wording
from akool_dagster.batch.catalogs.avatar_book import TAKEN_OVER
from akool_dagster.batch.creating import Accepted, Wish, create, reopen_account
from akool_dagster.batch.outcomes import Later, NotRequested, Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.tools import Tools
from akool_dagster.ledger import Attempt, Delivery, Kind, Ledger, State
from akool_dagster.manifest.avatars_file import OwnAvatar

logger = logging.getLogger(__name__)

_STAGE = Stage.AVATAR

EXISTS = 1222
"""AKOOL's code for an ``avatar_id`` that is taken (docs: error-code page)."""

UPLOAD_LIMIT = 1223
"""AKOOL's code for too many avatars (docs: error-code page): it stops uploads, not videos."""

DOUBT_LOOKS_SECONDS = 3600.0
"""How long after a lost answer the sensor looks for the avatar in AKOOL's list by itself."""

_AT_AKOOL = frozenset({State.SENDING, State.ACCEPTED, State.COMPLETED, State.IN_DOUBT})

_TAKEN_ADVICE = (
    "The avatar that has this id is not one of yours that could be used: choose another avatar_id, "
    "in avatars.csv and in the manifests."
)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """An avatar that AKOOL had before, in the place of one that it accepts now."""

    id: str
    raw: Mapping[str, Any]


def upload_avatars(
    tools: Tools, avatars: Iterable[OwnAvatar], *, run_id: str, may_send: bool = True
) -> Iterator[Outcome]:
    """Uploads avatars, one after the other; each is one short request.

    Args:
        tools: What the batch works with.
        avatars: Those that are wanted.
        run_id: The Dagster run that asks.
        may_send: False only to tell where they stand.

    Yields:
        One outcome per avatar. AKOOL goes on working when it is accepted.
    """
    began_at = tools.clock()
    if may_send:
        # A person who has topped up must not wait for the next probe.
        reopen_account(tools)
    order = itertools.count()
    due = [(began_at, next(order), avatar) for avatar in avatars]
    while due:
        at, _, avatar = heapq.heappop(due)
        tools.sleep(max(0.0, at - tools.clock()))
        step = _step(tools, avatar, run_id=run_id, run_began_at=began_at, may_send=may_send)
        if isinstance(step, Later):
            heapq.heappush(due, (step.at, next(order), avatar))
        else:
            yield step


def _step(
    tools: Tools, avatar: OwnAvatar, *, run_id: str, run_began_at: float, may_send: bool
) -> Outcome | Later:
    try:
        return avatar_stage(
            tools, avatar, run_id=run_id, run_began_at=run_began_at, may_send=may_send
        )
    except Exception as error:
        logger.exception("%s of %s", _STAGE.value, avatar.avatar_id)
        return _trouble(
            avatar,
            Trouble.LATER,
            f"{type(error).__name__}: {error}",
            advice="Materialize it again: what was sent is known and not sent twice.",
        )


def avatar_stage(
    tools: Tools, avatar: OwnAvatar, *, run_id: str, run_began_at: float, may_send: bool = True
) -> Outcome | Later:
    """Carries an avatar's upload one step on.

    Args:
        tools: What the batch works with.
        avatar: The avatar.
        run_id: The Dagster run that asks.
        run_began_at: When it began.
        may_send: False only to tell where it stands.

    Returns:
        The outcome once AKOOL has accepted or refused the upload, else when to go on.
    """
    clash = earlier_upload(tools.ledger, avatar)
    if clash is not None:
        return clashing(avatar, clash)
    delivery = tools.ledger.deliveries.ask(
        script_key=avatar.avatar_id, kind=Kind.AVATAR, content_hash=avatar.content_hash
    )
    known = tools.ledger.attempts.latest(kind=Kind.AVATAR, content_hash=avatar.content_hash)
    if known is not None and known.state is State.IN_DOUBT and known.pay_again_at is None:
        known = find_doubtful(tools, {avatar.avatar_id: known}).get(avatar.avatar_id, known)
    step = create(tools, _wish(tools, avatar, run_id, run_began_at)) if may_send else known
    if isinstance(step, Later):
        return step
    if isinstance(step, NotRequested):
        return wording.not_requested(step, key=avatar.avatar_id, stage=_STAGE)
    if step is None:
        return _trouble(
            avatar,
            Trouble.LATER,
            "This avatar was not uploaded yet. Nothing was sent.",
            advice="Materialize custom_avatars for it.",
        )
    return _told(tools, avatar, delivery, step)


def ready(tools: Tools, delivery: Delivery, attempt: Attempt) -> Outcome:
    """Says that an avatar can be used, and notes that Dagster shows it.

    Args:
        tools: What the batch works with.
        delivery: The avatar's line.
        attempt: Its completed upload.

    Returns:
        The outcome.
    """
    tools.ledger.deliveries.served(delivery.id, attempt_id=attempt.id)
    return Outcome(
        key=delivery.script_key,
        stage=_STAGE,
        text="The avatar is ready: manifests may name it.",
        facts=wording.attempt_facts(attempt),
    )


def newest_upload(tools: Tools, avatar_id: str) -> Attempt | None:
    """Finds what the ledger knows of an own avatar.

    Args:
        tools: What the batch works with.
        avatar_id: Its id.

    Returns:
        The newest attempt to upload it, None when this ledger never had it uploaded.
    """
    uploads = _uploads(tools.ledger, avatar_id)
    return max(uploads.values(), key=lambda attempt: attempt.id, default=None)


def settle_avatar_doubts(tools: Tools) -> int:
    """Looks for avatars whose answer was lost lately; one reading of AKOOL's list serves all.

    Args:
        tools: What the batch works with.

    Returns:
        How many were found and so are accepted.
    """
    since = tools.clock() - DOUBT_LOOKS_SECONDS
    doubts = {
        row.script_key: attempt
        for attempt in tools.ledger.attempts.in_states(kind=Kind.AVATAR, states=[State.IN_DOUBT])
        if attempt.pay_again_at is None and (attempt.sending_at or 0.0) >= since
        for row in tools.ledger.deliveries.of_content(
            kind=Kind.AVATAR, content_hash=attempt.content_hash
        )
    }
    return len(find_doubtful(tools, doubts)) if doubts else 0


def find_doubtful(tools: Tools, doubts: Mapping[str, Attempt]) -> dict[str, Attempt]:
    """Looks for uploads whose answer was lost in AKOOL's list of the user's avatars.

    That an upload is not listed proves nothing: it stays in doubt.

    Args:
        tools: What the batch works with.
        doubts: Attempt in doubt by ``avatar_id``.

    Returns:
        Accepted attempt by ``avatar_id``, of those that AKOOL lists.
    """
    try:
        listed = _own_avatars(tools)
    except AkoolError as error:
        logger.warning("The list of own avatars could not be read: %s", error)
        return {}
    found: dict[str, Attempt] = {}
    for avatar_id, attempt in doubts.items():
        avatar = listed.get(avatar_id)
        if avatar is not None and _is_free(tools, avatar.id):
            found[avatar_id] = tools.ledger.attempts.accept(
                attempt.id,
                remote_id=avatar.id,
                next_look_at=tools.clock(),
                answer=avatar.raw,
                detail=f"AKOOL id {avatar.id}, found in AKOOL's list by its avatar_id",
            )
    return found


def earlier_upload(ledger: Ledger, avatar: OwnAvatar) -> Attempt | None:
    """Finds an upload of the same id from something else, which AKOOL has or may have.

    Args:
        ledger: The ledger.
        avatar: The avatar as its file has it now.

    Returns:
        The attempt, None when AKOOL can take the avatar as it is.
    """
    return next(
        (
            attempt
            for content, attempt in _uploads(ledger, avatar.avatar_id).items()
            if content != avatar.content_hash
            and attempt.state in _AT_AKOOL
            and attempt.pay_again_at is None
        ),
        None,
    )


def clashing(avatar: OwnAvatar, earlier: Attempt) -> Outcome:
    """Says that AKOOL has an avatar from something else, and what to do.

    Args:
        avatar: The avatar as its file has it now.
        earlier: The upload that AKOOL has.

    Returns:
        The outcome.
    """
    return _trouble(
        avatar,
        Trouble.ROW,
        f"AKOOL has the avatar {avatar.avatar_id} from another link or of another type, uploaded "
        f"{wording.when(earlier.sending_at)}, and cannot replace it. Nothing was sent.",
        advice=(
            "Give the new video an avatar_id of its own, in avatars.csv and in the manifests, or "
            "put the former link, type and url_from back."
        ),
        facts=wording.attempt_facts(earlier),
    )


def not_made(avatar_id: str, attempt: Attempt) -> Outcome:
    """Explains an upload that came to nothing, or is in doubt.

    Args:
        avatar_id: The avatar.
        attempt: Its refused, failed or doubtful upload.

    Returns:
        The outcome.
    """
    outcome = wording.from_attempt(attempt, key=avatar_id, stage=_STAGE)
    if attempt.state is State.REFUSED and attempt.code == EXISTS:
        return replace(outcome, advice=_TAKEN_ADVICE)
    return outcome


def _uploads(ledger: Ledger, avatar_id: str) -> dict[str, Attempt]:
    """The newest attempt for each content that an avatar ever had, by content hash."""
    rows = ledger.deliveries.of_key(kind=Kind.AVATAR, script_key=avatar_id)
    return ledger.attempts.latest_of(
        kind=Kind.AVATAR, content_hashes=[row.content_hash for row in rows]
    )


def _wish(tools: Tools, avatar: OwnAvatar, run_id: str, run_began_at: float) -> Wish:
    def send(_webhook_url: str | None) -> Accepted:
        # The page documents no callback address for an upload.
        try:
            return tools.client.create_avatar(
                AvatarUpload(
                    url=avatar.url,
                    avatar_id=avatar.avatar_id,
                    name=avatar.name,
                    kind=AvatarKind.STREAMING if avatar.is_streaming else AvatarKind.TALKING,
                    is_platform_link=avatar.is_platform_link,
                )
            )
        except AlreadyExists:
            found = _existing(tools, avatar)
            if found is None:
                raise
            return found
        except AccountStopped as error:
            if error.code == UPLOAD_LIMIT:
                raise _item_refused(error) from error
            raise

    return Wish(
        kind=Kind.AVATAR,
        content_hash=avatar.content_hash,
        script_key=avatar.avatar_id,
        run_id=run_id,
        run_began_at=run_began_at,
        api="v3",
        price=tools.prices.uploaded_avatar(),
        media_seconds=None,
        send=send,
    )


def _existing(tools: Tools, avatar: OwnAvatar) -> _Found | None:
    """Looks up an id that is taken; None when it is not there, failed, or cannot be looked up."""
    try:
        listed = _own_avatars(tools).get(avatar.avatar_id)
        if listed is None or not _is_free(tools, listed.id):
            return None
        seen = tools.client.avatar_detail(listed.id)
    except AkoolError as error:
        logger.warning("Avatar %s could not be looked up: %s", avatar.avatar_id, error)
        return None
    if seen.status is Status.FAILED:
        return None
    return _Found(id=listed.id, raw={**seen.raw, TAKEN_OVER: True})


def _own_avatars(tools: Tools) -> dict[str, Avatar]:
    listed = tools.client.list_avatars(source=AvatarSource.OWN, kind=None)
    return {avatar.avatar_id: avatar for avatar in listed if avatar.id}


def _is_free(tools: Tools, record_id: str) -> bool:
    """Whether no attempt has this id of AKOOL's; one that failed keeps its own."""
    attempts = tools.ledger.attempts.in_states(kind=Kind.AVATAR, states=State)
    return all(attempt.remote_id != record_id for attempt in attempts)


def _item_refused(error: AccountStopped) -> ItemRefused:
    return ItemRefused(
        error.message,
        endpoint=error.endpoint,
        http_status=error.http_status,
        code=error.code,
        msg=error.msg,
        advice=error.advice,
    )


def _told(tools: Tools, avatar: OwnAvatar, delivery: Delivery, attempt: Attempt) -> Outcome:
    """Says where an upload stands, and notes that Dagster shows it."""
    if attempt.state is State.COMPLETED:
        return ready(tools, delivery, attempt)
    if attempt.state is State.ACCEPTED:
        text = "AKOOL accepted the upload and works on it; video_info_sensor tells when it is ready"
        if (attempt.answer or {}).get(TAKEN_OVER):
            text = "AKOOL had this avatar before; it is taken over, and nothing was uploaded"
        facts = {"name": avatar.name, "source": avatar.url, **wording.attempt_facts(attempt)}
        return Outcome(key=avatar.avatar_id, stage=_STAGE, text=f"{text}.", facts=facts)
    if attempt.state is State.FAILED:
        tools.ledger.deliveries.failure_shown(delivery.id, attempt_id=attempt.id)
    return not_made(avatar.avatar_id, attempt)


def _trouble(
    avatar: OwnAvatar,
    kind: Trouble,
    text: str,
    *,
    advice: str,
    facts: Mapping[str, Any] | None = None,
) -> Outcome:
    return wording.trouble(
        kind, text, key=avatar.avatar_id, stage=_STAGE, advice=advice, facts=facts or {}
    )
