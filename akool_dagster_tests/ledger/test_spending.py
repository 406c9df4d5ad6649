from datetime import date, datetime, timezone

import pytest

from akool_dagster.ledger import Hold, Kind, Ledger, Limits
from akool_dagster_tests.ledger.conftest import Clock
from akool_dagster_tests.ledger.test_attempts import accepted, completed, opened, sending


def _day(clock: Clock) -> date:
    return datetime.fromtimestamp(clock.now, tz=timezone.utc).date()


def test_days_add_up_what_was_reserved_spent_and_is_in_doubt(ledger: Ledger, clock: Clock) -> None:
    first = _day(clock)
    completed(ledger, "told")
    doubtful = sending(ledger, "doubtful")
    ledger.attempts.doubt(doubtful.id, reason="?", advice=None)
    refused = sending(ledger, "refused")
    ledger.attempts.refuse(refused.id, code=1003, reason="no", advice=None, try_again=False)
    clock.now += 86_400
    accepted(ledger, "next day", remote_id="n")

    days = ledger.spending.by_day()
    assert list(days) == [first, _day(clock)]
    spend = days[first]
    assert (spend.creates, spend.estimated, spend.spent) == (2, 20.0, 7.0)
    assert (spend.open, spend.in_doubt) == (10.0, 10.0)
    assert days[_day(clock)].open == 10.0


def test_what_manifests_share_counts_for_the_first(ledger: Ledger) -> None:
    shared, alone = completed(ledger, "shared"), completed(ledger, "alone")
    for key in ("m1.a", "m2.a"):
        ledger.deliveries.requested(attempt_id=shared.id, script_key=key, run_id="r")
    ledger.deliveries.requested(attempt_id=alone.id, script_key="m2.b", run_id="r")
    spends = ledger.spending.by_manifest()
    assert {name: spend.spent for name, spend in spends.items()} == {"m1": 7.0, "m2": 7.0}


def test_a_rate_is_learned_from_finished_media(ledger: Ledger, clock: Clock) -> None:
    assert ledger.spending.rate(Kind.VIDEO) is None
    attempt = accepted(ledger)
    clock.now += 30
    ledger.attempts.complete(
        attempt.id, url="u", url_expires_at=9e9, spent_credits=12.0, media_seconds=None, answer={}
    )
    rate = ledger.spending.rate(Kind.VIDEO)
    assert rate is not None
    assert (rate.samples, rate.credits_per_second, rate.seconds_per_second) == (1, 4.0, 10.0)


def test_the_limit_of_the_account_is_learned_and_grows_again(ledger: Ledger) -> None:
    limits = Limits(max_in_flight=10)
    for name in ("a", "b"):
        accepted(ledger, name, remote_id=name)
    assert ledger.attempts.learned_limit() is None
    too_many = sending(ledger, "c")
    ledger.attempts.refuse_for_now(too_many.id, code=1005, reason="too frequent")
    assert ledger.attempts.learned_limit() == 2.0

    third = opened(ledger, "d")
    assert ledger.attempts.reserve(third.id, price=1.0, limits=limits) is Hold.NO_SLOT
    for name in ("a", "b"):
        attempt = ledger.attempts.latest(kind=Kind.VIDEO, content_hash=name)
        assert attempt is not None
        ledger.attempts.fail(
            attempt.id, code=1, reason="no", advice=None, spent_credits=None, answer=None
        )
    accepted(ledger, "e", remote_id="e")
    assert ledger.attempts.learned_limit() == pytest.approx(2.1)
