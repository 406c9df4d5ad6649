"""The data root on real folders, on a remote file system, and when things break."""

import contextlib
import datetime as dt
import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from akool_dagster.storage import Storage, StorageError, open_storage, split_key

PART_SHAPE = "*.part"


@pytest.fixture
def local(tmp_path) -> Storage:
    return open_storage(str(tmp_path / "data"))


@pytest.fixture
def remote() -> Storage:
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    return open_storage("memory://bucket/akool")


@pytest.fixture(params=["local", "remote"])
def storage(request) -> Storage:
    return request.getfixturevalue(request.param)


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def files_of(storage: Storage) -> list[str]:
    fs = storage.root.fs
    root = storage.root.path.rstrip("/")
    return sorted(str(name).removeprefix(root + "/") for name in fs.find(storage.root.path))


# Layout


def test_layout(local):
    paths = [
        local.scripts_path("welcome"),
        local.voice_path("welcome.row-1", "mp3"),
        local.video_path("welcome.row-1"),
        local.results_path("welcome", ".html"),
        local.catalog_path("avatars"),
    ]
    assert [local.relative(path) for path in paths] == [
        "scripts/welcome.parquet",
        "voices/welcome/row-1.mp3",
        "videos/welcome/row-1.mp4",
        "results/welcome.html",
        "catalogs/avatars.parquet",
    ]


def test_layout_of_a_remote_root(remote):
    path = remote.video_path("welcome.row-1")
    assert str(path) == "memory://bucket/akool/videos/welcome/row-1.mp4"
    assert remote.relative(path) == "videos/welcome/row-1.mp4"


@pytest.mark.parametrize(
    "url", ["data", "./data", "{tmp}/data", "file://{tmp}/data", "local://{tmp}/data"]
)
def test_every_spelling_of_a_local_folder(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    storage = open_storage(url.format(tmp=tmp_path))
    assert storage.is_local
    assert str(storage.root) == str(tmp_path / "data")
    monkeypatch.chdir("/")
    storage.install_bytes(storage.catalog_path("avatars"), b"x")
    assert (tmp_path / "data/catalogs/avatars.parquet").read_bytes() == b"x"


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(open_storage("~/akool").root) == str(tmp_path / "akool")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "AKOOL_DATA"),
        ("  ", "AKOOL_DATA"),
        ("nosuchkind://user:secret@host/x", "nosuchkind.*form is unknown"),
        ("dropbox://user:secret@host/x", "library is missing"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_without_its_password(url, words):
    with pytest.raises(StorageError, match=words) as caught:
        open_storage(url)
    assert "secret" not in f"{caught.value!r} {caught.value}"


def test_opening_creates_nothing(tmp_path):
    open_storage(str(tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "a",
        "a.",
        ".b",
        "a.b.c",
        "../x.y",
        "a/b.c",
        "a.b/c",
        "a.b\n",
        "é.b",
        "a" * 65 + ".b",
    ],
)
def test_a_bad_key_is_refused(local, key):
    for path_of in (local.video_path, lambda key: local.voice_path(key, "mp3"), split_key):
        with pytest.raises(StorageError):
            path_of(key)


@pytest.mark.parametrize("extension", ["", ".mp3", "mp/3", "MP3", "../x", "mp3\n"])
def test_a_bad_extension_is_refused(local, extension):
    with pytest.raises(StorageError, match="no file extension"):
        local.voice_path("a.b", extension)


def test_a_relative_path_leads_back_to_its_file(storage):
    path = storage.video_path("m.s")
    assert not storage.exists("videos/m/s.mp4")
    storage.install_bytes(path, b"x")
    assert storage.path(storage.relative(path)) == path
    assert storage.exists("videos/m/s.mp4")


@pytest.mark.parametrize("relative", ["", ".", "..", "../x", "videos/../../x", "a//b", "a/./b"])
def test_a_relative_path_that_is_none_is_refused(local, relative):
    with pytest.raises(StorageError, match="inside the data root"):
        local.path(relative)


@given(text=st.text(max_size=70))
def test_no_name_leaves_the_root(text):
    storage = Storage(UPath("/data/root"))
    for path_of in (
        storage.scripts_path,
        storage.catalog_path,
        lambda name: storage.results_path(name, ".csv"),
        lambda name: storage.video_path(f"m.{name}"),
        lambda name: storage.voice_path(f"{name}.s", "mp3"),
    ):
        with contextlib.suppress(StorageError):
            path = path_of(text)
            assert os.path.normpath(path.path) == path.path
            assert path.path.startswith("/data/root/")


# Listing


def test_manifests(storage):
    folder = storage.root / "manifests"
    assert storage.manifests() == []
    (folder / "folder.csv").mkdir(parents=True)
    for name in ("b.csv", "a.parquet", "C.CSV"):
        (folder / name).write_bytes(b"x")
    for name in (".hidden.csv", "~$a.csv", "x.csv.part", ".y.csv.part", "notes.txt", "csv"):
        (folder / name).write_bytes(b"x")
    (folder / "folder.csv" / "inner.csv").write_bytes(b"x")
    assert storage.manifests() == [folder / "C.CSV", folder / "a.parquet", folder / "b.csv"]
    (folder / "new.csv").write_bytes(b"x")
    assert folder / "new.csv" in storage.manifests()


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(broken, monkeypatch):
    broken.install_bytes(broken.root / "manifests" / "a.csv", b"x")
    monkeypatch.setattr(Breakable, "fail_ls", True)
    with pytest.raises(StorageError, match=r"Could not list .*manifests"):
        broken.manifests()


# Writing


def test_a_file_is_installed_and_replaced(storage):
    path = storage.video_path("m.s")
    storage.install_bytes(path, b"one")
    assert path.read_bytes() == b"one"
    storage.install_bytes(path, b"")
    assert path.read_bytes() == b""
    assert files_of(storage) == ["videos/m/s.mp4"]


def test_nothing_is_seen_before_the_end(storage, temporary):
    path = storage.video_path("m.s")
    with storage.install_file(path) as handle:
        handle.write(b"half")
        handle.flush()
        assert not path.exists()
        assert Path(handle.name).read_bytes() == b"half"
    assert path.read_bytes() == b"half"
    assert list(temporary.iterdir()) == []


def test_an_error_leaves_the_old_file_and_no_part(storage, temporary):
    path = storage.video_path("m.s")
    storage.install_bytes(path, b"old")
    with pytest.raises(KeyboardInterrupt), storage.install_file(path) as handle:
        handle.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert files_of(storage) == ["videos/m/s.mp4"]
    assert list(temporary.iterdir()) == []


def test_other_peoples_errors_pass_unchanged(local):
    with pytest.raises(ConnectionResetError), local.install_file(local.video_path("m.s")):
        raise ConnectionResetError(errno.ECONNRESET, "reset")


def test_a_library_may_write_and_close(storage):
    path = storage.scripts_path("m")
    with storage.install_file(path) as handle:
        pd.DataFrame({"a": [1, 2]}).to_parquet(handle)
        handle.close()
    with path.open("rb") as file:
        assert pd.read_parquet(file)["a"].to_list() == [1, 2]


def test_permissions_follow_the_umask(local):
    path = local.video_path("m.s")
    before = os.umask(0o027)
    try:
        local.install_bytes(path, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(path.path).stat().st_mode) == 0o640


@pytest.mark.parametrize("outside", ["../x.mp4", "videos/../../x.mp4", "/etc/x.mp4", ""])
def test_a_path_outside_of_the_root_is_refused(local, outside):
    path = local.root / outside
    with pytest.raises(StorageError, match="not a file inside the data root"):
        local.install_bytes(path, b"x")
    with pytest.raises(StorageError, match="not a file inside the data root"):
        local.copy(path, local.video_path("m.s"))


def test_a_file_in_the_place_of_a_folder_is_explained(local):
    local.install_bytes(local.root / "videos", b"a file")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        local.install_bytes(local.video_path("m.s"), b"x")


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_killed_writer_leaves_the_old_file(local, old):
    path = local.video_path("m.s")
    if old is not None:
        local.install_bytes(path, old)
    code = """
import os, signal, sys
from akool_dagster.storage import open_storage
storage = open_storage(sys.argv[1])
with storage.install_file(storage.video_path("m.s")) as handle:
    handle.write(b"x" * 3_000_000)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-c", code, str(local.root)], check=False)
    assert run.returncode == -signal.SIGKILL
    assert (path.read_bytes() if path.exists() else None) == old
    assert len(list(Path(path.parent.path).glob(".*.part"))) == 1
    tomorrow = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=1, minutes=1)
    assert len(local.remove_stale_parts(now=tomorrow)) == 1
    assert files_of(local) == ([] if old is None else ["videos/m/s.mp4"])


FULL_DISK = """
import resource, signal, sys
from akool_dagster.storage import StorageError, open_storage
storage = open_storage(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
path = storage.video_path("m.s")
try:
    {write}
except StorageError as error:
    print(error)
else:
    sys.exit("nothing was raised")
"""


@pytest.mark.parametrize(
    "write",
    [
        "storage.install_bytes(path, bytes(3_000_000))",
        "part = storage.open_part(path); part.write(bytes(3_000_000)); part.commit()",
    ],
    ids=["bytes", "part"],
)
def test_a_full_disk_is_told_in_plain_words(local, write):
    path = local.video_path("m.s")
    local.install_bytes(path, b"old")
    code = FULL_DISK.format(write=write)
    run = subprocess.run(
        [sys.executable, "-c", code, str(local.root)], capture_output=True, text=True, check=True
    )
    assert "the disk is full" in run.stdout
    assert "Free some space or let AKOOL_DATA name a larger disk" in run.stdout
    assert f"Could not write {path}: " in run.stdout
    assert path.read_bytes() == b"old"


def test_a_full_disk_leaves_no_part(local):
    path = local.video_path("m.s")
    code = FULL_DISK.format(write="storage.install_bytes(path, bytes(3_000_000))")
    subprocess.run([sys.executable, "-c", code, str(local.root)], capture_output=True, check=True)
    assert files_of(local) == []
    assert not path.exists()


def test_space_is_asked_for_beforehand(local):
    part = local.open_part(local.video_path("m.s"))
    part.require_space(1)
    with pytest.raises(StorageError, match=r"the disk is full.*are free"):
        part.require_space(1 << 60)
    part.discard()
    assert files_of(local) == []


# Copies


def test_copy(storage):
    source, target = storage.video_path("m.one"), storage.video_path("other.two")
    storage.install_bytes(source, b"film" * 1000)
    storage.install_bytes(target, b"old")
    storage.copy(source, target)
    storage.install_bytes(source, b"changed")
    assert target.read_bytes() == b"film" * 1000
    assert files_of(storage) == ["videos/m/one.mp4", "videos/other/two.mp4"]


def test_copy_of_what_is_not_there(storage):
    storage.install_bytes(storage.video_path("m.two"), b"old")
    with pytest.raises(StorageError, match=r"Could not copy .*one\.mp4: it is not there"):
        storage.copy(storage.video_path("m.one"), storage.video_path("m.two"))
    assert storage.video_path("m.two").read_bytes() == b"old"
    assert files_of(storage) == ["videos/m/two.mp4"]


# Retired manifests


def test_a_retired_manifest_and_its_texts_move_out_of_sight_and_back(storage):
    folder = storage.root / "manifests"
    for name in ("m.CSV", "m.texts.csv", "m2.csv", "n.csv"):
        storage.install_bytes(folder / name, name.encode())
    assert storage.retired_manifests() == []
    storage.retire_manifest("m")
    storage.retire_manifest("m")
    assert storage.manifests() == [folder / "m2.csv", folder / "n.csv"]
    assert storage.retired_manifests() == [folder / "retired" / "m.CSV"]
    assert (folder / "retired" / "m.texts.csv").read_bytes() == b"m.texts.csv"
    storage.restore_manifest("m")
    assert (folder / "m.CSV").read_bytes() == b"m.CSV"
    assert files_of(storage) == [
        f"manifests/{name}" for name in ("m.CSV", "m.texts.csv", "m2.csv", "n.csv")
    ]


def test_a_retired_manifest_is_never_replaced_by_another(storage):
    old, new = storage.root / "manifests" / "retired" / "m.csv", storage.root / "manifests/m.csv"
    storage.install_bytes(old, b"old")
    storage.install_bytes(new, b"new")
    with pytest.raises(StorageError, match=r"m\.csv is there already and has another content"):
        storage.retire_manifest("m")
    assert (old.read_bytes(), new.read_bytes()) == (b"old", b"new")
    storage.install_bytes(new, b"old")  # as a move that was killed halfway leaves it
    storage.retire_manifest("m")
    assert files_of(storage) == ["manifests/retired/m.csv"]


# A remote system that breaks


class Breakable(MemoryFileSystem):
    """A remote file system whose calls can be made to fail half-way, with its own files."""

    store: ClassVar[dict] = {}  # pyright: ignore[reportIncompatibleVariableOverride]
    pseudo_dirs: ClassVar[list[str]] = [""]
    fail_put = fail_ls = fail_rm = swallow = False
    moves = 0

    def put_file(self, lpath, rpath, callback=None, mode="overwrite", **kwargs):
        data = Path(lpath).read_bytes()
        if self.fail_put or self.swallow:
            self.pipe_file(rpath, data[: len(data) // 2])
        if self.fail_put:
            raise OSError("503 Slow Down")
        if not self.swallow:
            self.pipe_file(rpath, data)

    def mv(self, *args, **kwargs):
        Breakable.moves += 1
        super().mv(*args, **kwargs)

    def ls(self, path, detail=True, **kwargs):
        if self.fail_ls:
            raise TimeoutError("no answer")
        return super().ls(path, detail=detail, **kwargs)

    def rm_file(self, path):
        if self.fail_rm:
            raise OSError("403 Forbidden")
        super().rm_file(path)


class Bucket(Breakable):
    """The same with the addresses of an object store."""

    protocol = ("gs", "gcs")

    @classmethod
    def _strip_protocol(cls, path):
        return str(path).removeprefix("gs://").strip("/")


@pytest.fixture
def broken(monkeypatch):
    """A data root on ``memory://``, whose put is not atomic, made breakable."""
    for name in ("fail_put", "fail_ls", "fail_rm", "swallow"):
        monkeypatch.setattr(Breakable, name, False)
    monkeypatch.setattr(Breakable, "moves", 0)
    Breakable.store.clear()
    monkeypatch.setitem(_registry, "memory", Breakable)
    return open_storage("memory://bucket/akool")


@pytest.fixture
def bucket(broken, monkeypatch):
    """A data root in an object store, whose put is atomic."""
    monkeypatch.setitem(_registry, "gs", Bucket)
    return open_storage("gs://bucket/akool")


@pytest.mark.parametrize("fault", ["fail_put", "swallow"])
def test_a_broken_upload_is_never_seen(broken, temporary, monkeypatch, fault):
    path = broken.video_path("m.s")
    broken.install_bytes(path, b"old film")
    monkeypatch.setattr(Breakable, fault, True)
    with pytest.raises(StorageError, match=r"s\.mp4"):
        broken.install_bytes(path, b"new film")
    assert path.read_bytes() == b"old film"
    assert files_of(broken) == ["videos/m/s.mp4"]
    assert list(temporary.iterdir()) == []


def test_an_object_store_is_written_without_a_detour(bucket):
    path = bucket.video_path("m.s")
    bucket.install_bytes(path, b"film")
    bucket.copy(path, bucket.video_path("m.t"))
    assert bucket.video_path("m.t").read_bytes() == b"film"
    assert files_of(bucket) == ["videos/m/s.mp4", "videos/m/t.mp4"]
    assert Bucket.moves == 0


def test_an_object_that_arrived_with_another_size_is_an_error(bucket, monkeypatch):
    monkeypatch.setattr(Breakable, "swallow", True)
    with pytest.raises(StorageError, match="4 bytes after it was sent, expected 8"):
        bucket.install_bytes(bucket.video_path("m.s"), b"new film")


def test_a_full_temporary_folder_names_tmpdir(remote, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(StorageError, match="TMPDIR"):
        remote.install_bytes(remote.video_path("m.s"), b"x")


# Care


def test_check_writable(storage):
    storage.check_writable()
    assert files_of(storage) == []


def test_check_writable_says_what_is_wrong(tmp_path, broken, monkeypatch):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StorageError, match="Move away what stands in its place"):
        open_storage(str(tmp_path / "data")).check_writable()
    monkeypatch.setattr(Breakable, "fail_put", True)
    with pytest.raises(StorageError, match="503 Slow Down"):
        broken.check_writable()


def test_only_old_parts_are_removed(local):
    folder = Path(local.root.path) / "videos" / "m"
    folder.mkdir(parents=True)
    old, young, foreign = (
        folder / f".s.mp4.{'0' * 32}.part",
        folder / f".t.mp4.{'1' * 32}.part",
        folder / ".my-own.part",
    )
    for path in (old, young, foreign):
        path.write_bytes(b"x")
    two_days_ago = dt.datetime.now(dt.timezone.utc).timestamp() - 2 * 86_400
    for path in (old, foreign):
        os.utime(path, (two_days_ago, two_days_ago))
    assert local.remove_stale_parts() == [str(old)]
    assert sorted(folder.iterdir()) == sorted([young, foreign])


def test_parts_of_uploads_are_removed_too(remote, temporary):
    (temporary / f".s.mp4.{'0' * 32}.part").write_bytes(b"x")
    hidden = remote.root / "videos" / "m" / f".s.mp4.{'1' * 32}.part"
    remote.install_bytes(hidden, b"x")
    assert remote.remove_stale_parts() == []
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=2)
    assert len(remote.remove_stale_parts(now=later)) == 2
    assert files_of(remote) == []
    assert list(temporary.iterdir()) == []


# Parts that outlive a process

needs_boot_id = pytest.mark.skipif(
    not Path("/proc/sys/kernel/random/boot_id").exists(), reason="parts are kept on Linux only"
)


@needs_boot_id
def test_a_kept_part_comes_back_to_the_same_identity_only(local):
    path = local.video_path("m.s")
    part = local.open_part(path, identity="link etag 8")
    part.write(b"half")
    part.keep()
    other = local.open_part(path, identity="link etag 9")
    assert other.kept_bytes == 0
    other.discard()
    same = local.open_part(path, identity="link etag 8")
    assert same.kept_bytes == 4
    same.write(b"rest")
    same.commit()
    assert path.read_bytes() == b"halfrest"
    assert files_of(local) == ["videos/m/s.mp4"]
    fresh = local.open_part(path, identity="link etag 8")
    assert fresh.kept_bytes == 0
    fresh.discard()


@needs_boot_id
def test_a_kept_part_can_be_started_over(local):
    part = local.open_part(local.video_path("m.s"), identity="x")
    part.write(b"wrong beginning")
    part.restart()
    part.write(b"right")
    part.commit()
    assert local.video_path("m.s").read_bytes() == b"right"


def test_without_an_identity_nothing_is_kept(storage, temporary):
    part = storage.open_part(storage.video_path("m.s"))
    part.write(b"half")
    part.keep()
    assert files_of(storage) == []
    assert list(temporary.iterdir()) == []


@needs_boot_id
def test_a_part_in_use_is_not_shared(local):
    path = local.video_path("m.s")
    first = local.open_part(path, identity="x")
    first.write(b"first")
    first.flush()
    second = local.open_part(path, identity="x")
    assert second.kept_bytes == 0
    second.write(b"second")
    second.commit()
    assert path.read_bytes() == b"second"
    first.commit()
    assert path.read_bytes() == b"first"
    assert files_of(local) == ["videos/m/s.mp4"]


@needs_boot_id
def test_a_part_that_was_finished_while_it_was_being_opened_is_left_alone(local, monkeypatch):
    """Between the opening and the locking of a part its owner may rename it to the target."""
    path = local.video_path("m.s")
    owner = local.open_part(path, identity="x")
    owner.write(b"whole")
    from akool_dagster.storage import file_part as module

    lock = module._lock

    def finish_then_lock(handle):
        owner.commit()
        return lock(handle)

    monkeypatch.setattr(module, "_lock", finish_then_lock)
    late = local.open_part(path, identity="x")
    assert late.kept_bytes == 0
    late.write(b"late")
    late.discard()
    assert path.read_bytes() == b"whole"


@needs_boot_id
def test_many_writers_of_one_file_never_mix(local):
    path = local.video_path("m.s")
    bodies = [bytes([number]) * 300_000 for number in range(8)]
    seen: set[bytes] = set()

    def write(body: bytes) -> None:
        for _ in range(20):
            part = local.open_part(path, identity="x")
            part.restart()
            for start in range(0, len(body), 50_000):
                part.write(body[start : start + 50_000])
            part.commit()
            seen.add(path.read_bytes())

    threads = [threading.Thread(target=write, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen <= set(bodies)
    assert files_of(local) == ["videos/m/s.mp4"]
