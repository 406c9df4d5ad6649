"""Scripts that lie scattered over the partition set, in one run."""

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from akool_dagster.assets.script_videos import STEP
from akool_dagster.automation.row_runs import range_tags
from akool_dagster.partitions import scripts_partitions
from akool_dagster_tests.dagster_place import Place
from akool_dagster_tests.support import plain_line

ROWS = [f"r{number:02d}" for number in range(10)]
ODD = ROWS[1::2]
ASSETS = ("voice_files", "video_requests", "downloaded_videos")


def keys(rows: list[str]) -> set[str]:
    return {f"m.{row}" for row in rows}


def failed(place: Place, asset: str = "downloaded_videos") -> set[str]:
    return place.failed(asset, scripts_partitions)


def retry(place: Place, **config: object) -> dg.ExecuteInProcessResult:
    config = {"manifest": "m", **config}
    return place.run("retry_videos", run_config={"ops": {"retry_scripts": {"config": config}}})


@pytest.fixture
def half_failed(place: Place) -> Place:
    """Every other video failed, once; asked for again, it would come."""
    bad = "[[video:failed 1205 no luck x1]]"
    place.put_valid_manifest("m", *(plain_line(r, bad if r in ODD else "") for r in ROWS))
    place.run_range("generate_videos", "m.r00", "m.r09")
    assert failed(place) == keys(ODD)
    return place


def test_a_person_retries_the_failed_scripts_of_a_manifest_in_one_run(half_failed: Place) -> None:
    before = half_failed.akool.emulator.stats().received
    run = retry(half_failed)
    assert run.success
    assert failed(half_failed) == set()
    assert half_failed.materialized("downloaded_videos") == keys(ROWS)
    sent = {
        kind: count - before[kind]
        for kind, count in half_failed.akool.emulator.stats().received.items()
        if count != before[kind]
    }
    assert sum(sent.values()) == len(ODD), "only the failed videos are asked for again"
    events = half_failed.instance.all_logs(
        run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    assert {e.dagster_event.partition for e in events if e.dagster_event} == keys(ODD)


def test_a_retry_may_stop_at_a_stage_and_choose_by_standing(half_failed: Place) -> None:
    run = retry(half_failed, standings=["failed"], stages=["video_requests"])
    assert run.success
    assert failed(half_failed, "video_requests") == set()
    assert failed(half_failed, "downloaded_videos") == keys(ODD)
    assert half_failed.run("retry_videos", run_config=_config(standings=["expired"])).success


def test_a_script_that_fails_again_is_red_and_no_other(place: Place) -> None:
    place.put_valid_manifest(
        "m", plain_line("a"), plain_line("b", "[[video:1003]]"), plain_line("c")
    )
    run = place.run(
        "generate_videos",
        tags=range_tags(first="m.a", last="m.a"),
        run_config={"ops": {STEP: {"config": {"scripts": ["m.a", "m.b"]}}}},
    )
    assert not run.success
    for asset in ASSETS:
        assert failed(place, asset) == (set() if asset == "voice_files" else {"m.b"})
        assert place.materialized(asset) == ({"m.a", "m.b"} if asset == "voice_files" else {"m.a"})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"manifest": "n"}, "there is no validated manifest 'n'; there are: m."),
        ({"standings": ["broken"]}, "standings: 'broken' is none of new, not requested,"),
        ({"stages": ["videos"]}, "stages: 'videos' is none of voice_files,"),
    ],
)
def test_a_wrong_word_is_explained_and_sends_nothing(
    place: Place, config: dict[str, object], told: str
) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    run = retry(place, **config)
    assert not run.success
    (failure,) = (event for event in run.all_events if event.is_step_failure)
    assert told in str(failure.step_failure_data.user_failure_data)
    assert sum(place.akool.emulator.stats().received.values()) == 0


def test_the_sensors_ask_for_scattered_scripts_in_one_run(place: Place) -> None:
    place.put_valid_manifest("m", *(plain_line(row) for row in ROWS))
    place.run_range("generate_videos", "m.r00", "m.r09")
    place.put_valid_manifest(
        "m", *(plain_line(row, "Edited." if row in ODD else "") for row in ROWS)
    )
    (request,) = place.requests("new_scripts_sensor")
    assert request.run_config == {"ops": {STEP: {"config": {"scripts": sorted(keys(ODD))}}}}

    waiting = place.instance.create_run_for_job(
        place.definitions.resolve_job_def("request_videos"),
        run_config=request.run_config,
        status=DagsterRunStatus.STARTING,
    )
    assert place.requests("new_scripts_sensor") == [], "a living run has them already"
    place.instance.delete_run(waiting.run_id)

    asked = place.run_request(request, job="request_videos")
    assert asked.success
    with place.ledger() as ledger:
        assert len(ledger.deliveries.runs_to_fail()) == 0
    events = place.instance.all_logs(
        asked.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    assert {e.dagster_event.partition for e in events if e.dagster_event} == keys(ODD)


def _config(**config: object) -> dict[str, object]:
    return {"ops": {"retry_scripts": {"config": {"manifest": "m", **config}}}}
