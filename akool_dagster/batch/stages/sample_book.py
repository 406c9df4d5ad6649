"""Which file is behind each link to a voice sample: fetched once per process, never kept."""

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass

from akool_dagster.downloads import (
    BadDownload,
    Downloader,
    DownloadError,
    DownloadTimeouts,
    LinkDied,
    redacted,
)
from akool_dagster.storage import StorageError, open_storage

MOST_SAMPLE_BYTES = 30_000_000
"""AKOOL takes samples of up to 30 MB (docs: voiceLab page, voice/clone). Whether it counts 1,000
or 1,024 bytes to a kilobyte is not documented: the smaller limit is safe both ways."""

_TIMEOUTS = DownloadTimeouts(total_seconds=300.0)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A voice sample that AKOOL can be asked to clone.

    Attributes:
        link: Its link as it may be shown, without a query.
        sha256: Hash of its bytes, in hex.
        size_bytes: Its size.
        seconds: Its length.
    """

    link: str
    sha256: str
    size_bytes: int
    seconds: float


class UnusableSample(Exception):
    """A sample that AKOOL cannot be asked to clone; nothing was sent.

    Attributes:
        is_passing: Whether the same link may work later.
    """

    def __init__(self, reason: str, *, is_passing: bool) -> None:
        super().__init__(reason)
        self.is_passing = is_passing


@dataclass(frozen=True, kw_only=True)
class _Trouble:
    reason: str
    is_passing: bool


class SampleBook:
    """Looks into voice samples; safe to share between threads.

    Each link is fetched once in the life of the book, which is that of a run, and its answer,
    good or bad, holds for that long. A file that changes behind its link is noticed by the next
    run: it is another sample, and so another clone.

    Args:
        fetch: Looks into the file behind a link; takes the link, may raise
            :class:`UnusableSample`.
    """

    def __init__(self, *, fetch: Callable[[str], Sample] | None = None) -> None:
        self._fetch = fetch or fetch_sample
        self._known: dict[str, Sample | _Trouble] = {}
        self._fetching: set[str] = set()
        self._lock = threading.Lock()

    def sample(self, url: str) -> Sample | None:
        """Tells which file is behind a link.

        Args:
            url: The link.

        Returns:
            The sample; None while another thread fetches it, which is not waited for.

        Raises:
            UnusableSample: It cannot be cloned, or cannot be had at the moment.
        """
        with self._lock:
            known = self._known.get(url)
            if known is None:
                if url in self._fetching:
                    return None
                self._fetching.add(url)
        if known is None:
            known = self._look(url)
        if isinstance(known, _Trouble):
            raise UnusableSample(known.reason, is_passing=known.is_passing)
        return known

    def _look(self, url: str) -> Sample | _Trouble:
        try:
            self._known[url] = self._fetch(url)
        except UnusableSample as error:
            self._known[url] = _Trouble(reason=str(error), is_passing=error.is_passing)
        finally:
            with self._lock:
                self._fetching.discard(url)
        return self._known[url]


def fetch_sample(url: str) -> Sample:
    """Fetches a sample, looks into it and forgets it; needs little memory, whatever its size.

    Args:
        url: The link.

    Returns:
        What is behind it.

    Raises:
        UnusableSample: It is no sound, too large, dead, or cannot be had at the moment.
    """
    with (
        tempfile.TemporaryDirectory(prefix="akool-sample-") as folder,
        Downloader(max_bytes=MOST_SAMPLE_BYTES, timeouts=_TIMEOUTS) as downloader,
    ):
        storage = open_storage(folder)
        try:
            file = downloader.fetch(
                url,
                lambda extension: storage.root / f"sample.{extension}",
                storage=storage,
                expect="audio",
            )
        except DownloadError as error:
            is_passing = not isinstance(error, (BadDownload, LinkDied))
            raise UnusableSample(f"{error.link}: {error.reason}", is_passing=is_passing) from error
        except StorageError as error:
            raise UnusableSample(str(error), is_passing=True) from error
    return Sample(
        link=redacted(url),
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        seconds=file.media.duration_seconds,
    )
