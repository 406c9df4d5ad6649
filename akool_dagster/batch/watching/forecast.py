"""Foretells when AKOOL finishes a job, and so when to ask, from this account's own history.

Two facts decide when to look. A look costs a call, and a finished video that nobody has noticed
keeps its slot idle. The pauses that make the idle time least for a given number of calls are
proportional to 1 / sqrt(hazard), where the hazard is the rate at which a job that is still
running finishes: seldom at first, often where most jobs finish, and less often for stragglers.

The distribution is taken to be log-normal, as waiting and working times mostly are, and fitted
through the quartiles of the jobs of late, so that a night without looks or a stuck job does not
spoil it. Where render times follow the length of the speech, they are compared per second of
speech, or per square root of it, whichever leaves the least spread.
"""

import math
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from statistics import NormalDist, median

from akool_dagster.ledger import Kind, Ledger, RenderTime

FINISHED_JOBS = 300
"""How many finished jobs of late a forecast rests on."""

ENOUGH_JOBS = 8
"""Finished jobs from which on there is a forecast."""

CALLS_BACK_SHARE = 0.5
"""Callbacks are relied on unless fewer of the jobs that finished last were called back about."""

_JOBS_OF_LATE = 20
_ENOUGH_CALLBACK_JOBS = 5
_EXPONENTS = (0.0, 0.5, 1.0)
_CLEARLY_LESS = 0.95  # of the spread: what is simpler wins ties

# Few jobs tell little about their spread: it counts as if so many had been seen with this one.
_USUAL_SIGMA, _USUAL_JOBS = 0.6, 6
_LEAST_SIGMA = 0.1

_WELL_KNOWN = 0.5  # of the time at which its end was noticed

_FRESH_SECONDS, _FRESH_SECONDS_AT_FIRST = 300.0, 30.0

_NORMAL = NormalDist()
_LOWEST, _HIGHEST, _STEP = -4.0, 3.0, 0.05
_GRID = [_LOWEST + _STEP * number for number in range(round((_HIGHEST - _LOWEST) / _STEP) + 1)]


@dataclass(frozen=True)
class Shape:
    """How looks are spread over a log-normal distribution, whatever its median.

    Attributes:
        sigma: Standard deviation of the logarithm of the seconds.
    """

    sigma: float

    @cached_property
    def worth(self) -> list[float]:
        """Looks, of one on average, that are due up to each point of the grid."""
        density, unit = [], 0.0
        for z in _GRID:
            left = 1.0 - _NORMAL.cdf(z)
            root = math.sqrt(self.sigma * math.exp(self.sigma * z) * _NORMAL.pdf(z) / left)
            density.append(root)
            unit += root * left
        return list(accumulate(value / unit for value in density))

    def at(self, z: float) -> float:
        """Tells how many looks, of one on average, are due up to a point.

        Args:
            z: Standard deviations from the median, in logarithms.

        Returns:
            The number.
        """
        place = (min(max(z, _LOWEST), _HIGHEST) - _LOWEST) / _STEP
        low = min(int(place), len(_GRID) - 2)
        return self.worth[low] + (place - low) * (self.worth[low + 1] - self.worth[low])

    def when(self, worth: float) -> float | None:
        """Tells up to which point so many looks are due.

        Args:
            worth: Looks, of one on average.

        Returns:
            Standard deviations from the median; None beyond what the distribution foresees.
        """
        high = bisect_left(self.worth, worth)
        if high >= len(_GRID):
            return None
        if high == 0:
            return _LOWEST
        below, above = self.worth[high - 1], self.worth[high]
        return _GRID[high - 1] + _STEP * (worth - below) / (above - below)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """When jobs of one kind finish.

    Attributes:
        exponent: Render times are proportional to the length of the speech to this power.
        mu: Mean logarithm of the seconds for one second of speech (to that power).
        shape: Their spread.
        finished: How many finished jobs it rests on.
        longest_media_seconds: The longest speech among them.
    """

    exponent: float
    mu: float
    shape: Shape
    finished: int
    longest_media_seconds: float | None

    def median(self, media_seconds: float | None) -> float:
        """Tells when half of such jobs have finished.

        Args:
            media_seconds: Length of the speech.

        Returns:
            Seconds after the acceptance.
        """
        return math.exp(self.mu) * _scale(media_seconds, self.exponent)

    def all_but(self, share: float) -> float:
        """Tells when all but a share even of the longest jobs have finished.

        Args:
            share: Between 0 and 1.

        Returns:
            Seconds after the acceptance.
        """
        z = _NORMAL.inv_cdf(1.0 - share)
        return self.median(self.longest_media_seconds) * math.exp(self.shape.sigma * z)

    def next_look(
        self, age: float, *, media_seconds: float | None, looks: float, step: float = 1.0
    ) -> float | None:
        """Tells when to look next at a job that is not finished.

        Args:
            age: Seconds since its acceptance.
            media_seconds: Length of its speech.
            looks: How often a job is to be looked at on average.
            step: The part of a usual pause to let pass.

        Returns:
            Seconds since its acceptance; None for a job that ought to have finished long ago.
        """
        median = self.median(media_seconds)
        z = math.log(max(age, 1e-9) / median) / self.shape.sigma
        if z >= _HIGHEST:
            return None
        z = self.shape.when(self.shape.at(z) + step / looks)
        return None if z is None else median * math.exp(self.shape.sigma * z)


def fit(jobs: Sequence[RenderTime]) -> Forecast | None:
    """Learns from jobs of late.

    Args:
        jobs: Finished and unfinished ones, the newest first.

    Returns:
        The forecast; None while too few have finished, or fewer than half of those that began,
        or while the ends of most of late were not seen: then looks by the forecast come too late.
    """
    late = [_is_well_known(job) for job in jobs if job.is_over][:_JOBS_OF_LATE]
    if sum(late) * 2 < len(late):
        return None
    jobs = _telling(jobs)
    finished = sum(job.is_over for job in jobs)
    if finished < ENOUGH_JOBS:
        return None
    exponents = _EXPONENTS if all(job.media_seconds for job in jobs) else _EXPONENTS[:1]
    best: Forecast | None = None
    for exponent in exponents:
        found = _fit(jobs, exponent=exponent, finished=finished)
        if found is None:
            continue
        if best is None or found.shape.sigma < _CLEARLY_LESS * best.shape.sigma:
            best = found
    return best


def _telling(jobs: Sequence[RenderTime]) -> list[RenderTime]:
    """Leaves out the finished jobs whose end nobody saw: looked at once, after a night.

    Those that were quicker than usual, at least, stay: so a forecast also learns of an AKOOL that
    has become quicker than its first looks.
    """
    seen = [job.most_seconds for job in jobs if job.is_over and _is_well_known(job)]
    usual = median(seen) if seen else 0.0
    return [
        job for job in jobs if not job.is_over or _is_well_known(job) or job.most_seconds <= usual
    ]


def _is_well_known(job: RenderTime) -> bool:
    return job.least_seconds >= _WELL_KNOWN * job.most_seconds


def _seconds(job: RenderTime) -> float:
    """The best guess at how long a job took, or how long it has taken for certain."""
    if not job.is_over:
        return job.least_seconds
    return (job.least_seconds + job.most_seconds) / 2


def _fit(jobs: Sequence[RenderTime], *, exponent: float, finished: int) -> Forecast | None:
    logs = sorted(
        (math.log(max(_seconds(job), 1e-3) / _scale(job.media_seconds, exponent)), not job.is_over)
        for job in jobs
    )
    low, middle, high = (_quantile(logs, share) for share in (0.25, 0.5, 0.75))
    if low is None or middle is None:
        return None
    quartile = _NORMAL.inv_cdf(0.75)
    sigma = (middle - low) / quartile if high is None else (high - low) / (2 * quartile)
    sigma = (sigma * finished + _USUAL_SIGMA * _USUAL_JOBS) / (finished + _USUAL_JOBS)
    shape = Shape(max(sigma, _LEAST_SIGMA))
    return Forecast(
        exponent=exponent,
        mu=middle,
        shape=shape,
        finished=finished,
        longest_media_seconds=max((job.media_seconds or 0.0 for job in jobs), default=0.0) or None,
    )


def _quantile(logs: Sequence[tuple[float, bool]], share: float) -> float | None:
    """Reads a quantile of times of which some are only known to be longer (Kaplan-Meier)."""
    left = 1.0
    for number, (value, is_unfinished) in enumerate(logs):
        if not is_unfinished:
            left *= 1.0 - 1.0 / (len(logs) - number)
        if left <= 1.0 - share + 1e-9:
            return value
    return None


def _scale(media_seconds: float | None, exponent: float) -> float:
    return (media_seconds or 1.0) ** exponent


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is expected of the jobs of one kind.

    Attributes:
        forecast: When they finish; None while too little is known.
        calls_back: Whether AKOOL's callbacks have been arriving, or none were to be expected yet.
    """

    forecast: Forecast | None
    calls_back: bool


class Outlooks:
    """The outlooks of one process, read from the ledger now and then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Kind, tuple[float, Outlook]] = {}

    def of(self, kind: Kind, *, ledger: Ledger, now: float) -> Outlook:
        """Tells what is expected of the jobs of one kind.

        Args:
            kind: Which kind.
            ledger: The ledger.
            now: The time.

        Returns:
            The outlook, at most five minutes old.
        """
        with self._lock:
            until, outlook = self._known.get(kind, (-math.inf, None))
            if outlook is None or now >= until:
                outlook = _read(ledger, kind)
                is_settled = outlook.forecast and outlook.forecast.finished >= FINISHED_JOBS / 3
                pause = _FRESH_SECONDS if is_settled else _FRESH_SECONDS_AT_FIRST
                self._known[kind] = (now + pause, outlook)
            return outlook


def _read(ledger: Ledger, kind: Kind) -> Outlook:
    jobs = ledger.render_times.latest(kind, finished=FINISHED_JOBS)
    told = [job.called_back for job in jobs if job.is_over][:_JOBS_OF_LATE]
    is_too_early = len(told) < _ENOUGH_CALLBACK_JOBS
    return Outlook(
        forecast=fit(jobs),
        calls_back=is_too_early or sum(told) >= CALLS_BACK_SHARE * len(told),
    )
