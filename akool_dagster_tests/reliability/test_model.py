"""Thousands of simulated creates against the real door and the real ledger."""

from collections.abc import Iterator

import pytest

from akool_dagster.ledger import Attempt, Hold, Kind, Ledger, Limits
from akool_dagster_tests.reliability.model import DAY, HastyAttempts, live_through, live_until

SEED = 2
CREATES = 1_500


def test_no_create_is_paid_twice_and_no_id_lost() -> None:
    seen = live_until(creates=CREATES, seed=SEED)
    assert seen.problems == [], f"replay: live_until(creates={CREATES}, seed={SEED})"
    assert (seen.duplicates, seen.lost_ids, seen.cap_passed) == (0, 0, 0)
    # A world where little happened would prove little.
    assert seen.kills > 50
    assert min(seen.words, seen.callbacks, seen.in_doubt) > 50
    assert len(seen.answers) >= 9


def test_a_world_is_the_same_each_time() -> None:
    first, again = (live_through(range(70, 74)) for _ in range(2))
    assert vars(first) == vars(again)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_057_600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Iterator[Ledger]:
    with Ledger.open("sqlite://", service="emulator", clock=clock) as opened:
        yield opened


def planned(ledger: Ledger, content: str) -> Attempt:
    return ledger.attempts.open_next(
        kind=Kind.VIDEO, content_hash=content, api="v", after=0, media_seconds=1.0
    )


def test_a_reservation_of_yesterday_counts_for_the_day_on_which_it_is_sent(
    ledger: Ledger, clock: Clock
) -> None:
    limits = Limits(max_in_flight=10, max_credits=10.0)
    left_over, new = planned(ledger, "left over"), planned(ledger, "new")
    book = ledger.attempts
    assert isinstance(book.reserve(left_over.id, price=10.0, limits=limits), Attempt)
    clock.now += DAY
    assert isinstance(book.reserve(new.id, price=8.0, limits=limits), Attempt)
    assert book.reserve(left_over.id, price=10.0, limits=limits) is Hold.OVER_CAP
    clock.now += DAY
    assert isinstance(book.reserve(left_over.id, price=10.0, limits=limits), Attempt)


def test_the_tables_alone_keep_two_writers_from_opening_one_attempt(ledger: Ledger) -> None:
    database = ledger._database
    hasty = [HastyAttempts(database), HastyAttempts(database)]
    for book in hasty:
        assert book.latest(kind=Kind.VIDEO, content_hash="a") is None
    wanted = {"kind": Kind.VIDEO, "content_hash": "a", "api": "v", "after": 0, "media_seconds": 1.0}
    hasty[0].open_next(**wanted)
    with pytest.raises(Exception, match="UNIQUE constraint failed"):
        hasty[1].open_next(**wanted)
