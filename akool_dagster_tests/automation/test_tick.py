"""A tick of ``video_info_sensor`` when AKOOL is slow or gone."""

import time

from akool_dagster.emulator import Fault
from akool_dagster.ledger import Kind, State
from akool_dagster_tests.dagster_place import Place
from akool_dagster_tests.support import plain_line


def test_a_silent_akool_ends_the_tick_in_time_and_loses_nothing(place: Place) -> None:
    keys = [f"r{number}" for number in range(6)]
    place.put_valid_manifest("m", *(plain_line(key) for key in keys))
    assert place.run_range("request_videos", "m.r0", "m.r5").success
    place.akool.emulator.clock.advance(3600)
    time.sleep(0.4)
    place.akool.emulator.faults.add(Fault(kind="status", on="GET */infobymodelid", status=503))

    began = time.monotonic()
    assert [r for r in place.requests("video_info_sensor") if r.job_name == "download_videos"] == []
    assert time.monotonic() - began < 50
    with place.ledger() as ledger:
        assert len(ledger.attempts.in_states(kind=Kind.VIDEO, states=[State.ACCEPTED])) == 6

    place.akool.emulator.faults.clear()
    time.sleep(0.6)
    jobs = [request.job_name for request in place.requests("video_info_sensor")]
    assert "download_videos" in jobs
