"""The data root in S3, on a real server: nothing on this disk, and no half file in the bucket."""

import contextlib
import datetime as dt
import hashlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from s3fs import S3FileSystem

from akool_dagster.downloads import (
    BadDownload,
    Downloader,
    DownloadInterrupted,
    LinkDied,
)
from akool_dagster.emulator import RunningEmulator
from akool_dagster.media import probe
from akool_dagster.storage import Storage, StorageError, open_storage
from akool_dagster_tests.s3_place import ACCESS_KEY, SECRET_KEY, Bucket, new_bucket, s3_server
from akool_dagster_tests.support import plain_line, write_manifest
from akool_dagster_tests.test_downloads import (
    FETCH_IN_A_PROCESS,
    FILM,
    MIB,
    OTHER_FILM,
    QUICK,
    Answer,
    Host,
    _wait_for,
    by_the_rules,
    cut,
    in_turn,
    padded,
)
from akool_dagster_tests.test_media import MP3, MP4_INDEX_LAST, WEBM

FOLDER = "akool"
TARGET = f"{FOLDER}/videos/m/s.mp4"
LARGE = padded(FILM, 16 * MIB)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket, and an environment as a user sets it."""
    made = new_bucket(server)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**made.environment, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def storage(bucket: Bucket) -> Storage:
    return open_storage(f"s3://{bucket.name}/{FOLDER}")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture
def downloader() -> Iterator[Downloader]:
    with Downloader(timeouts=QUICK, sleep=lambda _: None) as made:
        yield made


def fetch(downloader: Downloader, host: Host, storage: Storage):
    return downloader.fetch(host.url, storage.video_path("m.s"), storage=storage, expect="video")


def later(days: float) -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=days)


# Downloads


@pytest.mark.parametrize("film", [FILM, MP4_INDEX_LAST, WEBM, LARGE])
def test_a_whole_film_is_saved_and_nothing_else_is_left(
    host: Host, bucket: Bucket, storage: Storage, downloader: Downloader, film: bytes
) -> None:
    host.script = lambda request: by_the_rules(film, request)
    saved = fetch(downloader, host, storage)
    assert str(saved.path) == f"s3://{bucket.name}/{TARGET}"
    assert bucket.read(TARGET) == film
    assert saved.sha256 == hashlib.sha256(film).hexdigest()
    assert (saved.size_bytes, saved.media.kind) == (len(film), "video")
    assert (bucket.keys, bucket.uploads) == ([TARGET], [])


def test_a_film_so_large_that_s3fs_copies_it_in_parts(
    host: Host,
    bucket: Bucket,
    storage: Storage,
    downloader: Downloader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("s3fs.core.MANAGED_COPY_THRESHOLD", 10 * MIB)  # instead of 150 MiB
    host.script = lambda request: by_the_rules(LARGE, request)
    fetch(downloader, host, storage)
    assert bucket.read(TARGET) == LARGE
    assert (bucket.keys, bucket.uploads) == ([TARGET], [])


@pytest.mark.parametrize("old", [None, b"old film"])
def test_a_film_on_its_way_is_on_no_disk_and_not_under_its_name(
    host: Host,
    bucket: Bucket,
    storage: Storage,
    downloader: Downloader,
    temporary: Path,
    old: bytes | None,
) -> None:
    if old is not None:
        bucket.put(TARGET, old)
    keys = bucket.keys
    gone = threading.Event()
    first = Answer(LARGE, headers={"ETag": '"v1"'}, cut=12 * MIB, wait_at_cut=gone)
    host.script = in_turn(lambda request: first, lambda request: by_the_rules(LARGE, request))
    # The host is silent at 12 MiB until we have looked.
    patient = Downloader(sleep=lambda _: None)
    results: list = []
    with patient:
        thread = threading.Thread(target=lambda: results.append(fetch(patient, host, storage)))
        thread.start()
        try:
            _wait_for(lambda: bool(bucket.uploads))
            assert list(temporary.iterdir()) == []
            assert bucket.keys == keys
            assert old is None or bucket.read(TARGET) == old
            (hidden,) = bucket.uploads
            assert hidden.startswith(f"{FOLDER}/videos/m/.s.mp4.")
        finally:
            gone.set()
            thread.join()
    (saved,) = results
    # The link broke: the rest was asked for, and the upload went on where it was.
    assert [request.first_byte for request in host.requests] == [0, 12 * MIB]
    assert saved.resumed_bytes == 12 * MIB
    assert bucket.read(TARGET) == LARGE
    assert saved.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (bucket.keys, bucket.uploads) == ([TARGET], [])
    assert list(temporary.iterdir()) == []


def test_a_reader_meets_the_old_film_or_the_whole_new_one(
    host: Host, bucket: Bucket, storage: Storage, downloader: Downloader
) -> None:
    bucket.put(TARGET, OTHER_FILM)
    host.script = lambda request: by_the_rules(LARGE, request)
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(bucket.read(TARGET))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        fetch(downloader, host, storage)
    finally:
        done.set()
        reader.join()
    seen.add(bucket.read(TARGET))
    assert seen == {OTHER_FILM, LARGE}


def test_another_version_starts_the_upload_over(
    host: Host, bucket: Bucket, storage: Storage, downloader: Downloader
) -> None:
    other = padded(OTHER_FILM, 7 * MIB)
    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE, request), 12 * MIB),
        lambda request: by_the_rules(other, request, etag='"v2"'),
    )
    saved = fetch(downloader, host, storage)
    assert (saved.resumed_bytes, bucket.read(TARGET)) == (0, other)
    assert (bucket.keys, bucket.uploads) == ([TARGET], [])


def test_a_host_that_ignores_ranges_starts_the_upload_over(
    host: Host, bucket: Bucket, storage: Storage, downloader: Downloader
) -> None:
    whole = Answer(LARGE, headers={"ETag": '"v1"'})
    host.script = in_turn(lambda request: cut(whole, 12 * MIB), lambda request: whole)
    assert fetch(downloader, host, storage).resumed_bytes == 0
    assert [request.first_byte for request in host.requests] == [0, 12 * MIB]
    assert bucket.read(TARGET) == LARGE
    assert (bucket.keys, bucket.uploads) == ([TARGET], [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<html>", "HTML page"),
        (MP3, "no moving pictures"),
        (FILM[:-1], "cut off"),
        (bytes(12 * MIB), "no media file"),
        (LARGE.replace(b"moov", b"uuid"), "no media file|neither"),
    ],
    ids=["nothing", "page", "sound", "cut", "zeros", "no index"],
)
def test_what_does_not_play_is_never_seen(
    host: Host,
    bucket: Bucket,
    storage: Storage,
    downloader: Downloader,
    data: bytes,
    words: str,
) -> None:
    bucket.put(TARGET, b"old")
    host.script = lambda request: Answer(data)
    with pytest.raises(BadDownload, match=words):
        fetch(downloader, host, storage)
    assert bucket.read(TARGET) == b"old"
    assert (bucket.keys, bucket.uploads) == ([TARGET], [])


@pytest.mark.parametrize(
    ("status", "error"),
    [("503 Service Unavailable", DownloadInterrupted), ("403 Forbidden", LinkDied)],
)
def test_a_film_that_stops_halfway_leaves_nothing(
    host: Host,
    bucket: Bucket,
    storage: Storage,
    downloader: Downloader,
    status: str,
    error: type[Exception],
) -> None:
    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE, request), 12 * MIB),
        lambda request: Answer(status=status),
    )
    with pytest.raises(error):
        fetch(downloader, host, storage)
    assert (bucket.keys, bucket.uploads) == ([], [])


def test_a_stopped_run_leaves_nothing(host: Host, bucket: Bucket, storage: Storage) -> None:
    def stop(_: float) -> None:
        assert bucket.uploads
        raise KeyboardInterrupt

    host.script = lambda request: cut(by_the_rules(LARGE, request), 12 * MIB)
    with Downloader(timeouts=QUICK, sleep=stop) as stopped, pytest.raises(KeyboardInterrupt):
        fetch(stopped, host, storage)
    assert (bucket.keys, bucket.uploads) == ([], [])


def test_a_killed_download_leaves_an_upload_that_is_found_later(
    host: Host, bucket: Bucket, storage: Storage, downloader: Downloader
) -> None:
    event = threading.Event()
    first = Answer(LARGE, headers={"ETag": '"v1"'}, cut=12 * MIB, wait_at_cut=event)
    host.script = lambda request: first
    command = [sys.executable, "-c", FETCH_IN_A_PROCESS, host.url, str(storage.root)]
    process = subprocess.Popen(command)
    _wait_for(lambda: bool(bucket.uploads))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    event.set()
    assert bucket.keys == []

    host.script = lambda request: by_the_rules(LARGE, request)
    fetch(downloader, host, storage)
    assert bucket.read(TARGET) == LARGE
    (left,) = bucket.uploads
    assert storage.remove_stale_parts(now=later(0.9)) == []
    assert storage.remove_stale_parts(now=later(1.1)) == [f"{bucket.name}/{left}"]
    assert (bucket.keys, bucket.uploads) == ([TARGET], [])


def test_memory_does_not_grow_with_the_film(
    host: Host, bucket: Bucket, storage: Storage, downloader: Downloader
) -> None:
    film = padded(FILM, 60 * MIB)
    host.script = lambda request: by_the_rules(film, request)
    storage.check_writable()  # loads what S3 needs once
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        fetch(downloader, host, storage)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 30 * MIB
    assert bucket.keys == [TARGET]


def test_a_store_that_forgets_the_upload_is_told(
    host: Host, bucket: Bucket, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a lifecycle rule of the bucket may do it."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # moto answers with 500, which would be retried
    S3FileSystem.clear_instance_cache()
    storage = open_storage(str(storage.root))
    bucket.put(TARGET, b"old")

    def forget(_: float) -> None:
        bucket.end_uploads()

    host.script = in_turn(
        lambda request: cut(by_the_rules(LARGE, request), 12 * MIB),
        lambda request: by_the_rules(LARGE, request),
    )
    with (
        Downloader(timeouts=QUICK, sleep=forget) as downloader,
        pytest.raises(StorageError, match=r"Could not send .*s\.mp4"),
    ):
        fetch(downloader, host, storage)
    S3FileSystem.clear_instance_cache()
    assert bucket.read(TARGET) == b"old"
    assert (bucket.keys, bucket.uploads) == ([TARGET], [])


def test_a_part_that_is_lost_before_its_last_step_leaves_the_old_film(
    bucket: Bucket, storage: Storage
) -> None:
    bucket.put(TARGET, b"old")
    part = storage.open_part(storage.video_path("m.s"))
    part.write(FILM)
    part.flush()
    (hidden,) = set(bucket.keys) - {TARGET}
    bucket.client.delete_object(Bucket=bucket.name, Key=hidden)
    with pytest.raises(StorageError, match="Could not send"):
        part.commit()
    assert (bucket.keys, bucket.read(TARGET)) == ([TARGET], b"old")


def test_a_part_that_cannot_be_read_back_is_told(bucket: Bucket, storage: Storage) -> None:
    part = storage.open_part(storage.video_path("m.s"))
    part.write(FILM)
    part.flush()
    (hidden,) = bucket.keys
    bucket.client.delete_object(Bucket=bucket.name, Key=hidden)
    with pytest.raises(OSError), part.reading() as file:
        probe(file)
    part.discard()


@pytest.mark.parametrize("size", [10, 12 * MIB])
def test_a_bucket_that_is_not_there_is_told_without_a_secret(
    bucket: Bucket, host: Host, downloader: Downloader, size: int
) -> None:
    storage = open_storage("s3://no-such-bucket/akool")
    host.script = lambda request: Answer(bytes(size))
    with pytest.raises(StorageError, match="it is not there") as caught:
        fetch(downloader, host, storage)
    shown = "".join(traceback.format_exception(caught.value))
    assert "AKOOL_DATA" in shown
    assert SECRET_KEY not in shown
    assert ACCESS_KEY not in shown


# Care


def test_only_old_parts_and_uploads_of_this_root_are_removed(
    bucket: Bucket, storage: Storage
) -> None:
    part = f".s.mp4.{'0' * 32}.part"
    ours = [f"{FOLDER}/videos/m/{part}", f"{FOLDER}/voices/m/{part}"]
    foreign = [f"{FOLDER}/mine/{part}", f"{FOLDER}-2/videos/m/{part}", f"other/{part}"]
    for key in (*ours, *foreign):
        bucket.begin_upload(key)
        bucket.put(key, b"x")
    bucket.put(TARGET, b"a film")
    bucket.begin_upload(TARGET)  # as s3fs copies a large part to it
    assert storage.remove_stale_parts() == []
    removed = storage.remove_stale_parts(now=later(2))
    assert sorted(removed) == sorted(f"{bucket.name}/{key}" for key in [*ours * 2, TARGET])
    assert (bucket.keys, bucket.uploads) == (sorted([*foreign, TARGET]), sorted(foreign))


def test_manifests_are_listed_copied_retired_and_restored(bucket: Bucket, storage: Storage) -> None:
    assert storage.manifests() == []
    storage.check_writable()
    for name in ("b.csv", "a.csv", "a.texts.csv"):
        bucket.put(f"{FOLDER}/manifests/{name}", name.encode())
    folder = storage.root / "manifests"
    assert storage.manifests() == [folder / "a.csv", folder / "b.csv"]
    assert storage.companions(folder / "a.csv") == [folder / "a.texts.csv"]
    storage.retire_manifest("a")
    assert storage.manifests() == [folder / "b.csv"]
    assert storage.retired_manifests() == [folder / "retired" / "a.csv"]
    storage.restore_manifest("a")
    storage.copy(folder / "a.csv", folder / "c.csv")
    storage.install_bytes(folder / "d.csv", b"d.csv")
    names = ["a.csv", "a.texts.csv", "b.csv", "c.csv", "d.csv"]
    assert bucket.keys == [f"{FOLDER}/manifests/{name}" for name in names]
    assert bucket.read(f"{FOLDER}/manifests/c.csv") == b"a.csv"
    with pytest.raises(StorageError, match="it is not there"):
        storage.copy(folder / "e.csv", folder / "f.csv")


def test_what_others_change_is_seen_at_once(bucket: Bucket, storage: Storage) -> None:
    path = storage.video_path("m.s")
    bucket.put(TARGET.replace("s.mp4", "t.mp4"), b"another")
    assert storage.remove_stale_parts() == []
    assert [entry.name for entry in path.parent.iterdir()] == ["t.mp4"]
    assert not storage.exists("videos/m/s.mp4")
    bucket.put(TARGET, b"one")
    assert [entry.name for entry in path.parent.iterdir()] == ["s.mp4", "t.mp4"]
    assert storage.exists("videos/m/s.mp4")
    bucket.put(TARGET, b"longer")
    assert path.read_bytes() == b"longer"
    bucket.client.delete_object(Bucket=bucket.name, Key=TARGET)
    assert not storage.exists("videos/m/s.mp4")


# A whole batch


def test_a_whole_batch_lives_in_the_bucket(
    bucket: Bucket, emulator: RunningEmulator, tmp_path: Path
) -> None:
    """The command as a user starts it; its temporary folder is watched for copies of films."""
    sheet = write_manifest(tmp_path / "sheets", "m", *(plain_line(name) for name in "ab"))
    temporary, home = tmp_path / "temporary", tmp_path / "home"
    temporary.mkdir()
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs_count() == 0
    environment = os.environ | {
        "AKOOL_BASE_URL": emulator.url,
        "AKOOL_API_KEY": emulator.api_key,
        "AKOOL_DATA": f"s3://{bucket.name}/{FOLDER}",
        "AKOOL_LEDGER": f"sqlite:///{tmp_path / 'ledger.sqlite'}",
        "AKOOL_POLL_SECONDS": "0.1",
        "DAGSTER_HOME": str(home),
        "TMPDIR": str(temporary),
    }
    command = [str(Path(sys.executable).parent / "akool-dagster"), "run", str(sheet)]
    seen: set[str] = set()
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as process:  # fmt: skip
        while process.poll() is None:
            seen |= {path.name for path in temporary.rglob("*.part")}
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        assert process.stdout is not None
        told = process.stdout.read()
    assert process.returncode == 0, told
    assert "2 of 2 videos" in told
    assert not any(".mp4." in name or ".mp3." in name for name in seen)
    films = [f"{FOLDER}/videos/m/{name}.mp4" for name in "ab"]
    assert [key for key in bucket.keys if "/videos/" in key] == films
    assert not any(key.endswith(".part") for key in bucket.keys)
    assert bucket.uploads == []
    results = pd.read_csv(io.BytesIO(bucket.read(f"{FOLDER}/results/m.csv")))
    assert results["status"].tolist() == ["saved"] * 2
    for key in films:
        assert probe(io.BytesIO(bucket.read(key))).kind == "video"
