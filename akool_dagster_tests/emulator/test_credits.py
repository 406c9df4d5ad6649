import pytest

from akool_dagster.emulator.answers import Refusal
from akool_dagster.emulator.credits import Credits, held_for
from akool_dagster_tests.emulator.api import Api


@pytest.mark.parametrize(("price", "held"), [(7.91, 10), (11.7, 20), (1515, 1520), (20, 20)])
def test_the_lock_is_rounded_up_to_tens_as_in_akools_samples(price: float, held: float) -> None:
    assert held_for(price) == held


def test_hold_settle_and_return() -> None:
    account = Credits(available=100)
    account.hold(30)
    account.hold(20)
    account.settle(held=30, price=22)
    account.settle(held=20, price=0)
    assert (account.available, account.held, account.spent) == (78, 0, 22)


def test_too_few_credits_change_nothing() -> None:
    account = Credits(available=9)
    with pytest.raises(Refusal) as refusal:
        account.hold(10)
    assert refusal.value.code == 1006
    assert (account.available, account.held) == (9, 0)


def test_a_video_locks_tens_and_settles_to_its_deduction(start) -> None:
    api: Api = start(credits=1000)
    video_id = api.video_id(text="One two three four five. " * 12)
    locked = 1000 - api.credits()
    assert locked > 10
    assert locked % 10 == 0
    assert api.info(video_id)["deduction_duration"] == locked
    done = api.finished(video_id)
    assert done["deduction_lock_duration"] == locked
    assert 0 < done["deduction_duration"] <= locked
    assert done["deduction_duration"] == -(-done["video_lock_duration"] // 1)  # whole seconds
    assert api.credits() == 1000 - done["deduction_duration"]


def test_a_failed_video_costs_nothing(start) -> None:
    api: Api = start(credits=1000)
    video_id = api.video_id(text="Hello [[video:failed]]")
    assert api.credits() == 990
    assert api.finished(video_id)["video_status"] == 4
    assert api.credits() == 1000


def test_1006_when_the_lock_cannot_be_paid(start) -> None:
    api: Api = start(credits=15)
    first = api.video_id()
    assert api.video()["code"] == 1006
    api.finished(first)  # costs 1 to 2 credits, gives the rest back
    assert api.video()["code"] == 1000
    assert api.akool.emulator.stats().accepted["video"] == 2


def test_speech_is_charged_by_the_character(start) -> None:
    api: Api = start(credits=100)
    answer = api.tts("a" * 500)["data"]
    assert answer["deduction_credit"] == 1.6  # 3.2 per 1,000 characters
    assert api.credits() == 98.4
    api.tts("a" * 500 + "[[voice:failed]]")
    api.akool.emulator.clock.advance(100)
    assert api.credits() == 98.4
