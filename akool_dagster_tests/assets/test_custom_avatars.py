"""Own avatars as a person in front of Dagster meets them."""

import os
import time
from pathlib import Path

import dagster as dg
import pandas as pd
from dagster import DagsterRunStatus

from akool_dagster.automation.row_runs import range_tags
from akool_dagster.partitions import avatars_partitions
from akool_dagster_tests.dagster_place import Place
from akool_dagster_tests.support import csv_line

ASSET = dg.AssetKey("custom_avatars")
CLIP = "https://media.example/kim.mp4"


def put_avatars(place: Place, *lines: str, seconds_ago: float = 60.0) -> Path:
    path = place.data / "avatars.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["avatar_id,name,url", *lines]) + "\n")
    then = time.time() - seconds_ago
    os.utime(path, (then, then))
    return path


def checks(result: dg.SensorResult) -> list[dg.AssetCheckEvaluation]:
    return [e for e in result.asset_events if isinstance(e, dg.AssetCheckEvaluation)]


def failed(place: Place) -> set[str]:
    keys = place.instance.get_dynamic_partitions("avatars")
    statuses = place.instance.get_status_by_partition(ASSET, keys, avatars_partitions)
    return {key for key, status in (statuses or {}).items() if status and status.name == "FAILED"}


def messages(run: dg.ExecuteInProcessResult) -> str:
    (event,) = (event for event in run.all_events if event.is_step_failure)
    data = event.step_failure_data.user_failure_data
    assert data is not None
    return data.description or ""


def settle(place: Place) -> None:
    place.akool.emulator.clock.advance(3600)
    time.sleep(0.6)  # the first look at an avatar is due after three poll pauses


def test_the_file_is_registered_once_per_change_and_nothing_is_sent(place: Place) -> None:
    put_avatars(place, f"Kim01,Kim,{CLIP}", f"Lee02,,{CLIP}")
    first = place.tick("manifest_sensor")
    assert place.instance.get_dynamic_partitions("avatars") == ["Kim01", "Lee02"]
    assert first.run_requests == []
    (valid,) = checks(first)
    assert (valid.asset_key, valid.passed) == (ASSET, True)

    again = place.tick("manifest_sensor", cursor=first.cursor)
    assert checks(again) == []
    put_avatars(place, f"Moe03,,{CLIP}", seconds_ago=30.0)
    place.tick("manifest_sensor", cursor=again.cursor)
    assert place.instance.get_dynamic_partitions("avatars") == ["Kim01", "Lee02", "Moe03"]
    assert dict(place.akool.emulator.stats().received) == {}


def test_a_broken_file_is_told_where_a_person_looks_once_per_change(place: Place) -> None:
    put_avatars(place, f"Kim_01,Kim,{CLIP}", "Lee02,Lee,nowhere")
    first = place.tick("manifest_sensor")
    assert place.instance.get_dynamic_partitions("avatars") == []
    (broken,) = checks(first)
    assert not broken.passed
    assert "2 problems" in str(broken.description)
    assert "write Kim01" in str(broken.metadata["problems"].value)

    again = place.tick("manifest_sensor", cursor=first.cursor)
    assert checks(again) == []
    put_avatars(place, f"Kim01,Kim,{CLIP}", seconds_ago=30.0)
    (repaired,) = checks(place.tick("manifest_sensor", cursor=again.cursor))
    assert repaired.passed


def test_a_file_that_is_still_being_copied_is_left_for_the_next_tick(place: Place) -> None:
    put_avatars(place, f"Kim01,Kim,{CLIP}", seconds_ago=0.0)
    assert checks(place.tick("manifest_sensor")) == []
    assert place.instance.get_dynamic_partitions("avatars") == []


def test_manifests_and_avatars_are_noticed_in_one_tick(place: Place) -> None:
    put_avatars(place, f"Kim01,Kim,{CLIP}")
    path = place.put_manifest("m", csv_line("a", script="Hi.", voice_id="v", avatar_id="x"))
    os.utime(path, (1.0, 1.0))
    result = place.tick("manifest_sensor")
    assert [request.partition_key for request in result.run_requests or ()] == ["m"]
    assert place.instance.get_dynamic_partitions("avatars") == ["Kim01"]
    again = place.tick("manifest_sensor", cursor=result.cursor)
    assert (again.run_requests, checks(again)) == ([], [])


def test_good_avatars_are_green_and_bad_ones_red_in_one_ranged_run(place: Place) -> None:
    put_avatars(place, f"Kim01,Kim,{CLIP}", f"Bad02,[[avatar:1003]],{CLIP}", f"Lee03,Lee,{CLIP}")
    place.tick("manifest_sensor")
    run = place.run("upload_avatars", tags=range_tags(first="Kim01", last="Lee03"))
    assert not run.success
    assert place.materialized("custom_avatars") == {"Kim01", "Lee03"}
    assert failed(place) == {"Bad02"}
    assert "1 of 3 avatars did not get through" in messages(run)
    assert "Bad02: AKOOL code 1003" in messages(run)
    assert place.metadata("custom_avatars", "Kim01")["state"] == "accepted"
    record = place.instance.get_run_by_id(run.run_id)
    assert record is not None
    assert record.tags["dagster/max_retries"] == "0"

    again = place.run("upload_avatars", tags=range_tags(first="Kim01", last="Kim01"))
    assert again.success
    assert place.akool.emulator.stats().received["avatar"] == 3


def test_the_sensor_tells_when_an_avatar_is_ready(place: Place) -> None:
    put_avatars(place, f"Kim01,Kim,{CLIP}")
    place.tick("manifest_sensor")
    assert place.run("upload_avatars", partition_key="Kim01").success
    settle(place)
    told = place.tick("video_info_sensor")
    (event,) = (e for e in told.asset_events if isinstance(e, dg.AssetMaterialization))
    assert (event.asset_key, event.partition) == (ASSET, "Kim01")
    assert event.metadata["state"].value == "completed"
    again = place.tick("video_info_sensor", cursor=told.cursor)
    assert again.asset_events == []


def test_the_sensor_shows_a_failed_avatar_and_marks_its_run(place: Place) -> None:
    put_avatars(
        place, f"Kim01,Kim,{CLIP}", f"Bad02,[[avatar:failed 1220 no face was found]],{CLIP}"
    )
    place.tick("manifest_sensor")
    asked = place.run("upload_avatars", tags=range_tags(first="Kim01", last="Bad02"))
    assert asked.success
    settle(place)
    requests = place.requests("video_info_sensor")
    (show,) = (request for request in requests if request.job_name == "upload_avatars")
    run = place.instance.get_run_by_id(asked.run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.FAILURE
    logs = [str(event.message) for event in place.instance.all_logs(asked.run_id)]
    assert any("AKOOL failed 1 of the 2 avatars" in text for text in logs)
    assert any("no face was found" in text for text in logs)

    # Shown by a run that sends nothing, though a failed upload might be sent again.
    shown = place.run_request(show, job="upload_avatars")
    assert "no face was found" in messages(shown)
    assert failed(place) == {"Bad02"}
    assert place.akool.emulator.stats().received["avatar"] == 2
    later = place.requests("video_info_sensor")
    assert not any(request.job_name == "upload_avatars" for request in later)


def test_an_avatar_that_left_the_file_and_a_broken_file_are_explained(place: Place) -> None:
    put_avatars(place, f"Kim01,Kim,{CLIP}", f"Lee02,Lee,{CLIP}")
    place.tick("manifest_sensor")
    put_avatars(place, f"Kim01,Kim,{CLIP}")
    gone = place.run("upload_avatars", partition_key="Lee02")
    assert "no row with this avatar_id any more" in messages(gone)
    put_avatars(place, f"Kim 01,Kim,{CLIP}")
    broken = place.run("upload_avatars", partition_key="Kim01")
    assert "write Kim01" in messages(broken)
    assert "Nothing was sent." in messages(broken)
    assert dict(place.akool.emulator.stats().received) == {}


def test_the_catalog_shows_own_and_official_avatars_with_their_status(place: Place) -> None:
    put_avatars(place, f"Kim01,[[avatar:stuck]],{CLIP}")
    place.tick("manifest_sensor")
    place.run("upload_avatars", partition_key="Kim01")
    assert place.run("refresh_catalogs").success
    table = pd.read_parquet(place.data / "catalogs" / "avatars.parquet").set_index("avatar_id")
    assert table.loc["Kim01", "source"] == 3
    assert table.loc["Kim01", "status"] in (1, 2)
    assert table.loc["Jane_in_Blue_2024", "source"] == 2
    assert 1 in set(table[table["source"] == 2]["status"])
    assert not table["kind"].eq(2).any()
    record = place.instance.get_latest_materialization_event(dg.AssetKey("avatar_catalog"))
    assert record is not None
    assert record.asset_materialization is not None
    told = record.asset_materialization.metadata
    assert (told["own_avatars"].value, told["own_avatars_not_ready"].value) == (1, 1)


def test_a_batch_uses_the_saved_catalogs_and_reads_no_list(place: Place) -> None:
    assert place.run("refresh_catalogs").success
    place.put_valid_manifest(
        "m",
        csv_line("a", script="Hello.", voice_id="Emma_en-US", avatar_id="Jane_in_Blue_2024"),
    )
    before = {p: n for p, n in place.akool.emulator.stats().requests.items() if "/list" in p}
    assert place.run("generate_videos", partition_key="m.a").success
    after = {p: n for p, n in place.akool.emulator.stats().requests.items() if "/list" in p}
    assert after == before
