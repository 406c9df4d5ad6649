"""When to ask AKOOL for the status of a job: soon at first, then less and less often."""

from akool_dagster.batch.tools import Tools
from akool_dagster.ledger import Attempt, Kind

_LONGEST_PAUSE_SECONDS = 60.0
_GROWTH = 1.3
_VOICES_ARE_QUICKER = 3.0  # docs' samples: speech in seconds, videos in minutes
_SPREAD = 0.1


def first_look(tools: Tools, *, kind: Kind) -> float:
    """Tells when to look first.

    Args:
        tools: What the batch works with.
        kind: What is made.

    Returns:
        The time.
    """
    return tools.clock() + _spread(tools, _first_pause(tools, kind))


def next_look(tools: Tools, attempt: Attempt) -> float:
    """Tells when to look after the look that is due now.

    Args:
        tools: What the batch works with.
        attempt: The attempt that is looked at.

    Returns:
        The time.
    """
    first = _first_pause(tools, attempt.kind)
    pause = min(max(first, _LONGEST_PAUSE_SECONDS), first * _GROWTH ** (attempt.looks + 1))
    return tools.clock() + _spread(tools, pause)


def _first_pause(tools: Tools, kind: Kind) -> float:
    seconds = tools.rules.poll_seconds
    return seconds / _VOICES_ARE_QUICKER if kind is Kind.VOICE else seconds


def _spread(tools: Tools, seconds: float) -> float:
    return seconds * tools.randomness.uniform(1 - _SPREAD, 1 + _SPREAD)
