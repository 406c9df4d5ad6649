import math
import random
from collections.abc import Sequence
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akool_dagster.batch.watching.forecast import Forecast, Shape, fit
from akool_dagster.ledger import RenderTime


def finished(seconds: float, media: float | None = 40.0, *, seen: float = 0.9) -> RenderTime:
    return RenderTime(
        least_seconds=seen * seconds, most_seconds=seconds, media_seconds=media, called_back=False
    )


def unfinished(age: float, media: float | None = 40.0) -> RenderTime:
    return RenderTime(
        least_seconds=age, most_seconds=math.inf, media_seconds=media, called_back=False
    )


def drawn(count: int, *, median: float, sigma: float, seed: int = 1) -> list[float]:
    dice = random.Random(seed)
    return [median * math.exp(sigma * dice.gauss(0, 1)) for _ in range(count)]


def known(jobs: Sequence[RenderTime]) -> Forecast:
    forecast = fit(jobs)
    assert forecast is not None
    return forecast


def test_the_fit_finds_median_and_spread() -> None:
    jobs = [finished(seconds, seen=1.0) for seconds in drawn(300, median=160, sigma=0.5)]
    forecast = known(jobs)
    assert forecast.median(40.0) == pytest.approx(160, rel=0.1)
    assert forecast.shape.sigma == pytest.approx(0.5, abs=0.08)
    assert forecast.exponent == 0.0


def test_times_that_follow_the_speech_are_foretold_by_it() -> None:
    dice = random.Random(3)
    speeches = [40 * math.exp(0.6 * dice.gauss(0, 1)) for _ in range(300)]
    noise = drawn(300, median=4.0, sigma=0.2)
    jobs = [finished(s * n, s, seen=1.0) for s, n in zip(speeches, noise, strict=True)]
    forecast = known(jobs)
    assert forecast.exponent == 1.0
    assert forecast.median(10.0) == pytest.approx(40, rel=0.1)
    assert forecast.median(100.0) == pytest.approx(400, rel=0.1)


def test_jobs_under_way_keep_the_quick_ones_from_passing_for_all() -> None:
    times = sorted(drawn(100, median=160, sigma=0.5))
    quick = [finished(seconds, seen=1.0) for seconds in times[:60]]
    still = [unfinished(times[60])] * 40
    assert known(quick).median(40.0) < 140
    assert known([*still, *quick]).median(40.0) == pytest.approx(160, rel=0.1)
    assert fit([*still, *still, *quick]) is None  # fewer than half have finished


def test_a_night_without_looks_does_not_pass_for_slow_renders() -> None:
    jobs = [finished(seconds) for seconds in drawn(100, median=160, sigma=0.5)]
    night = [finished(36_000.0, seen=0.001)] * 5
    assert known([*jobs[:20], *night, *jobs[20:]]).median(40.0) == pytest.approx(
        known(jobs).median(40.0), rel=0.02
    )
    # When most ends of late were not seen, looks go back to their plain rhythm, which sees them.
    assert fit([*night * 3, *jobs]) is None


def test_an_akool_that_became_much_quicker_is_noticed() -> None:
    before = [finished(seconds) for seconds in drawn(40, median=160, sigma=0.3)]
    now = [finished(80.0, seen=0.0)] * 9  # all found finished by their first look
    first, earlier = (
        known(jobs).next_look(0.0, media_seconds=40.0, looks=7.0)
        for jobs in (before, [*now, *before])
    )
    assert first is not None
    assert earlier is not None
    assert earlier < 0.9 * first


def test_looks_cost_what_was_asked_for_and_thicken_where_jobs_finish() -> None:
    forecast = known([finished(s, seen=1.0) for s in drawn(300, median=160, sigma=0.5)])
    looks, delays = [], []
    for end in drawn(2000, median=160, sigma=0.5, seed=2):
        age, count = 0.0, 0
        while age < end:
            due = forecast.next_look(age, media_seconds=40.0, looks=7.0)
            age = age + 60.0 if due is None else due
            count += 1
        looks.append(count)
        delays.append(age - end)
    assert mean(looks) == pytest.approx(7.0, abs=0.5)
    assert mean(delays) < 10.0  # a fixed pause needs 160 / 7.5 = 24 s: 12 s on average

    first = forecast.next_look(0.0, media_seconds=40.0, looks=7.0)
    assert first is not None
    assert 50 < first < 120
    early = (forecast.next_look(60.0, media_seconds=40.0, looks=7.0) or 0.0) - 60.0
    late = (forecast.next_look(160.0, media_seconds=40.0, looks=7.0) or 0.0) - 160.0
    assert late < 0.7 * early


@given(
    sigma=st.floats(0.1, 2.0),
    median=st.floats(1.0, 10_000.0),
    age=st.floats(0.0, 100_000.0),
    looks=st.floats(0.5, 20.0),
)
def test_a_look_is_always_ahead(sigma: float, median: float, age: float, looks: float) -> None:
    forecast = Forecast(
        exponent=0.0, mu=math.log(median), shape=Shape(sigma), finished=100,
        longest_media_seconds=None,
    )  # fmt: skip
    due = forecast.next_look(age, media_seconds=None, looks=looks)
    assert due is None or due > age
    if age > median * math.exp(3.01 * sigma):
        assert due is None
