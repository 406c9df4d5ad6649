import os
import time

import dagster as dg
from dagster import DagsterRunStatus

from akool_dagster.assets.check_results import evaluate_all
from akool_dagster.assets.checks import CHECKS
from akool_dagster.automation.row_runs import range_tags
from akool_dagster.emulator import Fault
from akool_dagster.ledger import Kind, State
from akool_dagster.partitions import scripts_partitions
from akool_dagster_tests.dagster_place import Place
from akool_dagster_tests.support import plain_line


def settle(place: Place) -> None:
    """Lets the emulator finish everything that it works on."""
    place.akool.emulator.clock.advance(3600)
    time.sleep(0.4)  # the first look is due after the poll pause


def aged(place: Place, name: str, *lines: str, seconds: float = 60.0) -> None:
    path = place.put_manifest(name, *lines)
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_new_and_changed_manifests_are_validated_once_each(place: Place) -> None:
    aged(place, "m1", plain_line("a"))
    aged(place, "m2", plain_line("a"))
    first = place.tick("manifest_sensor")
    assert [request.partition_key for request in first.run_requests or ()] == ["m1", "m2"]
    assert place.instance.get_dynamic_partitions("manifests") == ["m1", "m2"]
    for request in first.run_requests or ():
        assert place.run_request(request, job="validate_manifests").success

    assert place.tick("manifest_sensor", cursor=first.cursor).run_requests == []
    aged(place, "m2", plain_line("a"), plain_line("b"), seconds=30.0)
    changed = place.tick("manifest_sensor", cursor=first.cursor)
    assert [request.partition_key for request in changed.run_requests or ()] == ["m2"]


def test_a_file_that_is_still_being_copied_is_left_for_the_next_tick(place: Place) -> None:
    place.put_manifest("m", plain_line("a"))
    assert place.requests("manifest_sensor") == []


def test_a_bad_file_name_is_said_and_hides_no_other(place: Place) -> None:
    aged(place, "bad name", plain_line("a"))
    aged(place, "good", plain_line("a"))
    result = place.tick("manifest_sensor")
    assert [request.partition_key for request in result.run_requests or ()] == ["good"]


def test_a_vanished_folder_deletes_nothing(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    (place.data / "manifests" / "m.csv").unlink()
    place.tick("manifest_sensor")
    assert place.instance.get_dynamic_partitions("scripts") == ["m.a"]


def test_new_scripts_are_asked_for_in_contiguous_ranges(place: Place) -> None:
    place.put_valid_manifest("m1", plain_line("a"), plain_line("b"))
    place.put_valid_manifest("m2", plain_line("c"))
    (request,) = place.requests("new_scripts_sensor")
    assert (
        dict(request.tags)
        == {
            **range_tags(first="m1.a", last="m2.c"),
            "dagster/sensor_name": "new_scripts_sensor",
        }
        or dict(request.tags).items() >= range_tags(first="m1.a", last="m2.c").items()
    )
    assert place.run_request(request, job="request_videos").success
    assert place.requests("new_scripts_sensor") == []


def test_failed_and_doubtful_rows_are_not_asked_for_every_night(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a", "[[video:1003]]"), plain_line("b"))
    place.run_range("request_videos", "m.a", "m.b")
    assert place.requests("new_scripts_sensor") == []


def test_rows_of_a_living_run_are_left_to_it(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"), plain_line("b"), plain_line("c"))
    run = place.instance.create_run_for_job(
        place.definitions.resolve_job_def("request_videos"),
        tags=range_tags(first="m.a", last="m.b"),
        status=DagsterRunStatus.STARTED,
    )
    with place.ledger() as ledger:
        ledger.run_signs.give(run.run_id)
    (request,) = place.requests("new_scripts_sensor")
    assert request.tags["dagster/asset_partition_range_start"] == "m.c"

    with place.ledger() as ledger:
        ledger.run_signs.end(run.run_id)
    (request,) = place.requests("new_scripts_sensor")
    assert request.tags["dagster/asset_partition_range_start"] == "m.a"


def test_the_sensor_has_finished_videos_saved_and_shows_failed_ones(place: Place) -> None:
    place.put_valid_manifest(
        "m",
        plain_line("good"),
        plain_line("bad", "[[video:failed 1205 create video error]]"),
        plain_line("fine"),
    )
    asked = place.run_range("request_videos", "m.good", "m.fine")
    assert asked.success
    settle(place)

    requests = place.requests("video_info_sensor")
    download = next(r for r in requests if r.job_name == "download_videos")
    assert download.tags["dagster/asset_partition_range_start"] == "m.good"
    assert download.tags["dagster/asset_partition_range_end"] == "m.fine"
    assert not place.run_request(download, job="download_videos").success
    assert place.materialized("downloaded_videos") == {"m.good", "m.fine"}
    assert place.failed("downloaded_videos", scripts_partitions) == {"m.bad"}

    run = place.instance.get_run_by_id(asked.run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.FAILURE
    assert run.tags["akool/marked_failed"] == "true"
    messages = [str(event.message) for event in place.instance.all_logs(asked.run_id)]
    told = next(message for message in messages if "AKOOL failed 1 of the 3 videos" in message)
    assert "m.bad (code 1205" in told
    assert "create video error" in told
    assert place.materialized("video_requests") == {"m.good", "m.bad", "m.fine"}

    results = [r for r in place.requests("video_info_sensor") if r.job_name == "write_results"]
    assert [request.partition_key for request in results] == ["m"]


def test_a_run_is_marked_once_and_not_while_it_lives(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("bad", "[[video:failed 1205 no]]"))
    asked = place.run("request_videos", partition_key="m.bad")
    run = place.instance.get_run_by_id(asked.run_id)
    assert run is not None
    settle(place)

    place.instance.delete_run(asked.run_id)
    living = place.instance.create_run_for_job(
        place.definitions.resolve_job_def("request_videos"),
        run_id=asked.run_id,
        status=DagsterRunStatus.STARTED,
    )
    place.tick("video_info_sensor")
    still = place.instance.get_run_by_id(living.run_id)
    assert still is not None
    assert still.status is DagsterRunStatus.STARTED


def test_a_row_that_a_living_run_waits_for_is_not_downloaded_twice(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    place.run("request_videos", partition_key="m.a")
    settle(place)
    waiting = place.instance.create_run_for_job(
        place.definitions.resolve_job_def("download_videos"),
        tags={"dagster/partition": "m.a"},
        status=DagsterRunStatus.STARTED,
    )
    with place.ledger() as ledger:
        ledger.run_signs.give(waiting.run_id)
    assert [r for r in place.requests("video_info_sensor") if r.job_name == "download_videos"] == []
    with place.ledger() as ledger:
        ledger.run_signs.end(waiting.run_id)
    jobs = [request.job_name for request in place.requests("video_info_sensor")]
    assert "download_videos" in jobs


def test_a_download_is_not_handed_over_twice_at_once(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    place.run("request_videos", partition_key="m.a")
    settle(place)
    assert any(r.job_name == "download_videos" for r in place.requests("video_info_sensor"))
    assert not any(r.job_name == "download_videos" for r in place.requests("video_info_sensor"))


def test_doubt_raises_a_check_and_a_persons_word_lowers_it(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    place.akool.emulator.faults.add(Fault(kind="drop", on="POST */talkingavatar/create", next=1))
    place.run("request_videos", partition_key="m.a")
    result = place.tick("video_info_sensor")
    (doubt,) = (e for e in result.asset_events if e.asset_key == dg.AssetKey("video_requests"))
    assert isinstance(doubt, dg.AssetCheckEvaluation)
    assert not doubt.passed
    assert "10 credits may have been charged" in str(doubt.description)
    assert "m.a" in str(doubt.metadata["which"].value)

    again = place.tick("video_info_sensor", cursor=result.cursor)
    assert again.asset_events == []

    with place.ledger() as ledger:
        (attempt,) = ledger.attempts.in_states(kind=Kind.VIDEO, states=[State.IN_DOUBT])
        ledger.attempts.allow_paying_again(attempt.id, by="person:kim")
    settled = place.tick("video_info_sensor", cursor=again.cursor)
    assert all(event.passed for event in settled.asset_events)  # type: ignore[union-attr]


def test_the_alarm_comes_48_hours_before_a_link_dies(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    place.run("request_videos", partition_key="m.a")
    settle(place)
    place.tick("video_info_sensor")
    with place.ledger() as ledger:
        (video,) = ledger.attempts.in_states(kind=Kind.VIDEO, states=[State.COMPLETED])
        dies = video.url_expires_at or 0.0
        early, late = (evaluate_all(ledger, now=dies - hours * 3600) for hours in (48.1, 47.9))
        assert all(evaluation.passed for evaluation in early)
        assert not late[-1].passed
        assert late[-1].severity is dg.AssetCheckSeverity.WARN

        ledger.attempts.expire(video.id, reason="link died", advice=None)
        lost = evaluate_all(ledger, now=dies)[-1]
        assert lost.severity is dg.AssetCheckSeverity.ERROR
        assert "1 videos were made and paid for" in str(lost.description)


def test_checks_can_be_run_like_any_other(place: Place) -> None:
    result = dg.materialize(
        [*place.definitions.assets, *CHECKS],  # type: ignore[misc]
        selection=dg.AssetSelection.checks(*CHECKS),
        instance=place.instance,
        resources=place.definitions.resources,
    )
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True] * len(CHECKS)


def test_an_edited_row_does_not_fetch_what_was_asked_for_before(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    place.run("request_videos", partition_key="m.a")
    settle(place)
    place.put_valid_manifest("m", plain_line("a", "Edited."))
    assert not any(r.job_name == "download_videos" for r in place.requests("video_info_sensor"))
    (request,) = place.requests("new_scripts_sensor")
    assert request.tags["dagster/asset_partition_range_start"] == "m.a"


def test_the_schedule_asks_like_the_sensor(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"), plain_line("b"))
    schedule = place.definitions.resolve_schedule_def("scheduled_batch")
    with dg.build_schedule_context(
        instance=place.instance, resources=place.definitions.resources
    ) as context:
        data = schedule.evaluate_tick(context)
    (request,) = list(data.run_requests or [])
    assert request.tags["dagster/asset_partition_range_end"] == "m.b"


def test_nothing_that_spends_is_on_by_itself(place: Place) -> None:
    sensors = {s.name: s.default_status for s in place.definitions.sensors or ()}
    schedules = {s.name: s.default_status for s in place.definitions.schedules or ()}  # type: ignore[union-attr]
    assert sensors == {
        "manifest_sensor": dg.DefaultSensorStatus.RUNNING,
        "new_scripts_sensor": dg.DefaultSensorStatus.STOPPED,
        "video_info_sensor": dg.DefaultSensorStatus.RUNNING,
    }
    assert schedules == {
        "scheduled_batch": dg.DefaultScheduleStatus.STOPPED,
        "catalog_refresh": dg.DefaultScheduleStatus.RUNNING,
    }
