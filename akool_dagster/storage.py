"""The data root: where every file lives, and how it gets there whole or not at all.

The root is a local folder or any fsspec address (``s3://bucket/akool``). A file is first written
to a hidden ``.part`` file and takes its place in one step when it is complete, so a reader, a
crash or a power cut meets either the old file, or none, or the whole new one:

* local: the part lies beside its target, is fsynced, renamed, and the folder is fsynced;
* object stores: the part is a local temporary file, sent with the store's own put, which shows an
  object only when all of it has arrived;
* other remote systems (``sftp://``): sent to a hidden part beside the target, then renamed.

Every failure is a ``StorageError`` that names the file and what to do; it leaves no part behind
and the old file as it was.
"""

import contextlib
import datetime as dt
import errno
import hashlib
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from upath import UPath

from akool_dagster.file_endings import MANIFEST_SUFFIXES, TEXTS_SUFFIXES

if sys.platform != "win32":
    import fcntl

RETIRED = "retired"
"""The folder, inside that of the manifests, of those that Dagster is to forget."""
STALE_PART_SECONDS = 24 * 3600
COPY_BYTES = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_PART = re.compile(r"\..+\.[0-9a-f]{32}\.part")
_OUTPUT_FOLDERS = ("scripts", "voices", "videos", "results", "catalogs")
_LOCAL_PROTOCOLS = {"", "file", "local"}
# Their put of one object is all or nothing, so it needs no detour over a hidden name.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss"}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP}


class StorageError(Exception):
    """A file of the data root could not be read, written or named.

    Attributes:
        path: The file or folder concerned, as shown in the message.
    """

    def __init__(self, message: str, *, path: object) -> None:
        super().__init__(message)
        self.path = str(path)


def open_storage(url: str = "data") -> "Storage":
    """Opens a data root; creates nothing yet.

    Args:
        url: A local folder (``data``, ``~/akool``, ``file:///srv/akool``) or an fsspec address. A
            relative folder is fixed to the working directory of this moment.

    Raises:
        StorageError: The address is empty, or no library for its kind is installed.
    """
    if not url.strip():
        raise StorageError(
            "The data root is empty: set AKOOL_DATA to a folder or an address.", path=url
        )
    # The scheme alone is shown: an address may carry a password.
    scheme = url.split("://", 1)[0] if "://" in url else ""
    try:
        root = UPath(url)
        if root.protocol in _LOCAL_PROTOCOLS:
            return Storage(UPath(Path(root.path).expanduser().absolute()))
        root.fs  # noqa: B018 - asks for the library of this kind of address
    except ImportError as error:
        raise StorageError(
            f"The data root is a {scheme}:// address, and its library is missing ({error}). "
            f"Install it, for S3 with: pip install 'akool-dagster[s3]'.",
            path=f"{scheme}://",
        ) from error
    except ValueError:
        pass
    else:
        return Storage(root)
    # Raised out here, so that it does not drag along an error that shows the address.
    raise StorageError(
        f"The data root's address, of the kind {scheme}://, cannot be used: its kind or its form "
        f"is unknown. Use a local folder or an address that fsspec knows: s3://bucket/folder.",
        path=f"{scheme}://",
    )


@dataclass(frozen=True)
class Storage:
    """The layout of a data root, and the only door for writing to it.

    Attributes:
        root: The data root; absolute if it is local.
    """

    root: UPath

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine."""
        return self.root.protocol in _LOCAL_PROTOCOLS

    # -- layout

    def manifests(self) -> list[UPath]:
        """Lists the manifest files, sorted by name; an absent folder holds none.

        Hidden files, Excel's ``~$`` lock files, files still being copied in (``.part``) and the
        texts that go with a manifest (``.texts.csv``) are left out. The listing is never a cached
        one.

        Raises:
            StorageError: The folder exists but cannot be listed. It is never taken for empty.
        """
        return _manifests_in(self.root / "manifests")

    def retired_manifests(self) -> list[UPath]:
        """Lists the manifest files that were retired, as ``manifests()`` does the others.

        They lie one folder below, where ``manifests()`` does not look.

        Raises:
            StorageError: The folder exists but cannot be listed. It is never taken for empty.
        """
        return _manifests_in(self.root / "manifests" / RETIRED)

    def retire_manifest(self, name: str) -> None:
        """Moves a manifest's file, then its texts, to the retired ones; a second call goes on.

        The file goes first: seen without its texts, it would be another manifest.

        Raises:
            StorageError: Another file of its name was retired before, or the move did not work.
        """
        folder = self.root / "manifests"
        files = [path for path in self.manifests() if path.stem == name]
        for path in (*files, *_texts_of(name, folder)):
            self._move(path, folder / RETIRED / path.name)

    def restore_manifest(self, name: str) -> None:
        """Moves a retired manifest's texts, then its file, back; a second call goes on.

        Raises:
            StorageError: Another file stands in its place, or the move did not work.
        """
        folder = self.root / "manifests"
        files = [path for path in self.retired_manifests() if path.stem == name]
        for path in (*_texts_of(name, folder / RETIRED), *files):
            self._move(path, folder / path.name)

    def voice_map_path(self) -> UPath:
        """Where the user says which voice speaks which language."""
        return self.root / "voices.csv"

    def companions(self, manifest: UPath) -> list[UPath]:
        """Lists the files that are there and whose change changes what a manifest means.

        Args:
            manifest: One of ``manifests()``.
        """
        texts = [manifest.with_name(manifest.stem + suffix) for suffix in TEXTS_SUFFIXES]
        return [path for path in (*texts, self.voice_map_path()) if path.exists()]

    def scripts_path(self, manifest: str) -> UPath:
        """Where the validated rows of a manifest are kept."""
        return self.root / "scripts" / f"{_checked_name(manifest, 'manifest')}.parquet"

    def voice_path(self, key: str, extension: str) -> UPath:
        """Where the audio of a script row is kept.

        Args:
            key: ``<manifest>.<script_id>``.
            extension: Without a dot: ``mp3``.
        """
        if not _EXTENSION.fullmatch(extension):
            raise StorageError(
                f"{extension!r} is no file extension: expected 1 to 8 of a-z and 0-9, no dot.",
                path=extension,
            )
        manifest, script_id = split_key(key)
        return self.root / "voices" / manifest / f"{script_id}.{extension}"

    def video_path(self, key: str) -> UPath:
        """Where the finished video of a script row (``<manifest>.<script_id>``) is kept."""
        manifest, script_id = split_key(key)
        return self.root / "videos" / manifest / f"{script_id}.mp4"

    def results_path(self, manifest: str, suffix: Literal[".csv", ".parquet", ".html"]) -> UPath:
        """Where the results of a manifest are kept, one file for each suffix."""
        return self.root / "results" / f"{_checked_name(manifest, 'manifest')}{suffix}"

    def catalog_path(self, name: str) -> UPath:
        """Where a catalog (``avatars``, ``voices``) is kept."""
        return self.root / "catalogs" / f"{_checked_name(name, 'catalog')}.parquet"

    def relative(self, path: UPath) -> str:
        """The path as seen from the root, with ``/``: it stays true when the root is moved.

        Raises:
            StorageError: The path is not inside the root.
        """
        inside = path.is_relative_to(self.root) and ".." not in path.parts
        if not inside or path == self.root:
            raise StorageError(f"{path} is not a file inside the data root {self.root}.", path=path)
        return path.relative_to(self.root).as_posix()

    def path(self, relative: str) -> UPath:
        """The path of a file that ``relative`` named; the other way round.

        Raises:
            StorageError: It would leave the root.
        """
        path = self.root / relative
        if self.relative(path) != relative:
            raise StorageError(f"{relative!r} is no path inside the data root.", path=relative)
        return path

    def exists(self, relative: str) -> bool:
        """Whether the file that ``relative`` named is there."""
        return self.path(relative).exists()

    # -- writing

    def install_bytes(self, path: UPath, data: bytes) -> None:
        """Writes a whole file at once; see ``install_file``."""
        with self.install_file(path) as handle:
            handle.write(data)

    @contextlib.contextmanager
    def install_file(self, path: UPath) -> Iterator[BinaryIO]:
        """Gives a hidden local file to write to; it becomes ``path`` when the block ends well.

        The handle's ``name`` is the local path, for libraries that want one.

        Raises:
            StorageError: The path is outside of the root, or it could not be written.
        """
        part = self.open_part(path)
        try:
            yield part.handle
        except BaseException as error:
            part.discard()
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                raise _failed("write", path, error) from error
            raise
        part.commit()

    def open_part(self, path: UPath, *, identity: str | None = None) -> "Part":
        """Opens the part file of ``path`` for a caller that decides later what becomes of it.

        Args:
            path: The file that the part is to become.
            identity: Names the exact content that is going to be written, for example link, ETag
                and length. If given, the part may outlive this process: a later call with the
                same identity gets its bytes back (``Part.kept_bytes``). That holds for a local
                root, until the machine restarts (after a power cut the tail of a file that was
                not synced may be anything) and for one process at a time; in every other case
                the part is new and empty.

        Raises:
            StorageError: The path is outside of the root, or its folder cannot be written.
        """
        self.relative(path)
        if not self.is_local:
            return self._open_upload(path)
        target = Path(path.path)
        try:
            _make_folder(target.parent)
            return _open_local_part(target, identity)
        except OSError as error:
            raise _failed("write", path, error) from error

    def _open_upload(self, path: UPath) -> "Part":
        """Opens a part in the temporary folder; its bytes are sent when they are complete.

        A store that can stream would be served here, by another ``Part``: callers write to the
        handle in order and never seek, but the check of a video wants to read it again.
        """
        folder = Path(tempfile.gettempdir())
        local = folder / _part_name(path.name, secrets.token_hex(16))
        try:
            handle = local.open("x+b")
        except OSError as error:
            raise _failed("write", local, error, "TMPDIR") from error
        return Part(handle, local, lambda: _upload(local, path), shown=local, setting="TMPDIR")

    def copy(self, source: UPath, target: UPath) -> None:
        """Makes ``target`` a full copy of ``source``, for two rows that share one content.

        Raises:
            StorageError: The source does not exist, or the copy could not be written.
        """
        self.relative(source)
        self.relative(target)
        try:
            if source.protocol in _OBJECT_STORES:
                source.fs.cp_file(source.path, target.path)
                _check_size(target, _size(source))
                return
            with source.open("rb") as original, self.install_file(target) as handle:
                shutil.copyfileobj(original, handle, COPY_BYTES)
        except StorageError:
            raise
        except Exception as error:
            raise _failed("copy", source, error) from error

    def _move(self, source: UPath, target: UPath) -> None:
        """Moves a file that may not be there; a kill leaves it in one place, or whole in both."""
        if target.exists() and target.read_bytes() != source.read_bytes():
            raise StorageError(
                f"{source} was not moved: {target} is there already and has another content. Move "
                "that one away, or rename it, then run again.",
                path=target,
            )
        if not self.is_local:
            self.copy(source, target)
        try:
            if self.is_local:
                _make_folder(Path(target.path).parent)
                _rename(Path(source.path), Path(target.path))
                _sync_folder(Path(source.path).parent)
            else:
                source.unlink()
        except Exception as error:
            raise _failed("move", source, error) from error

    # -- care

    def check_writable(self) -> None:
        """Writes a small hidden file, reads it back and removes it.

        Raises:
            StorageError: Says what does not work and what to do.
        """
        path = self.root / f".check-{secrets.token_hex(8)}"
        data = secrets.token_bytes(64)
        self.install_bytes(path, data)
        try:
            came_back = path.read_bytes()
            path.unlink()
        except Exception as error:
            raise _failed("read back", path, error) from error
        if came_back != data:
            raise StorageError(
                f"{path} came back different from what was written: do not trust this storage.",
                path=path,
            )

    def remove_stale_parts(
        self,
        *,
        older_than_seconds: float = STALE_PART_SECONDS,
        now: dt.datetime | None = None,
    ) -> list[str]:
        """Removes part files that a killed process left behind.

        Only files with the exact shape of a part's name are touched, and only in the folders that
        this package writes (for a remote root also in the temporary folder).

        Args:
            older_than_seconds: Age since the last write. A download in progress is younger.
            now: The present moment, with a time zone.

        Returns:
            The paths that were removed.
        """
        now = now or dt.datetime.now(dt.timezone.utc)
        limit = now - dt.timedelta(seconds=older_than_seconds)
        folders = [self.root / name for name in _OUTPUT_FOLDERS]
        if not self.is_local:
            folders.append(UPath(tempfile.gettempdir()))
        return [name for folder in folders for name in _remove_parts(folder, limit)]


class Part:
    """A hidden file on its way to become another one.

    Write to ``handle`` (or with ``write``, which speaks plainly of a full disk), then call exactly
    one of ``commit``, ``discard`` and ``keep``.

    Attributes:
        handle: Open for reading and writing; positioned at its end.
        path: The local path of the part.
        shown: The path that errors name.
        kept_bytes: How many bytes an earlier process had already written.
    """

    def __init__(
        self,
        handle: BinaryIO,
        path: Path,
        publish: Callable[[], None],
        *,
        shown: Path,
        lasting: bool = False,
        setting: str = "AKOOL_DATA",
    ) -> None:
        self.handle = handle
        self.path = path
        self.shown = shown
        self.kept_bytes = os.fstat(handle.fileno()).st_size
        self._publish = publish
        self._lasting = lasting
        self._setting = setting

    def write(self, data: bytes) -> None:
        """Appends.

        Raises:
            StorageError: The disk is full or broken.
        """
        with self._plain_errors():
            self.handle.write(data)

    def flush(self) -> None:
        """Hands everything written to the operating system, so that others can read the part."""
        with self._plain_errors():
            self.handle.flush()

    def restart(self) -> None:
        """Empties the part, to write it anew."""
        with self._plain_errors():
            self.handle.seek(0)
            self.handle.truncate()

    def require_space(self, size: int) -> None:
        """Says at once, and not hours later, that ``size`` more bytes will not fit.

        Raises:
            StorageError: The disk has less room than that.
        """
        free = shutil.disk_usage(self.path.parent).free
        if size > free:
            shortage = OSError(errno.ENOSPC, f"{size} bytes are needed, {free} are free")
            raise _failed("write", self.shown, shortage, self._setting)

    def commit(self) -> None:
        """Makes the part durable and puts it in the place of its target, in one step.

        Raises:
            StorageError: It did not work; the part is gone and the target is as before.
        """
        try:
            with self._plain_errors():
                self._settle()
        except BaseException:
            self.discard()
            raise

    def _settle(self) -> None:
        if not self.handle.closed:
            self.handle.flush()
        if not self._lasting:
            self.handle.close()
        # A lasting part stays locked until it has its new name: nobody may take it over.
        self._publish()
        self.handle.close()

    def discard(self) -> None:
        """Removes the part."""
        if not self._lasting:
            _close_quietly(self.handle)
        # A lasting part goes while it is still locked: nobody may have taken it over.
        with contextlib.suppress(OSError):
            self.path.unlink()
        _close_quietly(self.handle)

    def keep(self) -> None:
        """Leaves the bytes for a later process, if they can be recognised; else removes them."""
        if not self._lasting:
            self.discard()
            return
        _close_quietly(self.handle)

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _failed("write", self.shown, error, self._setting) from error


def split_key(key: str) -> tuple[str, str]:
    """Splits ``<manifest>.<script_id>``.

    Raises:
        StorageError: One of the two is not 1 to 64 of A-Z, a-z, 0-9, ``_`` and ``-``.
    """
    manifest, dot, script_id = key.partition(".")
    if not dot:
        raise StorageError(f"{key!r} is no key: expected <manifest>.<script_id>.", path=key)
    return _checked_name(manifest, "manifest"), _checked_name(script_id, "script_id")


def _checked_name(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        raise StorageError(
            f"{name!r} cannot be a {what}'s name: use 1 to 64 of A-Z, a-z, 0-9, '_' and '-'.",
            path=name,
        )
    return name


def _manifests_in(folder: UPath) -> list[UPath]:
    try:
        folder.fs.invalidate_cache(folder.path)
        entries = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return []
    except Exception as error:
        raise _failed("list", folder, error) from error
    names = (Path(entry["name"]).name for entry in entries if entry["type"] != "directory")
    return [folder / name for name in sorted(names) if _is_manifest(name)]


def _texts_of(manifest: str, folder: UPath) -> list[UPath]:
    paths = [folder / (manifest + suffix) for suffix in TEXTS_SUFFIXES]
    return [path for path in paths if path.exists()]


def _is_manifest(name: str) -> bool:
    ends_well = name.lower().endswith(MANIFEST_SUFFIXES) and not name.endswith(TEXTS_SUFFIXES)
    return ends_well and not name.startswith((".", "~$"))


# -- part files


def _part_name(name: str, digest: str) -> str:
    return f".{name}.{digest}.part"


def _open_local_part(target: Path, identity: str | None) -> Part:
    boot = _boot_id()
    if identity is not None and boot is not None:
        digest = hashlib.sha256(f"{boot}\n{identity}".encode()).hexdigest()[:32]
        path = target.with_name(_part_name(target.name, digest))
        handle = _open_alone(path)
        if handle is not None:
            return Part(handle, path, lambda: _rename(path, target), shown=target, lasting=True)
    path = target.with_name(_part_name(target.name, secrets.token_hex(16)))
    return Part(path.open("x+b"), path, lambda: _rename(path, target), shown=target)


def _open_alone(path: Path) -> BinaryIO | None:
    """Opens a part that others may know too; None if another process is writing to it."""
    handle = path.open("a+b", buffering=COPY_BYTES)
    # Between opening and locking, the other process may have renamed the file to its target:
    # the lock would then be one on the finished file.
    if _lock(handle) and _still_named(handle, path):
        handle.seek(0, os.SEEK_END)
        return handle
    handle.close()
    return None


def _lock(handle: BinaryIO) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _still_named(handle: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _boot_id() -> str | None:
    """Tells one start of this machine from the next; None where the system has no such mark."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _remove_parts(folder: UPath, limit: dt.datetime) -> Iterator[str]:
    fs = folder.fs
    for name in fs.find(folder.path, maxdepth=2):
        if not _PART.fullmatch(Path(name).name):
            continue
        # Its owner may finish or remove it at any moment.
        with contextlib.suppress(FileNotFoundError):
            if fs.modified(name) < limit:
                fs.rm_file(name)
                yield name


# -- making it durable


def _make_folder(folder: Path) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync_folder(made.parent)


def _rename(part: Path, target: Path) -> None:
    _sync_file(part)
    part.replace(target)
    _sync_folder(target.parent)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder; they write its entries at once.
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _upload(local: Path, target: UPath) -> None:
    try:
        _send(local, target)
    except StorageError:
        raise
    except Exception as error:
        raise _failed("send", target, error) from error
    local.unlink()


def _send(local: Path, target: UPath) -> None:
    fs, size = target.fs, local.stat().st_size
    if target.protocol in _OBJECT_STORES:
        fs.put_file(str(local), target.path)
        _check_size(target, size)
        return
    hidden = target.with_name(_part_name(target.name, secrets.token_hex(16)))
    fs.makedirs(target.parent.path, exist_ok=True)
    try:
        fs.put_file(str(local), hidden.path)
        _check_size(hidden, size)
        fs.mv(hidden.path, target.path)
    except BaseException:
        with contextlib.suppress(Exception):
            fs.rm_file(hidden.path)
        raise


def _check_size(path: UPath, expected: int) -> None:
    path.fs.invalidate_cache(path.parent.path)
    size = _size(path)
    if size != expected:
        raise StorageError(
            f"{path} has {size} bytes after it was sent, expected {expected}: send it again.",
            path=path,
        )


def _size(path: UPath) -> int:
    return path.fs.info(path.path)["size"]


def _close_quietly(handle: BinaryIO) -> None:
    # Closing writes what is buffered: on a full disk that fails once more.
    with contextlib.suppress(OSError):
        handle.close()


def _failed(
    action: str, path: Path | UPath, error: Exception, setting: str = "AKOOL_DATA"
) -> StorageError:
    """Puts a failure into plain words."""
    code = error.errno if isinstance(error, OSError) else None
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, FileNotFoundError):
        advice = f"Check that it was not moved and that {setting} names the right place"
        what = "it is not there"
    elif code in _DISK_FULL:
        advice = f"Free some space or let {setting} name a larger disk, then run again"
        what = "the disk is full, or a limit on size is reached"
    elif code in {errno.EACCES, errno.EPERM, errno.EROFS}:
        advice = f"Give this user the right to write there, or let {setting} name another place"
        what = "permission is missing"
    elif code in {errno.ENOTDIR, errno.EISDIR, errno.EEXIST}:
        advice = "Move away what stands in its place"
        what = "a file stands where a folder is needed, or the other way round"
    else:
        advice = f"Check the storage that {setting} names, then run again"
        what = "the storage failed"
    return StorageError(
        f"Could not {action} {path}: {what} ({reason or type(error).__name__}). {advice}. "
        f"What was saved before is untouched.",
        path=path,
    )
