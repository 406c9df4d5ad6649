"""The states of a paid create and the moves between them.

A create costs credits, carries no key that would make a repeat harmless, and cannot be looked up
afterwards. So each try is an *attempt* with a number of its own, and an attempt only moves forward.
"""

from enum import Enum


class Kind(str, Enum):
    """What a create makes."""

    VOICE = "voice"
    VIDEO = "video"
    AVATAR = "avatar"
    CLONE = "clone"
    """A voice of the user's own, made from a sample; it speaks any number of scripts."""


class State(str, Enum):
    """Where one attempt stands."""

    PLANNED = "planned"
    """Wanted, nothing reserved: it waits for a slot, for credit or for its turn."""
    RESERVED = "reserved"
    """A slot and its credits are set aside; nothing has been sent."""
    SENDING = "sending"
    """The request may be on its way. A process that dies here leaves doubt."""
    ACCEPTED = "accepted"
    """AKOOL took it and gave an id."""
    REFUSED = "refused"
    """AKOOL answered no, or the request never left. Not charged."""
    IN_DOUBT = "in_doubt"
    """The request may have left and no usable answer came back. It may be charged."""
    COMPLETED = "completed"
    """AKOOL has finished and gave a link that dies after 7 days."""
    FAILED = "failed"
    """AKOOL accepted it and could not make it."""
    SAVED = "saved"
    """The file is on our storage, verified."""
    EXPIRED = "expired"
    """The link died before the file was saved."""
    DELETED = "deleted"
    """It was finished, and is no longer at AKOOL: only cloned voices are ever deleted."""


_MOVES: dict[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.RESERVED}),
    State.RESERVED: frozenset({State.SENDING}),
    State.SENDING: frozenset({State.ACCEPTED, State.REFUSED, State.IN_DOUBT}),
    State.IN_DOUBT: frozenset({State.ACCEPTED, State.REFUSED}),
    State.ACCEPTED: frozenset({State.COMPLETED, State.FAILED}),
    State.COMPLETED: frozenset({State.SAVED, State.EXPIRED, State.DELETED}),
    State.REFUSED: frozenset(),
    State.FAILED: frozenset(),
    State.SAVED: frozenset(),
    State.EXPIRED: frozenset(),
    State.DELETED: frozenset(),
}

AT_AKOOL = frozenset({State.SENDING, State.ACCEPTED})
"""AKOOL may be working on it: it holds one of the slots."""

CLOSED_UNPAID_OR_LOST = frozenset({State.REFUSED, State.FAILED, State.EXPIRED, State.DELETED})
"""Only these, or a person's word, let the next attempt be opened."""


def may_move(*, before: State, after: State) -> bool:
    """Tells whether an attempt may go from one state to another.

    Args:
        before: The state that the attempt is in.
        after: The state that it should get.

    Returns:
        True when the move goes forward by one of the drawn ways.
    """
    return after in _MOVES[before]
