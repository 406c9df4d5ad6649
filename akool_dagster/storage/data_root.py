"""The data root: where every file lives."""

import contextlib
import datetime as dt
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from upath import UPath

from akool_dagster.file_endings import MANIFEST_SUFFIXES, TEXTS_SUFFIXES
from akool_dagster.storage.durable import make_folder, rename, sync_folder
from akool_dagster.storage.errors import DISK_FULL, StorageError, failed
from akool_dagster.storage.file_part import COPY_BYTES, Part, open_local_part, open_temporary_part
from akool_dagster.storage.names import checked_name, split_key
from akool_dagster.storage.protocols import COPYING_STORES, LOCAL, S3
from akool_dagster.storage.sending import check_size, size_of
from akool_dagster.storage.stale_parts import end_uploads, remove_parts
from akool_dagster.storage.streamed_part import StreamedPart

RETIRED = "retired"
"""The folder, inside that of the manifests, of those that Dagster is to forget."""

STALE_PART_SECONDS = 24 * 3600

_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_OUTPUT_FOLDERS = ("scripts", "voices", "videos", "results", "catalogs")


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
        # What another process changes is seen at once.
        options: dict[str, Any] = {"use_listings_cache": False} if scheme in S3 else {}
        root = UPath(url, **options)
        if root.protocol in LOCAL:
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
        return self.root.protocol in LOCAL

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
        return self.root / "scripts" / f"{checked_name(manifest, 'manifest')}.parquet"

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
        return self.root / "results" / f"{checked_name(manifest, 'manifest')}{suffix}"

    def catalog_path(self, name: str) -> UPath:
        """Where a catalog (``avatars``, ``voices``) is kept."""
        return self.root / "catalogs" / f"{checked_name(name, 'catalog')}.parquet"

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
        part = self._open_file(path, identity=None)
        try:
            yield part.handle
        except BaseException as error:
            part.discard()
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise failed("write", path, error) from error
            raise
        part.commit()

    def open_part(self, path: UPath, *, identity: str | None = None) -> "Part | StreamedPart":
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
        if self.root.protocol in S3:
            self.relative(path)
            return StreamedPart(path)
        return self._open_file(path, identity=identity)

    def _open_file(self, path: UPath, *, identity: str | None) -> "Part":
        self.relative(path)
        if not self.is_local:
            return open_temporary_part(path)
        target = Path(path.path)
        try:
            make_folder(target.parent)
            return open_local_part(target, identity)
        except OSError as error:
            raise failed("write", path, error) from error

    def copy(self, source: UPath, target: UPath) -> None:
        """Makes ``target`` a full copy of ``source``, for two rows that share one content.

        Raises:
            StorageError: The source does not exist, or the copy could not be written.
        """
        self.relative(source)
        self.relative(target)
        try:
            if source.protocol in COPYING_STORES:
                source.fs.cp_file(source.path, target.path)
                check_size(target, size_of(source))
                return
            with source.open("rb") as original, self.install_file(target) as handle:
                shutil.copyfileobj(original, handle, COPY_BYTES)
        except StorageError:
            raise
        except Exception as error:
            raise failed("copy", source, error) from error

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
                make_folder(Path(target.path).parent)
                rename(Path(source.path), Path(target.path))
                sync_folder(Path(source.path).parent)
            else:
                source.unlink()
        except Exception as error:
            raise failed("move", source, error) from error

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
            raise failed("read back", path, error) from error
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
        this package writes (for a remote root also in the temporary folder). On S3 the uploads
        into these folders that were begun and never completed are ended as well, if the key may
        list them (``s3:ListBucketMultipartUploads``).

        Args:
            older_than_seconds: Age since the last write. A download in progress is younger.
            now: The present moment, with a time zone.

        Returns:
            The paths that were removed.

        Raises:
            StorageError: The storage could not be looked through; another time will do.
        """
        now = now or dt.datetime.now(dt.timezone.utc)
        try:
            return list(self._stale_parts_removed(now - dt.timedelta(seconds=older_than_seconds)))
        except Exception as error:
            raise failed("remove what is left of stopped downloads in", self.root, error) from error

    def _stale_parts_removed(self, limit: dt.datetime) -> Iterator[str]:
        ours = [self.root / name for name in _OUTPUT_FOLDERS]
        folders = ours if self.is_local else [*ours, UPath(tempfile.gettempdir())]
        for folder in folders:
            yield from remove_parts(folder, limit)
        if self.root.protocol in S3:
            for folder in ours:
                yield from end_uploads(folder, limit)


def _manifests_in(folder: UPath) -> list[UPath]:
    try:
        folder.fs.invalidate_cache(folder.path)
        entries = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return []
    except Exception as error:
        raise failed("list", folder, error) from error
    names = (Path(entry["name"]).name for entry in entries if entry["type"] != "directory")
    return [folder / name for name in sorted(names) if _is_manifest(name)]


def _texts_of(manifest: str, folder: UPath) -> list[UPath]:
    paths = [folder / (manifest + suffix) for suffix in TEXTS_SUFFIXES]
    return [path for path in paths if path.exists()]


def _is_manifest(name: str) -> bool:
    ends_well = name.lower().endswith(MANIFEST_SUFFIXES) and not name.endswith(TEXTS_SUFFIXES)
    return ends_well and not name.startswith((".", "~$"))
