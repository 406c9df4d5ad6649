import dagster as dg

from akool_dagster.partitions import scripts_partitions
from akool_dagster_tests.dagster_place import Place
from akool_dagster_tests.support import plain_line

ROWS = ("voice_files", "video_requests", "downloaded_videos")


def test_good_rows_are_green_and_bad_rows_red_in_one_ranged_run(place: Place) -> None:
    place.put_valid_manifest(
        "m",
        plain_line("good-1"),
        plain_line("bad-voice", "[[voice:1003]]"),
        plain_line("bad-render", "[[video:failed 1205 create video error]]"),
        plain_line("good-2"),
    )
    run = place.run_range("generate_videos", "m.good-1", "m.good-2")
    assert not run.success

    good = {"m.good-1", "m.good-2"}
    assert place.materialized("voice_files") == good | {"m.bad-render"}
    assert place.materialized("video_requests") == good | {"m.bad-render"}
    assert place.materialized("downloaded_videos") == good
    assert place.failed("downloaded_videos", scripts_partitions) == {"m.bad-voice", "m.bad-render"}
    assert place.failed("voice_files", scripts_partitions) == {"m.bad-voice"}

    message = _failure(run)
    assert "2 of 4 scripts did not get through" in message
    assert "m.bad-render: AKOOL code 1205: The video failed: create video error." in message
    assert "m.bad-voice: AKOOL code 1003: The voice was refused" in message
    assert "Not charged." in message


def test_each_partition_tells_its_own_story(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    assert place.run("generate_videos", partition_key="m.a").success
    saved = place.metadata("downloaded_videos", "m.a")
    assert {
        "akool_id", "akool_link", "link_expires", "credits_spent", "size_bytes", "sha256",
        "duration_seconds", "path", "poster", "state",
    } <= set(saved)  # fmt: skip
    assert str(saved["poster"]).startswith("![m.a](data:image/")
    assert place.metadata("voice_files", "m.a")["way"] == "text to speech"


def test_a_subset_ends_when_akool_has_accepted(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"), plain_line("b"))
    assert place.run_range("request_videos", "m.a", "m.b").success
    assert place.materialized("video_requests") == {"m.a", "m.b"}
    assert place.materialized("downloaded_videos") == set()
    assert place.run_range("download_videos", "m.a", "m.b").success
    assert place.materialized("downloaded_videos") == {"m.a", "m.b"}


def test_a_paid_run_is_never_retried_by_dagster(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a", "[[voice:1003]]"))
    run = place.run("generate_videos", partition_key="m.a")
    record = place.instance.get_run_by_id(run.run_id)
    assert record is not None
    assert record.tags["dagster/max_retries"] == "0"
    assert record.tags["dagster/retry_on_asset_or_op_failure"] == "false"
    assert sum(event.is_step_up_for_retry for event in run.all_events) == 0


def test_a_partition_without_a_row_is_explained(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"), plain_line("b"))
    place.put_valid_manifest("m", plain_line("a"))
    place.instance.add_dynamic_partitions("scripts", ["ghost.x"])
    run = place.run_range("generate_videos", "m.a", "ghost.x")
    message = _failure(run)
    assert "m.b: The manifest 'm' has no row with this script_id any more." in message
    assert "Materialize script_manifests for 'ghost' first." in message
    assert place.materialized("downloaded_videos") == {"m.a"}


def test_a_missing_credential_is_a_clear_failure(place: Place, monkeypatch) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    monkeypatch.delenv("AKOOL_API_KEY")
    from akool_dagster.definitions import build_definitions

    without = build_definitions(place.settings.model_copy(update={"api_key": None}))
    run = without.resolve_job_def("generate_videos").execute_in_process(
        instance=place.instance, partition_key="m.a", raise_on_error=False
    )
    assert "Set AKOOL_API_KEY" in _failure(run)


def _failure(run: dg.ExecuteInProcessResult) -> str:
    (event,) = (event for event in run.all_events if event.is_step_failure)
    data = event.step_failure_data.user_failure_data
    assert data is not None
    assert data.description is not None
    return data.description
