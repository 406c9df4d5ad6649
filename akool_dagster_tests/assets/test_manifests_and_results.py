import io
import os
import time

import dagster as dg
import pandas as pd

from akool_dagster_tests.dagster_place import Place
from akool_dagster_tests.support import csv_line, plain_line


def _failure(run: dg.ExecuteInProcessResult) -> dg.DagsterEvent:
    (event,) = (event for event in run.all_events if event.is_step_failure)
    return event


def test_scripts_are_registered_in_the_order_of_the_file(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("z"), plain_line("a"), plain_line("k"))
    assert place.instance.get_dynamic_partitions("scripts") == ["m.z", "m.a", "m.k"]
    facts = place.metadata("script_manifests", "m")
    assert (facts["rows_new"], facts["new_partitions"]) == (3, 3)


def test_an_edit_is_told_apart_and_shrinking_deletes_nothing(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"), plain_line("b"), plain_line("c"))
    place.put_valid_manifest("m", plain_line("a"), plain_line("b", "Edited."), plain_line("d"))
    facts = place.metadata("script_manifests", "m")
    assert facts["rows_new"] == 1
    assert facts["rows_changed"] == 1
    assert facts["rows_unchanged"] == 1
    assert facts["rows_gone_from_the_file"] == 1
    assert place.instance.get_dynamic_partitions("scripts") == ["m.a", "m.b", "m.c", "m.d"]


def test_an_invalid_manifest_starts_nothing_and_says_everything(place: Place) -> None:
    place.put_manifest("m", plain_line("a"), csv_line("b", script="x"), csv_line("a"))
    run = place.validate("m")
    assert not run.success
    data = _failure(run).step_failure_data.user_failure_data
    assert data is not None
    assert "line 3" in str(data.description)
    assert "line 4" in str(data.description)
    assert "problems" in data.metadata
    assert place.instance.get_dynamic_partitions("scripts") == []


def test_a_file_that_vanished_is_an_error_and_not_an_empty_manifest(place: Place) -> None:
    path = place.put_manifest("gone", plain_line("a"))
    assert place.validate("gone").success
    path.unlink()
    run = place.validate("gone")
    data = _failure(run).step_failure_data.user_failure_data
    assert data is not None
    assert "There is no gone.csv or gone.parquet" in str(data.description)
    assert place.instance.get_dynamic_partitions("scripts") == ["gone.a"]


def test_results_hold_the_input_and_what_became_of_it(place: Place) -> None:
    place.put_valid_manifest(
        "m", plain_line("a"), plain_line("b", "[[video:failed 1205 no luck]]"), plain_line("c")
    )
    place.run_range("generate_videos", "m.a", "m.b")
    assert place.run("write_results", partition_key="m").success

    content = (place.data / "results" / "m.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    table = pd.read_csv(io.BytesIO(content), dtype=object, keep_default_na=False)
    assert list(table["script_id"]) == ["a", "b", "c"]
    assert list(table["status"]) == ["saved", "failed", "new"]
    assert table["video_file"][0] == "videos/m/a.mp4"
    assert table["akool_code"][1] == "1205"
    assert "no luck" in table["cause"][1]
    assert list(table.columns[:2]) == ["script_id", "script"]
    facts = place.metadata("batch_results", "m")
    assert facts["credits_estimated"] >= facts["credits_spent"] > 0  # type: ignore[operator]
    assert facts["credits_in_doubt"] == 0
    day = str(facts["credits_of_the_account_by_day"]).splitlines()[-1].split(" | ")
    assert day[2:4] == [f"{facts[name]:g}" for name in ("credits_estimated", "credits_spent")]
    same = pd.read_parquet(place.data / "results" / "m.parquet")
    assert list(same["status"]) == list(table["status"])


def test_writing_results_removes_what_killed_downloads_left(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"))
    folder = place.data / "videos" / "m"
    folder.mkdir(parents=True)
    old, young = (folder / f".a.mp4.{digit * 32}.part" for digit in "01")
    for part in (old, young):
        part.write_bytes(b"x")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    assert place.run("write_results", partition_key="m").success
    assert list(folder.iterdir()) == [young]
    assert place.metadata("batch_results", "m")["stopped_downloads_removed"] == 1


def test_catalogs_are_tables_with_a_preview(place: Place) -> None:
    assert place.run("refresh_catalogs").success
    avatars = pd.read_parquet(place.data / "catalogs" / "avatars.parquet")
    assert "Jane_in_Blue_2024" in set(avatars["avatar_id"])
    voices = pd.read_parquet(place.data / "catalogs" / "voices.parquet")
    assert "Emma_en-US" in set(voices["voice_id"])
