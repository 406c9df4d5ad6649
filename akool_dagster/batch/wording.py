"""Turns the ledger's lines into outcomes that a person can act on at 7 a.m."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from akool_dagster.batch.outcomes import NotRequested, Outcome, Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.ledger import Attempt, Delivery, Kind, State

_DOUBT_ADVICE = (
    "Nothing is sent again by itself. Look the {kind} up on AKOOL's site, then say "
    "`akool-dagster resolve {key}{option}` with `--{kind}-id ID`, `--not-created` or `--pay-again`."
)

_SHARED_CLONE = (
    " Its name there is '{name}'; `akool-dagster voices` looks for it. One word settles it for "
    "every row with this sample."
)
_OPTIONS = {Kind.VOICE: " --voice", Kind.CLONE: " --clone", Kind.AVATAR: " --avatar"}
_WORDS = {Kind.CLONE: "clone of this row's voice sample", Kind.AVATAR: "upload of this avatar"}
_VERBS = {
    State.REFUSED: "was refused",
    State.FAILED: "failed",
    State.DELETED: "was deleted meanwhile",
}


def clone_name(sha256: str) -> str:
    """Names the clone of a voice sample so that a person finds it on AKOOL's site.

    Args:
        sha256: Hash of the sample.

    Returns:
        The name, the same for every clone of one sample.
    """
    return f"akool-dagster {sha256[:12]}"


def when(seconds: float | None) -> str | None:
    """Writes a time as ISO 8601 in UTC.

    Args:
        seconds: Seconds since 1970 UTC.

    Returns:
        The text, None for None.
    """
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat(timespec="seconds")


def attempt_facts(attempt: Attempt) -> dict[str, Any]:
    """Collects what is known of an attempt.

    Args:
        attempt: The attempt.

    Returns:
        Ids, state, link, times and credits by name; unknown ones are left out.
    """
    facts = {
        "akool_id": attempt.remote_id,
        "state": attempt.state.value,
        "attempt": attempt.number,
        "akool_code": attempt.code,
        "akool_link": attempt.url,
        "link_expires": when(attempt.url_expires_at),
        "sent": when(attempt.sending_at),
        "accepted": when(attempt.answered_at) if attempt.remote_id else None,
        "credits_reserved": attempt.reserved_credits,
        "credits_spent": attempt.spent_credits,
        "status_calls": attempt.looks,
    }
    return {name: value for name, value in facts.items() if value is not None}


def file_facts(delivery: Delivery) -> dict[str, Any]:
    """Collects what is known of a saved file.

    Args:
        delivery: The row's line.

    Returns:
        Path, size, hash and length by name.
    """
    return {
        "path": delivery.path,
        "size_bytes": delivery.size_bytes,
        "sha256": delivery.sha256,
        "duration_seconds": round(delivery.media_seconds or 0.0, 3),
        "saved": when(delivery.saved_at),
    }


def cost(attempt: Attempt) -> str:
    """Says what an attempt cost.

    Args:
        attempt: The attempt.

    Returns:
        One sentence.
    """
    if attempt.state is State.REFUSED:
        return "Not charged."
    if attempt.spent_credits is not None:
        return f"AKOOL reports {attempt.spent_credits:g} credits."
    reserved = attempt.reserved_credits or 0.0
    return f"Up to {reserved:g} credits may have been charged; AKOOL reports no amount."


def from_attempt(attempt: Attempt, *, key: str, stage: Stage) -> Outcome:
    """Explains an attempt that ended without its file, or is in doubt.

    Args:
        attempt: A refused, failed, expired or doubtful attempt.
        key: The row.
        stage: The stage that cannot go on.

    Returns:
        The outcome.
    """
    kind = attempt.kind.value
    what = _WORDS.get(attempt.kind, kind)
    shared = _SHARED_CLONE.format(name=clone_name(attempt.content_hash))
    if attempt.state is State.IN_DOUBT:
        return Outcome(
            key=key,
            stage=stage,
            trouble=Trouble.DOUBT,
            text=f"It is not known whether AKOOL accepted the {what}: {attempt.reason}",
            cost=cost(attempt),
            advice=_DOUBT_ADVICE.format(kind=kind, key=key, option=_OPTIONS.get(attempt.kind, ""))
            + (shared if attempt.kind is Kind.CLONE else ""),
            facts=attempt_facts(attempt),
        )
    verb = _VERBS.get(attempt.state, "expired")
    return Outcome(
        key=key,
        stage=stage,
        trouble=Trouble.LATER if attempt.try_again else Trouble.ROW,
        text=f"The {what} {verb}: {attempt.reason}",
        cost=cost(attempt),
        advice=(attempt.advice or "").replace(" KEY ", f" {key} "),
        code=attempt.code,
        facts=attempt_facts(attempt),
    )


def not_requested(block: NotRequested, *, key: str, stage: Stage) -> Outcome:
    """Explains why a row was not sent, through no fault of its own.

    Args:
        block: What stands in the way.
        key: The row.
        stage: The stage that cannot go on.

    Returns:
        The outcome.
    """
    return Outcome(
        key=key,
        stage=stage,
        trouble=Trouble.ACCOUNT,
        text=f"Not requested. {block.reason}",
        cost="Nothing was sent for this row.",
        advice=block.advice,
        code=block.code,
        facts={"state": State.PLANNED.value},
    )


def trouble(
    kind: Trouble, text: str, *, key: str, stage: Stage, advice: str, facts: Mapping[str, Any]
) -> Outcome:
    """Builds an outcome for a row that cannot pass a stage.

    Args:
        kind: What sort of trouble.
        text: What happened.
        key: The row.
        stage: The stage.
        advice: What to do.
        facts: What is known.

    Returns:
        The outcome.
    """
    return Outcome(key=key, stage=stage, trouble=kind, text=text, advice=advice, facts=facts)
