"""When to ask AKOOL for the status of a job.

Once this account has a history, the looks follow its forecast (see ``forecast``). Until then
AKOOL_POLL_SECONDS decides: soon at first, then less and less often. With callbacks that arrive, a
look is only needed where one got lost.
"""

from dataclasses import replace

from akool_dagster.batch.tools import Tools
from akool_dagster.batch.watching.forecast import Outlook
from akool_dagster.ledger import Attempt, Kind, Limits

LOOKS = {Kind.VIDEO: 7.1}
"""How often a job is looked at on average before the look that finds it finished, or nearly so."""

_LOOKS_OF_OTHERS = 4.0
"""Other kinds hold no slot: that they are noticed a little later costs less."""

LOOKS_WITH_CALLBACKS = 1.0
"""Further looks at a job whose callback will tell."""

_LONGEST_PAUSE_SECONDS = 60.0
_GROWTH = 1.3
_OTHERS_ARE_QUICKER = 3.0  # docs' samples: speech in seconds, videos in minutes
_SPREAD = 0.1
_AVATARS_ARE_SLOWER = 3.0
_LONGEST_AVATAR_PAUSE_SECONDS = 300.0
_LEAST_PAUSE = 0.1  # of AKOOL_POLL_SECONDS
_PAUSES_WITH_CALLBACKS = 12.0  # of AKOOL_POLL_SECONDS, while there is no forecast
_OVERDUE_PAUSE = 0.1  # of the age of a job that ought to have finished long ago
_LONGEST_FORESEEN_PAUSE_SECONDS = 1800.0

_HARDLY_ANY = 0.005
_LEAST_DOUBT_SECONDS = 60.0


def first_look(tools: Tools, attempt: Attempt) -> float:
    """Tells when to look first at a job that AKOOL accepts now.

    Args:
        tools: What the batch works with.
        attempt: The attempt, not yet accepted in the ledger.

    Returns:
        The time.
    """
    return tools.clock() + _pause(tools, attempt, age=0.0, looks=0)


def next_look(tools: Tools, attempt: Attempt) -> float:
    """Tells when to look after the look that is due now.

    Args:
        tools: What the batch works with.
        attempt: The attempt that is looked at.

    Returns:
        The time.
    """
    age = max(0.0, tools.clock() - (attempt.answered_at or tools.clock()))
    return tools.clock() + _pause(tools, attempt, age=age, looks=attempt.looks + 1)


def limits_now(tools: Tools) -> Limits:
    """Tells what a reservation must respect at present.

    A create in doubt holds its slot for as long as its render may take, were it one.

    Args:
        tools: What the batch works with.

    Returns:
        The deployment's limits, and how long a doubt holds its slot.
    """
    limits = tools.rules.limits
    forecast = _outlook(tools, Kind.VIDEO).forecast
    if forecast is None:
        return limits
    longest = max(_LEAST_DOUBT_SECONDS, forecast.all_but(_HARDLY_ANY))
    return replace(limits, doubt_seconds=min(limits.doubt_seconds, longest))


def _pause(tools: Tools, attempt: Attempt, *, age: float, looks: int) -> float:
    if attempt.kind is Kind.AVATAR:
        return _pause_for_avatar(tools, looks=looks)
    outlook = _outlook(tools, attempt.kind)
    will_tell = tools.rules.webhook_url is not None and outlook.calls_back
    spread = tools.randomness.uniform(1 - _SPREAD, 1 + _SPREAD)
    if outlook.forecast is None:
        return spread * _pause_without_history(tools, attempt.kind, looks=looks, wait=will_tell)
    due = outlook.forecast.next_look(
        age,
        media_seconds=attempt.media_seconds,
        looks=LOOKS_WITH_CALLBACKS if will_tell else LOOKS.get(attempt.kind, _LOOKS_OF_OTHERS),
        step=spread,
    )
    if due is None:
        return spread * min(_LONGEST_PAUSE_SECONDS, max(_least(tools), age * _OVERDUE_PAUSE))
    return min(max(due - age, _least(tools)), _LONGEST_FORESEEN_PAUSE_SECONDS)


def _pause_for_avatar(tools: Tools, *, looks: int) -> float:
    """Avatars are few, hold no slot, call nobody back, and take AKOOL long."""
    first = tools.rules.poll_seconds * _AVATARS_ARE_SLOWER
    spread = tools.randomness.uniform(1 - _SPREAD, 1 + _SPREAD)
    return spread * min(max(first, _LONGEST_AVATAR_PAUSE_SECONDS), first * _GROWTH**looks)


def _pause_without_history(tools: Tools, kind: Kind, *, looks: int, wait: bool) -> float:
    first = tools.rules.poll_seconds
    if kind is not Kind.VIDEO:
        first /= _OTHERS_ARE_QUICKER
    if wait and not looks:
        return first * _PAUSES_WITH_CALLBACKS
    return min(max(first, _LONGEST_PAUSE_SECONDS), first * _GROWTH**looks)


def _least(tools: Tools) -> float:
    return tools.rules.poll_seconds * _LEAST_PAUSE


def _outlook(tools: Tools, kind: Kind) -> Outlook:
    return tools.outlooks.of(kind, ledger=tools.ledger, now=tools.clock())
