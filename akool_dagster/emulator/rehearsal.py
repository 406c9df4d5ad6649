"""Decides how a create goes: as usual, or as its rehearsal markers say."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from akool_dagster.emulator.answers import Refusal
from akool_dagster.emulator.ids import seeded
from akool_dagster.emulator.jobs import JobKind
from akool_dagster.emulator.markers import Marker, MarkerError, Target, find_markers


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What becomes of a create that is accepted.

    Attributes:
        fails: It ends in status 4.
        error_code: Told with the failure; None when none is told.
        error_reason: Told with the failure.
        stuck: It never ends.
        extra_seconds: Virtual seconds that it takes longer.
        lost: Its answer is lost.
    """

    fails: bool = False
    error_code: int | None = None
    error_reason: str = ""
    stuck: bool = False
    extra_seconds: float = 0.0
    lost: bool = False

    def work_seconds(self, *, mean: float, sigma: float, key: tuple[object, ...]) -> float:
        """Draws how long the job takes, in virtual seconds.

        Args:
            mean: Of the log-normal distribution.
            sigma: Of the log-normal distribution.
            key: Decides the draw.
        """
        if self.stuck:
            return math.inf
        if mean <= 0:
            return self.extra_seconds
        drawn = seeded(*key).lognormvariate(math.log(mean) - sigma**2 / 2, sigma)
        return drawn + self.extra_seconds


class Rehearsals:
    """Applies markers, and counts those that hold for the first few creates only."""

    def __init__(self) -> None:
        self._used: Counter[tuple[str, str]] = Counter()

    def plan(self, targets: set[Target], texts: Iterable[str]) -> Plan:
        """What the markers in a create's texts make of it.

        Args:
            targets: The kinds of marker that count for this create.
            texts: Its script, avatar ids and links.

        Raises:
            Refusal: As a marker says, or with 1003 for a marker that cannot be read.
        """
        texts = [text for text in texts if text]
        try:
            markers = [marker for marker in find_markers(texts) if marker.target in targets]
        except MarkerError as error:
            raise Refusal(1003, str(error)) from error
        active = [marker for marker in markers if self._holds(marker, "\n".join(texts))]
        for marker in active:
            if marker.refuse_code:
                raise Refusal(marker.refuse_code)
        failing = next((marker for marker in active if marker.fails), None)
        return Plan(
            fails=failing is not None,
            error_code=failing.code if failing else None,
            error_reason=failing.reason if failing else "",
            stuck=any(marker.stuck for marker in active),
            extra_seconds=sum(marker.extra_seconds for marker in active),
            lost=any(marker.lost for marker in active),
        )

    def _holds(self, marker: Marker, context: str) -> bool:
        if not marker.first:
            return True
        key = (marker.text, context)
        self._used[key] += 1
        return self._used[key] <= marker.first


def targets_of(kind: JobKind, *, speaks: bool = False) -> set[Target]:
    """The kinds of marker that count for a create.

    Args:
        kind: Of the job.
        speaks: Whether a video makes its own speech from text, so that ``voice`` counts too.
    """
    return {kind, "voice"} if speaks else {kind}
