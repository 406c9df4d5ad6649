import json
import time
from email.utils import parsedate_to_datetime

import pytest

from akool_dagster.emulator import EmulatorConfig
from akool_dagster_tests.emulator.api import OPEN, Api


def date_of(api: Api) -> float:
    answer = api.raw("GET", f"{OPEN}/v3/faceswap/quota/info")
    return parsedate_to_datetime(answer.headers["date"]).timestamp()


def test_without_skew_the_answers_are_dated_by_the_virtual_clock(start) -> None:
    api: Api = start(start=1.8e9)
    assert date_of(api) == pytest.approx(1.8e9, abs=5)
    api.akool.emulator.clock.advance(86_400)
    assert date_of(api) == pytest.approx(1.8e9 + 86_400, abs=5)
    assert date_of(start()) == pytest.approx(time.time(), abs=5)


@pytest.mark.parametrize("skew", [-7200.0, 3600.0])
def test_every_time_that_is_told_is_skewed_and_no_job_is(start, site, skew: float) -> None:
    api: Api = start(start=1.8e9, clock_skew=skew)
    video_id = api.video_id(webhookUrl=site.url)
    speech = api.tts()["data"]
    wrong = pytest.approx((1.8e9 + skew) * 1000, abs=5000)
    assert date_of(api) * 1000 == wrong
    assert api.info(video_id)["create_time"] == wrong
    assert (speech["create_time"], speech["update_time"]) == (wrong, wrong)
    assert api.akool.emulator.jobs("video")[0].created == pytest.approx(1.8e9, abs=5)
    api.akool.emulator.clock.advance(55)
    assert api.info(video_id)["video_status"] == 2
    api.akool.emulator.clock.advance(10)
    assert api.info(video_id)["video_status"] == 3
    (callback,) = site.wait_for(1)
    assert json.loads(callback)["timestamp"] == pytest.approx((1.8e9 + 65 + skew) * 1000, abs=5000)


def test_the_clock_goes_wrong_while_it_runs(start) -> None:
    api: Api = start(start=1.8e9)
    api.akool.emulator.configure(clock_skew=600.0)
    assert date_of(api) == pytest.approx(1.8e9 + 600, abs=5)


def test_a_skew_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="clock_skew is 1000000000000"):
        EmulatorConfig(clock_skew=1e12)
