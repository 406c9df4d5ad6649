import pytest

from akool_dagster.emulator.clock import VirtualClock


class RealTime:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_runs_at_its_speed_from_its_start() -> None:
    real = RealTime()
    clock = VirtualClock(start=1_000, speed=60, monotonic=real)
    assert clock.now() == 1_000
    real.seconds += 2
    assert clock.now() == 1_120


def test_advance_adds_to_the_running_time_and_tells_the_watchers() -> None:
    real, heard = RealTime(), []
    clock = VirtualClock(start=0, speed=10, monotonic=real)
    clock.watch(lambda: heard.append(clock.now()))
    real.seconds += 1
    assert clock.advance(500) == 510
    assert heard == [510]


def test_time_never_goes_back() -> None:
    with pytest.raises(ValueError, match="turn the clock back"):
        VirtualClock(start=0).advance(-1)


def test_real_seconds_until_counts_in_real_time() -> None:
    clock = VirtualClock(start=0, speed=60, monotonic=RealTime())
    assert clock.real_seconds_until(120) == 2
    assert clock.real_seconds_until(-5) == 0


def test_starts_at_the_real_time_by_default() -> None:
    import time

    assert abs(VirtualClock().now() - time.time()) < 5
