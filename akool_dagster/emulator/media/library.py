"""Keeps the media files: those fetched for a create, and those made for a download."""

import asyncio
import hashlib
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")

_WORKERS = 2


class MediaLibrary:
    """A folder of media files, made on demand by a few threads.

    Made files are a cache: the least recently used go when there are too many, and come back
    when they are asked for. Fetched files (inputs) stay.

    Args:
        folder: Where the files are kept; a temporary folder by default.
        largest: How many made files are kept.
    """

    def __init__(self, folder: Path | None = None, *, largest: int = 300) -> None:
        self._temporary = folder is None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="akool-emulator-"))
        self._largest = largest
        self._making: dict[str, asyncio.Task[Path]] = {}
        self._used: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="emulator-media")
        for name in ("made", "inputs"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Runs blocking work in one of the library's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

    async def made(self, name: str, make: Callable[[Path], None]) -> Path:
        """The file of this name; makes it if it is not there.

        Args:
            name: File name, unique for its content.
            make: Writes the file; runs in a thread, once even if many ask at the same time.
        """
        path = self._folder / "made" / name
        if name not in self._making and not path.exists():
            self._making[name] = asyncio.ensure_future(self._make(path, make))
        if name in self._making:
            # Shielded: one who hangs up must not take the file away from the others.
            await asyncio.shield(self._making[name])
        self._touch(name)
        return path

    def keep_input(self, content: bytes) -> str:
        """Stores a fetched file and returns its name."""
        name = hashlib.blake2b(content, digest_size=16).hexdigest()
        path = self.input(name)
        if not path.exists():
            _write(path, partial(_write_bytes, content))
        return name

    def input(self, name: str) -> Path:
        """Where a fetched file is."""
        return self._folder / "inputs" / name

    def close(self) -> None:
        """Ends the threads and removes a temporary folder."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _make(self, path: Path, make: Callable[[Path], None]) -> Path:
        try:
            await self.run(lambda: _write(path, make))
        finally:
            del self._making[path.name]
        return path

    def _touch(self, name: str) -> None:
        with self._lock:
            self._used[name] = None
            self._used.move_to_end(name)
            while len(self._used) > self._largest:
                oldest, _ = self._used.popitem(last=False)
                (self._folder / "made" / oldest).unlink(missing_ok=True)


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _write(path: Path, make: Callable[[Path], None]) -> None:
    part = path.with_name(f"{threading.get_ident()}.part-{path.name}")
    try:
        make(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
