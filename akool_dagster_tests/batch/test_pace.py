from akool_dagster.batch.pace import Pace


def test_creates_slow_down_together_and_recover() -> None:
    pace = Pace()
    assert pace.take_turn(100.0) is None
    assert pace.take_turn(100.0) is None

    pace.too_frequent(100.0)
    pace.too_frequent(100.0)
    assert pace.take_turn(100.0) == 102.0
    assert pace.take_turn(102.0) is None
    assert pace.take_turn(102.0) == 104.0

    for _ in range(20):
        pace.went_through()
    assert pace.take_turn(104.0) is None
    assert pace.take_turn(104.0) is None


def test_the_pause_has_a_limit() -> None:
    pace = Pace()
    for _ in range(50):
        pace.too_frequent(0.0)
    assert pace.pause_seconds == 60.0
