"""Manifests that leave Dagster's partition sets, and come back."""

import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from akool_dagster.automation import retiring as retiring_module
from akool_dagster.automation.retiring import Candidate, Retiring, unregister_scripts
from akool_dagster.automation.row_runs import range_tags
from akool_dagster.batch.stages import STAGES, Stage
from akool_dagster.batch.walk import Walk
from akool_dagster.manifest import read_manifest, write_scripts
from akool_dagster.partitions import register_scripts, scripts_partitions
from akool_dagster.storage import data_root, open_storage
from akool_dagster_tests.dagster_place import Place
from akool_dagster_tests.support import opened_tools, plain_line

ASSETS = ("voice_files", "video_requests", "downloaded_videos")
BAD = "[[video:failed 1205 no luck]]"


@contextmanager
def opened(place: Place, *, unfinished_too: bool = False) -> Iterator[Retiring]:
    with place.ledger() as ledger:
        yield Retiring(
            place.instance,
            ledger=ledger,
            storage=open_storage(str(place.data)),
            unfinished_too=unfinished_too,
        )


def retire(place: Place, *names: str, unfinished_too: bool = False) -> list[Candidate]:
    with opened(place, unfinished_too=unfinished_too) as retiring:
        return retiring.retire(names)


def sets(place: Place) -> tuple[list[str], list[str]]:
    instance = place.instance
    return (
        list(instance.get_dynamic_partitions("scripts")),
        list(instance.get_dynamic_partitions("manifests")),
    )


def files(place: Place) -> set[str]:
    folder = place.data / "manifests"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}


def statuses(place: Place, keys: list[str]) -> dict[str, dict[str, Any]]:
    """What the UI colours partitions by."""
    return {
        asset: dict(
            place.instance.get_status_by_partition(dg.AssetKey(asset), keys, scripts_partitions)
            or {}
        )
        for asset in ASSETS
    }


def sent(place: Place) -> int:
    return sum(place.akool.emulator.stats().received.values())


def put(place: Place, name: str, *lines: str, stages: Sequence[Stage] = ()) -> None:
    """Puts a manifest in and has it made, without a run; that takes a second less."""
    manifest = read_manifest(place.put_manifest(name, *lines))
    write_scripts(manifest, place.data / "scripts" / f"{name}.parquet")
    place.instance.add_dynamic_partitions("manifests", [name])
    register_scripts(place.instance, manifest.keys)
    with opened_tools(place.akool, place.data) as tools:
        list(Walk(tools, run_id=f"made-{name}").outcomes(manifest.rows(), stages=stages))


@pytest.fixture
def done(place: Place) -> Place:
    """Two manifests; all videos are saved."""
    put(place, "m", plain_line("a"), plain_line("b"), stages=STAGES)
    put(place, "n", plain_line("c"), stages=STAGES)
    return place


def test_a_retired_manifest_is_gone_and_comes_back_as_it_was(place: Place) -> None:
    place.put_valid_manifest("m", plain_line("a"), plain_line("b", BAD))
    place.put_valid_manifest("n", plain_line("c"))
    place.run_range("generate_videos", "m.a", "n.c")
    old = time.time() - 60
    for path in (place.data / "manifests").iterdir():
        os.utime(path, (old, old))
    first = place.tick("manifest_sensor")
    keys = ["m.a", "m.b"]
    before, paid = statuses(place, keys), sent(place)
    assert {status.name for of in before.values() for status in of.values()} == {
        "MATERIALIZED",
        "FAILED",
    }

    (candidate,) = retire(place, "m", unfinished_too=True)
    assert (candidate.rows, dict(candidate.unfinished)) == (2, {"failed": 1})
    assert sets(place) == (["n.c"], ["n"])
    assert files(place) == {"n.csv", "retired/m.csv"}
    assert place.tick("manifest_sensor", cursor=first.cursor).run_requests == []
    assert place.requests("new_scripts_sensor") == []
    assert all(r.partition_key != "m" for r in place.requests("video_info_sensor"))
    retried = place.run(
        "retry_videos", run_config={"ops": {"retry_scripts": {"config": {"manifest": "m"}}}}
    )
    assert not retried.success
    assert sent(place) == paid
    assert place.instance.get_dynamic_partitions("manifests") == ["n"]
    assert place.materialized("downloaded_videos") == {"m.a", "n.c"}, "Dagster keeps its record"
    assert (place.data / "videos" / "m" / "a.mp4").exists()

    (place.data / "manifests" / "retired" / "m.csv").rename(place.data / "manifests" / "m.csv")
    back = place.tick("manifest_sensor", cursor=first.cursor)
    (request,) = [r for r in back.run_requests or () if r.partition_key == "m"]
    old_keys = {r.run_key for r in first.run_requests or ()}
    assert request.run_key not in old_keys, "Dagster starts no run twice for one key"
    assert place.run_request(request, job="validate_manifests").success
    assert sets(place) == (["n.c", "m.a", "m.b"], ["n", "m"])
    assert statuses(place, keys) == before
    assert place.requests("new_scripts_sensor") == []
    assert sent(place) == paid


def test_ten_thousand_keys_leave_quickly(done: Place) -> None:
    keys = [f"big.r{number}" for number in range(10_000)]
    register_scripts(done.instance, keys)
    began = time.monotonic()
    unregister_scripts(done.instance, [*keys, "no.such"])
    assert time.monotonic() - began < 5
    assert sets(done)[0] == ["m.a", "m.b", "n.c"]


def add_run(place: Place, job: str, status: DagsterRunStatus, **values: Any) -> str:
    run = place.instance.create_run_for_job(
        place.definitions.resolve_job_def(job), status=status, **values
    )
    return run.run_id


def add_backfill(
    place: Place, status: BulkActionStatus, asset: str, keys: list[str] | None
) -> None:
    """Stores a backfill as the webserver does; None for all partitions."""
    with warnings.catch_warnings():
        # Dagster calls what it has deprecated itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        backfill = PartitionBackfill.from_asset_partitions(
            asset_graph=place.definitions.resolve_asset_graph(),
            backfill_id=f"b-{uuid.uuid4().hex}",
            tags={},
            backfill_timestamp=time.time(),
            asset_selection=[dg.AssetKey(asset)],
            partition_names=keys,
            dynamic_partitions_store=place.instance,
            all_partitions=keys is None,
            title=None,
            description=None,
            run_config=None,
        )
    place.instance.add_backfill(backfill.with_status(status))


def add_job_backfill(place: Place, keys: list[str] | None) -> None:
    place.instance.add_backfill(
        PartitionBackfill(
            backfill_id=f"b-{uuid.uuid4().hex}",
            status=BulkActionStatus.REQUESTED,
            from_failure=False,
            tags={},
            backfill_timestamp=time.time(),
            partition_names=keys,
        )
    )


def is_held_back(place: Place, what: str) -> bool:
    """Whether one thing at work keeps it from being retired; ends that thing."""
    before = sets(place), files(place)
    _of_n, of_m = retire(place, "n", "m", unfinished_too=True)
    assert (sets(place), files(place)) == before
    for run in place.instance.get_runs():
        place.instance.delete_run(run.run_id)
    for backfill in place.instance.get_backfills():
        place.instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELED))
    return [r.startswith(what) and "is at work on it" in r for r in of_m.in_the_way] == [True]


STARTED, STARTING = DagsterRunStatus.STARTED, DagsterRunStatus.STARTING
MINE = range_tags(first="m.a", last="m.b")
REQUESTED, CANCELING = BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING


def test_a_living_run_is_never_touched(done: Place) -> None:
    run_id = add_run(done, "request_videos", STARTED, tags=MINE)
    with done.ledger() as ledger:
        ledger.run_signs.give(run_id)
    assert is_held_back(done, f"Run {run_id}")
    run_id = add_run(done, "request_videos", STARTING, tags=MINE)
    assert is_held_back(done, f"Run {run_id}")
    config = {"ops": {"retry_scripts": {"config": {"manifest": "m"}}}}
    run_id = add_run(done, "retry_videos", STARTING, run_config=config)
    assert is_held_back(done, f"Run {run_id}")
    run_id = add_run(done, "write_results", STARTING, tags={"dagster/partition": "m"})
    assert is_held_back(done, f"Run {run_id}")

    job = done.definitions.resolve_job_def("validate_manifests")
    run = done.instance.create_run_for_job(job, tags={"dagster/partition": "m"}, status=STARTING)
    done.instance.report_dagster_event(
        dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=job.name), run.run_id
    )
    begun = done.instance.get_run_by_id(run.run_id)
    assert begun is not None
    assert begun.status is STARTED
    assert is_held_back(done, f"Run {run.run_id}"), "it has given no sign yet"


def test_a_backfill_in_progress_is_never_touched(done: Place) -> None:
    add_backfill(done, REQUESTED, "video_requests", ["m.b"])
    assert is_held_back(done, "Backfill ")
    add_backfill(done, CANCELING, "video_requests", None)
    assert is_held_back(done, "Backfill ")
    add_backfill(done, REQUESTED, "batch_results", ["m"])
    assert is_held_back(done, "Backfill ")
    add_job_backfill(done, ["m.a"])
    assert is_held_back(done, "Backfill ")
    add_job_backfill(done, None)
    assert is_held_back(done, "Backfill ")


def test_what_is_over_or_another_s_is_no_hindrance(done: Place) -> None:
    add_run(done, "request_videos", STARTING, tags=range_tags(first="n.c", last="n.c"))
    add_run(done, "request_videos", STARTED, tags=MINE)  # killed: it gives no sign of life
    add_backfill(done, REQUESTED, "video_requests", ["n.c"])
    add_backfill(done, BulkActionStatus.COMPLETED_SUCCESS, "video_requests", ["m.a"])
    assert [candidate.in_the_way for candidate in retire(done, "m")] == [()]
    assert sets(done) == (["n.c"], ["n"])


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("[[video:lost]]", "1 script (m.x) in doubt"),
        ("[[voice:lost]]", "1 script (m.x) in doubt"),
        ("[[video:slow 100]]", "AKOOL may be working on 1 script (m.x)"),
    ],
)
def test_what_akool_was_asked_for_is_waited_for(done: Place, script: str, told: str) -> None:
    rows = plain_line("a"), plain_line("b"), plain_line("x", script)
    put(done, "m", *rows, stages=[Stage.VOICE, Stage.VIDEO])
    before = sets(done), files(done)
    (refused,) = retire(done, "m", unfinished_too=True)
    assert [reason for reason in refused.in_the_way if reason.startswith(told)]
    assert (sets(done), files(done)) == before

    put(done, "m", plain_line("a"), plain_line("b"))
    (refused,) = retire(done, "m", unfinished_too=True)
    assert refused.in_the_way[0].startswith(told), "its row was taken out of the file"


def test_a_finished_video_is_saved_first(done: Place) -> None:
    rows = plain_line("a"), plain_line("b"), plain_line("x")
    put(done, "m", *rows, stages=[Stage.VOICE, Stage.VIDEO])
    done.akool.emulator.clock.advance(3600)
    time.sleep(0.4)
    (download,) = [r for r in done.requests("video_info_sensor") if r.job_name == "download_videos"]
    (refused,) = retire(done, "m", unfinished_too=True)
    (reason,) = refused.in_the_way
    assert reason.startswith("AKOOL has finished 1 script (m.x), and the file is not saved (the")
    assert done.run_request(download, job="download_videos").success
    assert retire(done, "m")[0].in_the_way == ()


def test_rows_without_a_video_need_a_word_more(place: Place) -> None:
    put(place, "m", plain_line("a"), plain_line("b", BAD), stages=STAGES)
    put(place, "m", plain_line("a"), plain_line("b", BAD), plain_line("c"))
    (refused,) = retire(place, "m")
    (reason,) = refused.in_the_way
    assert reason.startswith("2 scripts have no video (1 failed, 1 new).")
    place.put_manifest("m", plain_line("a"))
    assert "was changed since it was validated" in retire(place, "m")[0].in_the_way[0]
    assert sets(place)[1] == ["m"]
    assert retire(place, "m", unfinished_too=True)[0].in_the_way == ()
    assert sets(place) == ([], [])
    place.put_manifest("fresh", plain_line("z"))
    assert "never validated" in retire(place, "fresh")[0].in_the_way[0]


@pytest.mark.parametrize("companion", ["manifests/m.texts.csv", "voices.csv"])
def test_a_file_that_goes_with_it_counts_as_its_own(done: Place, companion: str) -> None:
    path, later = done.data / companion, time.time() + 1
    path.write_text("script_id,language,script\n")
    os.utime(path, (later, later))
    (refused,) = retire(done, "m")
    (reason,) = refused.in_the_way
    assert reason.startswith("Its file, or one that goes with it, was changed since it was")
    os.utime(path, (later - 3600, later - 3600))
    assert retire(done, "m")[0].in_the_way == ()


def test_two_manifests_of_one_name_are_not_mixed_up(done: Place) -> None:
    retire(done, "m")
    put(done, "m", plain_line("other"))
    (refused,) = retire(done, "m", unfinished_too=True)
    assert "was retired before and has another content" in refused.in_the_way[0]
    assert {"m.csv", "retired/m.csv"} <= files(done)


def test_what_begins_while_it_is_being_retired_is_not_touched(
    done: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sets(done), files(done)
    rename, begun = data_root.rename, []

    def rename_and_begin(*args: Any) -> None:
        rename(*args)
        if not begun:
            begun.append(add_run(done, "request_videos", STARTING, tags=MINE))

    monkeypatch.setattr(data_root, "rename", rename_and_begin)
    of_n, of_m = retire(done, "n", "m")
    assert (of_n.in_the_way, len(of_m.in_the_way)) == ((), 1)
    assert begun[0] in of_m.in_the_way[0]
    assert (sorted(sets(done)[0]), sorted(sets(done)[1])) == (before[0][0], before[0][1])
    assert files(done) == before[1]


class Killed(BaseException):
    """As a kill would end it: nothing catches this."""


@pytest.mark.parametrize("boundary", range(10))
def test_a_kill_at_any_point_is_finished_by_running_it_again(
    done: Place, monkeypatch: pytest.MonkeyPatch, boundary: int
) -> None:
    texts = done.data / "manifests" / "m.texts.csv"
    texts.write_text("script_id,language,script\n")
    os.utime(texts, (0, 0))
    passed = 0

    def pass_boundary() -> None:
        nonlocal passed
        if passed == boundary:
            raise Killed
        passed += 1

    def dangerous(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            pass_boundary()
            answer = function(*args, **kwargs)
            pass_boundary()
            return answer

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(data_root, "rename", dangerous(data_root.rename))
        patch.setattr(retiring_module, "unregister_scripts", dangerous(unregister_scripts))
        patch.setattr(
            dg.DagsterInstance,
            "delete_dynamic_partition",
            dangerous(dg.DagsterInstance.delete_dynamic_partition),
        )
        with pytest.raises(Killed):
            retire(done, "m", "n")
    assert set(done.instance.get_dynamic_partitions("scripts")) <= {"m.a", "m.b", "n.c"}
    done.tick("manifest_sensor")
    assert done.requests("new_scripts_sensor") == []
    done.requests("video_info_sensor")
    assert [candidate.in_the_way for candidate in retire(done, "m", "n")] == [(), ()]
    assert sets(done) == ([], [])
    assert files(done) == {"retired/m.csv", "retired/m.texts.csv", "retired/n.csv"}
