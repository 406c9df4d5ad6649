import pytest

from akool_dagster.batch.prices import PriceBook
from akool_dagster.ledger import Rate


def test_without_history_the_documented_prices_are_used() -> None:
    prices = PriceBook()
    assert prices.speech("x" * 1000) == 4.4
    assert prices.avatar_video(7.91) == 10.0
    assert prices.avatar_video(11.7) == 20.0
    assert "guess" in prices.basis


def test_a_short_history_is_not_believed() -> None:
    rate = Rate(samples=4, credits_per_second=9.0, seconds_per_second=1.0)
    assert PriceBook(video=rate).avatar_video(7.0) == 10.0


def test_history_decides_with_a_margin() -> None:
    rate = Rate(samples=200, credits_per_second=2.0, seconds_per_second=1.0)
    prices = PriceBook(voice=rate, video=rate)
    assert prices.avatar_video(100.0) == 230.0
    assert prices.speech("x" * 140) == pytest.approx(23.0)
    assert "200 videos" in prices.basis


def test_a_clone_has_no_published_price_until_akool_tells_one() -> None:
    assert PriceBook().voice_clone() == 5.0
    assert PriceBook(clone=0.0).voice_clone() == 0.0
    assert PriceBook(clone=7.5).voice_clone() == 7.5
