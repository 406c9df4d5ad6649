"""What the ledger hands out: frozen pictures of its lines."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar

from akool_dagster.ledger.states import CLOSED_UNPAID_OR_LOST, Kind, State

_KINDS = {kind.value: kind for kind in Kind}
_STATES = {state.value: state for state in State}
_Record = TypeVar("_Record")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One numbered try to have AKOOL make one content.

    Times are seconds since 1970 UTC, money is credits.

    Attributes:
        id: Number of the line in the ledger.
        kind: What is made.
        content_hash: Hash of the content that is made; rows with the same content share it.
        number: 1 for the first try of this content, and so on.
        state: Where the attempt stands.
        api: Which of AKOOL's interfaces it was sent to, for example ``v4``.
        webhook_token: Unguessable name of this attempt in its callback address.
        remote_id: AKOOL's ``_id``.
        url: AKOOL's link to the finished file.
        url_expires_at: When that link dies.
        code: AKOOL's response code, or the error code of a failed job.
        reason: AKOOL's words, or ours where AKOOL gave none.
        advice: What a person can do.
        try_again: Whether AKOOL's answer was worded "try again later" or the request never left.
        reserved_credits: Set aside before the create.
        spent_credits: What AKOOL says it took.
        media_seconds: Length of the speech or the video.
        planned_at: When the attempt was opened.
        reserved_at: When credits and slot were set aside.
        sending_at: When the request was about to leave.
        sender: Which process sent it.
        answered_at: When AKOOL's answer to the create was written down.
        settled_at: When the job ended.
        looks: How often its status was asked for.
        next_look_at: When to ask next.
        unfinished_at: When AKOOL was last asked and had not finished, for all that is known.
        answer: The last ``data`` that AKOOL gave.
        pay_again_at: When a person allowed the next attempt at the risk of a second charge.
        pay_again_by: Who allowed it.
    """

    id: int
    kind: Kind
    content_hash: str
    number: int
    state: State
    api: str
    webhook_token: str
    remote_id: str | None
    url: str | None
    url_expires_at: float | None
    code: int | None
    reason: str | None
    advice: str | None
    try_again: bool
    reserved_credits: float | None
    spent_credits: float | None
    media_seconds: float | None
    planned_at: float
    reserved_at: float | None
    sending_at: float | None
    sender: str | None
    answered_at: float | None
    settled_at: float | None
    looks: int
    next_look_at: float | None
    unfinished_at: float | None
    answer: Mapping[str, Any] | None
    pay_again_at: float | None
    pay_again_by: str | None

    @classmethod
    def from_row(cls, row: Any) -> "Attempt":
        """Reads a line of the table ``akool_attempts``.

        Args:
            row: SQLAlchemy row with a value for each column.

        Returns:
            The attempt.
        """
        values = _values(row)
        values["state"] = _STATES[values["state"]]
        return _filled(cls, values)

    @property
    def may_be_followed(self) -> bool:
        """Whether the next attempt for the same content may be opened."""
        return self.state in CLOSED_UNPAID_OR_LOST or self.pay_again_at is not None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One script row's own copy of a voice or a video: the file on our storage.

    Attributes:
        id: Number of the line in the ledger.
        script_key: Partition key of the row, ``<manifest>.<script_id>``.
        kind: Voice or video.
        content_hash: Which content the row wants; ties it to the attempts for that content.
        asked_at: When the row first asked for it.
        attempt_id: The attempt that the file came from, None for a link that the row gave.
        path: Where the file is, relative to the data root.
        sha256: Hash of the file.
        size_bytes: Its size.
        media_seconds: Its length.
        saved_at: When it was installed; None while it is not there.
        tries: How often saving it was tried in vain.
        next_try_at: Not to be tried by a sensor before this time.
        problem: Why the last try to save failed.
        failure_shown_for: The failed attempt whose failure Dagster already shows.
    """

    id: int
    script_key: str
    kind: Kind
    content_hash: str
    asked_at: float
    attempt_id: int | None
    path: str | None
    sha256: str | None
    size_bytes: int | None
    media_seconds: float | None
    saved_at: float | None
    tries: int
    next_try_at: float
    problem: str | None
    failure_shown_for: int | None

    @classmethod
    def from_row(cls, row: Any) -> "Delivery":
        """Reads a line of the table ``akool_deliveries``.

        Args:
            row: SQLAlchemy row with a value for each column.

        Returns:
            The delivery.
        """
        return _filled(cls, _values(row))


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of an attempt's history.

    Attributes:
        at: When it happened.
        before: State before, None for the opening line.
        after: State after.
        actor: The process or person that did it.
        detail: What was learned.
    """

    at: float
    before: State | None
    after: State
    actor: str
    detail: str | None


@dataclass(frozen=True, kw_only=True)
class AccountStop:
    """AKOOL refuses this account: nothing is sent until a balance call succeeds.

    Attributes:
        id: Number of the line in the ledger.
        stopped_at: When AKOOL first said so.
        code: AKOOL's code.
        reason: AKOOL's words.
        advice: What a person must do.
        next_probe_at: When the balance may be asked for next.
    """

    id: int
    stopped_at: float
    code: int | None
    reason: str
    advice: str | None
    next_probe_at: float


def _values(row: Any) -> dict[str, Any]:
    """The values of a line by column; a look-up of each by its name takes five times as long."""
    values = dict(zip(row._fields, row, strict=True))
    values["kind"] = _KINDS[values["kind"]]
    return values


def _filled(cls: type[_Record], values: Mapping[str, Any]) -> _Record:
    """Makes a record of the columns that it has fields for."""
    return cls(**{name: values[name] for name in _names(cls)})


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))
