"""Brings finished media from AKOOL's hosts to the data root: whole and verified, or not at all.

The links are plain GETs without authentication, die after seven days (docs: get-video-info page)
and point to a CDN. A ``Downloader`` has a session of its own that knows no AKOOL credential, so
none can reach such a host.

A file is written to a hidden part (see ``storage``) while its SHA-256 is taken, in constant
memory. After a broken connection the next request asks for the rest only, tied by ``If-Range`` to
the version that was begun; a server that gives neither a strong ETag nor a date, or another
version, makes the file start over, so no file is ever stitched from two versions. The complete
part is probed (see ``media``) and only then takes the place of its target.

What stays of an interrupted download? For a local root and a server with strong ETags, the part
stays, named by a hash of the full link, the ETag, the length and this start of the machine. The
next ``fetch`` that is answered with the same four resumes it, also after ``kill -9``; there is no
other note of it to be believed. Any other part is removed at once, or by
``Storage.remove_stale_parts``. For a remote root the part is always new: on S3 an object that is
sent while the bytes come, elsewhere a file in the local temporary folder. Within one ``fetch`` it
goes on from the byte that was reached all the same.
"""

import contextlib
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from pathlib import PurePosixPath
from random import random as random_share
from typing import Literal
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from upath import UPath

from akool_dagster import __version__
from akool_dagster.media import MediaInfo, UnplayableMedia, check_audio, check_video, probe
from akool_dagster.storage import Part, Storage, StorageError, StreamedPart

GIB = 1 << 30
CHUNK_BYTES = 1 << 20
ERROR_PAGE_BYTES = 64 << 10
MOST_REDIRECTS = 5

Target = UPath | Callable[[str], UPath]

logger = logging.getLogger(__name__)

_REDIRECTS = {301, 302, 303, 307, 308}
_PASSING = {408, 425, 429}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_ERROR_CODE = re.compile(rb"<Error>.*?<Code>([A-Za-z0-9.]{1,64})</Code>", re.DOTALL)
_AUDIO_EXTENSIONS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "application/ogg": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/webm": "webm",
}


class DownloadError(Exception):
    """A file could not be brought; its target is as it was before.

    Attributes:
        link: Scheme, host and path of the link; never its query, which may be a signature.
        reason: What happened, in plain words.
    """

    advice = ""

    def __init__(self, link: str, reason: str) -> None:
        super().__init__(f"Could not download {link}: {reason}. {self.advice}")
        self.link = link
        self.reason = reason


class LinkDied(DownloadError):
    """The host knows this link no longer (403, 404, 410 ...): ask AKOOL for a fresh one."""

    advice = "Ask AKOOL for a fresh link; its links die after seven days."


class BadDownload(DownloadError):
    """What came is not the file that was asked for: cut off, empty, a page, unplayable."""

    advice = "Nothing was saved; try again later, and look at the link if it stays so."


class DownloadInterrupted(DownloadError):
    """The network or the host failed, also after retries: the same link may work later."""

    advice = "Try again later; what has come may be resumed."


@dataclass(frozen=True)
class DownloadTimeouts:
    """How long a download may take.

    Attributes:
        connect_seconds: To open a connection.
        read_seconds: Without a byte. After this time a connection must also have brought
            ``slowest_bytes_per_second`` on average, or it counts as broken.
        total_seconds: For one file, retries and pauses included.
        slowest_bytes_per_second: See ``read_seconds``.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 3600.0
    slowest_bytes_per_second: float = 1024.0


@dataclass(frozen=True)
class DownloadRetries:
    """How a broken download is taken up again.

    Attributes:
        attempts: Tries in a row that bring less than 1 MiB of progress, then it is given up.
        first_pause_seconds: Upper end of the first pause; it doubles, with full jitter.
        longest_pause_seconds: Upper end of every pause.
        longest_retry_after_seconds: A host that asks for more patience is not waited for.
    """

    attempts: int = 5
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 30.0
    longest_retry_after_seconds: float = 60.0


@dataclass(frozen=True)
class SavedFile:
    """A file that is complete, verified and in its place.

    Attributes:
        path: Where it is.
        sha256: Hex digest of its bytes.
        size_bytes: Its size.
        media: What it holds.
        resumed_bytes: How many of its bytes the last connection did not have to send again.
    """

    path: UPath
    sha256: str
    size_bytes: int
    media: MediaInfo
    resumed_bytes: int


def redacted(url: str) -> str:
    """Scheme, host and path of a link, fit for logs: the query may be a signature."""
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return "<unreadable link>"
    return f"{parts.scheme}://{host}{parts.path}"[:300]


def audio_extension(content_type: str | None, url: str) -> str:
    """The file extension of an audio file, without a dot.

    The content type decides if it names an audio format, else the link's own extension; a host
    that says neither most likely sends MP3, as AKOOL's voices are (docs: audio page).
    """
    kind = _mime(content_type)
    if kind in _AUDIO_EXTENSIONS:
        return _AUDIO_EXTENSIONS[kind]
    suffix = PurePosixPath(unquote(urlsplit(url).path)).suffix.lower().lstrip(".")
    return suffix if suffix in set(_AUDIO_EXTENSIONS.values()) else "mp3"


class Downloader:
    """Fetches media files; safe to share between threads.

    Args:
        pool_size: Connections that are kept open to one host; the number of worker threads.
        max_bytes: A larger file is refused.
        timeouts: How long a download may take.
        retries: How a broken download is taken up again.
        sleep: Pauses for seconds.
        clock: Monotonic seconds.
        random: A number in [0, 1) for the jitter.
    """

    def __init__(
        self,
        *,
        pool_size: int = 16,
        max_bytes: int = 4 * GIB,
        timeouts: DownloadTimeouts = DownloadTimeouts(),
        retries: DownloadRetries = DownloadRetries(),
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_share,
    ) -> None:
        self._session = _anonymous_session(pool_size)
        self._max_bytes = max_bytes
        self._timeouts = timeouts
        self._retries = retries
        self._sleep = sleep
        self._clock = clock
        self._random = random

    def __enter__(self) -> "Downloader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self._session.close()

    def fetch(
        self,
        url: str,
        target: Target,
        *,
        storage: Storage,
        expect: Literal["video", "audio"],
    ) -> SavedFile:
        """Brings one file to its place; whatever happens, no bad file is ever seen there.

        Args:
            url: The link, http or https, also after redirects.
            target: The path; or, if its extension depends on what the host sends, a function from
                the audio extension (``mp3``) to the path.
            storage: The data root that the target is in.
            expect: What the file has to hold.

        Raises:
            LinkDied: Ask AKOOL for a fresh link.
            BadDownload: What came is not such a file.
            DownloadInterrupted: Network or host failed after all retries.
            StorageError: It could not be written.
        """
        transfer = _Transfer(url, target, storage, self._max_bytes)
        try:
            self._receive(transfer)
            media = _verified(transfer, expect)
        except DownloadInterrupted:
            transfer.keep()
            raise
        except Exception:
            transfer.discard()
            raise
        except BaseException:  # the run is being stopped
            transfer.keep()
            raise
        saved = transfer.install(media)
        logger.info("Saved %s, %d bytes from %s", saved.path, saved.size_bytes, transfer.link)
        return saved

    def is_alive(self, url: str) -> bool:
        """Whether a link still gives something, found out with the first byte of it.

        A host that does not answer at all proves nothing about the link: then it counts as alive.
        """
        timeouts = (self._timeouts.connect_seconds, self._timeouts.read_seconds)
        try:
            with self._session.get(
                url,
                headers={"Range": "bytes=0-0"},
                stream=True,
                timeout=timeouts,
                allow_redirects=False,  # to follow one could carry a credential of .netrc along
            ) as response:
                return not 400 <= response.status_code < 500
        except requests.RequestException:
            return True

    def _receive(self, transfer: "_Transfer") -> None:
        """Asks until all bytes are in the part, or there is no sense in going on."""
        deadline = self._clock() + self._timeouts.total_seconds
        failures, best = 0, 0
        while not transfer.complete:
            trouble = self._try_once(transfer, deadline)
            if trouble is None:
                continue
            if transfer.received >= best + CHUNK_BYTES:
                failures, best = 0, transfer.received
            failures += 1
            logger.debug("%s at byte %d of %s", trouble, transfer.received, transfer.link)
            self._pause(transfer.link, trouble, failures, deadline)

    def _try_once(self, transfer: "_Transfer", deadline: float) -> "_Broken | None":
        """Makes one request. What broke is returned, so that no error carries the link's query."""
        try:
            with contextlib.closing(self._get(transfer)) as response:
                if transfer.begin(response):
                    for piece in self._pieces(response, deadline):
                        transfer.write(piece)
                    transfer.end()
        except _Broken as broken:
            return broken
        return None

    def _get(self, transfer: "_Transfer") -> requests.Response:
        """Sends one GET and follows its redirects, so that each hop is checked."""
        url = transfer.url
        for _ in range(MOST_REDIRECTS + 1):
            response = self._send(url, transfer)
            location = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or location is None:
                return response
            response.close()
            url = _joined(url, location)
        raise BadDownload(transfer.link, f"it was redirected more than {MOST_REDIRECTS} times")

    def _send(self, url: str, transfer: "_Transfer") -> requests.Response:
        timeout = (self._timeouts.connect_seconds, self._timeouts.read_seconds)
        try:
            return self._session.get(
                url,
                headers=transfer.request_headers(),
                stream=True,
                allow_redirects=False,
                timeout=timeout,
            )
        except ValueError:  # in requests: the link is invalid, or neither http nor https
            trouble = None
        except requests.RequestException as error:
            trouble = _network_trouble(error)
        # Raised out here, so that it does not drag along an error whose text shows the query.
        if trouble is None:
            raise BadDownload(transfer.link, f"{redacted(url)} is not a valid http or https link")
        raise _Broken(trouble)

    def _pieces(self, response: requests.Response, deadline: float) -> Iterator[bytes]:
        """Yields the body as it comes, at most 1 MiB at a time, and watches the clock."""
        started, count = self._clock(), 0
        while True:
            self._refuse_slow(count, self._clock() - started)
            if self._clock() >= deadline:
                raise _Broken("the time for one file is over")
            try:
                piece = response.raw.read1(CHUNK_BYTES, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise _Broken(_network_trouble(error)) from None
            if not piece:
                return
            count += len(piece)
            yield piece

    def _refuse_slow(self, count: int, seconds: float) -> None:
        limits = self._timeouts
        if seconds > limits.read_seconds and count < seconds * limits.slowest_bytes_per_second:
            raise _Broken(f"the host sent only {count} bytes in {seconds:.0f} s")

    def _pause(self, link: str, trouble: "_Broken", failures: int, deadline: float) -> None:
        limits = self._retries
        if failures >= limits.attempts:
            raise DownloadInterrupted(link, f"{trouble}, {failures} times in a row")
        ceiling = min(
            limits.first_pause_seconds * 2 ** (failures - 1), limits.longest_pause_seconds
        )
        wait = self._random() * ceiling
        if trouble.retry_after is not None:
            if trouble.retry_after > limits.longest_retry_after_seconds:
                raise DownloadInterrupted(
                    link, f"{trouble}, and the host asks to wait {trouble.retry_after:.0f} s"
                )
            wait = max(wait, trouble.retry_after)
        if self._clock() + wait >= deadline:
            seconds = self._timeouts.total_seconds
            raise DownloadInterrupted(link, f"{trouble}, and its {seconds:.0f} s are over")
        self._sleep(wait)


class _Broken(Exception):
    """One request failed in a way that another may not. Its text never holds a query."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True)
class _Version:
    """Which content a host is sending, as far as its headers tell.

    Attributes:
        total: Size of the whole file; None if it is not said.
        etag: Strong ETag; a weak one does not promise equal bytes.
        modified: Last-Modified, as sent.
    """

    total: int | None
    etag: str | None
    modified: str | None

    @property
    def validator(self) -> str | None:
        """What ``If-Range`` can be asked with."""
        return self.etag or self.modified

    def agrees_with(self, other: "_Version") -> bool:
        """Whether nothing that both of them say differs."""
        pairs = (
            (self.total, other.total),
            (self.etag, other.etag),
            (self.modified, other.modified),
        )
        return all(mine is None or its is None or mine == its for mine, its in pairs)


class _Transfer:
    """One file on its way: what was asked for, what has come, and where it is kept."""

    def __init__(self, url: str, target: Target, storage: Storage, max_bytes: int) -> None:
        self.url = url
        self.link = redacted(url)
        self.received = 0
        self.complete = False
        self._target = target
        self._storage = storage
        self._max_bytes = max_bytes
        self._path: UPath | None = None
        self._part: Part | StreamedPart | None = None
        self._version: _Version | None = None
        self._hash = hashlib.sha256()
        self._resumed = 0

    @property
    def part(self) -> Part | StreamedPart:
        if self._part is None:
            raise AssertionError("no answer has been accepted yet")
        return self._part

    # Asking

    def request_headers(self) -> dict[str, str]:
        # identity: the length and the ranges have to be those of the file itself.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if self._resumable:
            headers |= {"Range": f"bytes={self.received}-", "If-Range": self._validator}
        return headers

    @property
    def _validator(self) -> str:
        return (self._version and self._version.validator) or ""

    @property
    def _resumable(self) -> bool:
        return self.received > 0 and bool(self._validator)

    # Answers

    def begin(self, response: requests.Response) -> bool:
        """Prepares for the body of an answer.

        Returns:
            Whether the body is wanted. It is not if an earlier process has left bytes of it: the
            next request asks for the rest.
        """
        if response.status_code == 416:
            self._start_over()
            raise _Broken("the host has no such part of the file (HTTP 416)")
        _refuse_status(response, self.link)
        if response.status_code == 206:
            self._begin_rest(response)
            return True
        _refuse_content(response, self.link)
        version = _version(response.headers, response.raw.length_remaining)
        self._refuse_size(version.total or 0)
        if self._part is not None and version == self._version:
            self._start_over()
            return True
        self._open_part(response, version)
        return self.received == 0

    def _begin_rest(self, response: requests.Response) -> None:
        """Accepts a 206 only if it is the rest of exactly the version that was begun."""
        span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        begun = self._version
        total = int(span[3]) if span and span[3] != "*" else None
        version = _version(response.headers, total)
        if (
            begun is None
            or span is None
            or not self._resumable
            or int(span[1]) != self.received
            or not begun.agrees_with(version)
        ):
            self._start_over()
            raise _Broken("the host answered with another part or version of the file")
        self._version = replace(begun, total=begun.total or total)
        self._resumed = self.received

    def _open_part(self, response: requests.Response, version: _Version) -> None:
        self.discard()
        self._version = version
        self._part = self._storage.open_part(self._place(response), identity=self._identity())
        if version.total is not None:
            self._part.require_space(version.total - self._part.kept_bytes)
        if self._part.kept_bytes:
            self._take_up_kept_bytes(self._part)

    def _place(self, response: requests.Response) -> UPath:
        if self._path is None:
            extension = audio_extension(response.headers.get("Content-Type"), self.url)
            self._path = self._target(extension) if callable(self._target) else self._target
        return self._path

    def _identity(self) -> str | None:
        version = self._version
        if version is None or version.etag is None or version.total is None:
            return None
        return f"{self.url}\n{version.etag}\n{version.total}"

    def _take_up_kept_bytes(self, part: Part | StreamedPart) -> None:
        with part.reading() as kept:
            while piece := kept.read(CHUNK_BYTES):
                self._hash.update(piece)
                self.received += len(piece)
        self._resumed = self.received
        total = self._version.total if self._version else None
        if total is not None and self.received > total:
            self._start_over()
        self.complete = self.received == total

    def _start_over(self) -> None:
        if self._part is not None:
            self._part.restart()
        self.received = self._resumed = 0
        self._hash = hashlib.sha256()

    # Bytes

    def write(self, piece: bytes) -> None:
        self._refuse_size(self.received + len(piece))
        self.part.write(piece)
        self._hash.update(piece)
        self.received += len(piece)

    def _refuse_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise BadDownload(self.link, f"it is larger than the limit of {self._max_bytes} bytes")

    def end(self) -> None:
        """Is called when a body has ended: was that all?"""
        total = self._version.total if self._version else None
        if total is not None and self.received > total:
            self._start_over()
            raise _Broken(f"the host sent more than the {total} bytes that it had announced")
        if total is not None and self.received < total:
            raise _Broken(f"the host stopped after {self.received} of {total} bytes")
        self.complete = True

    # The part's end

    def install(self, media: MediaInfo) -> SavedFile:
        if self._path is None:
            raise AssertionError("no answer has been accepted yet")
        self.part.commit()
        return SavedFile(
            path=self._path,
            sha256=self._hash.hexdigest(),
            size_bytes=self.received,
            media=media,
            resumed_bytes=self._resumed,
        )

    def keep(self) -> None:
        if self._part is not None:
            self._part.keep()

    def discard(self) -> None:
        if self._part is not None:
            self._part.discard()
            self._part = None
        self._start_over()


def _verified(transfer: _Transfer, expect: Literal["video", "audio"]) -> MediaInfo:
    """Looks into the complete part."""
    part = transfer.part
    part.flush()
    try:
        with part.reading() as file:
            media = probe(file)
        check_video(media) if expect == "video" else check_audio(media)
    except UnplayableMedia as error:
        raise BadDownload(transfer.link, error.reason) from error
    except Exception as error:  # libraries of stores raise what they like
        raise StorageError(
            f"{part.path} could not be read back ({error}): check the storage, then run again.",
            path=part.path,
        ) from error
    return media


# -- reading answers


def _refuse_status(response: requests.Response, link: str) -> None:
    status = response.status_code
    if status in {200, 206}:
        return
    if status in _PASSING or status >= 500:
        raise _Broken(f"the host answered HTTP {status}", _retry_after(response))
    if 400 <= status < 500:
        code = _xml_error_code(response)
        raise LinkDied(link, f"the host answered HTTP {status}{f' ({code})' if code else ''}")
    raise BadDownload(link, f"the host answered HTTP {status}")


def _refuse_content(response: requests.Response, link: str) -> None:
    kind = _mime(response.headers.get("Content-Type"))
    if kind.endswith(("/xml", "+xml")) and (code := _xml_error_code(response)):
        raise LinkDied(link, f"the host answered with the error {code}")
    if kind.endswith(("/html", "/xml", "+xml", "/json", "+json")):
        raise BadDownload(link, f"the host sent {kind}, no media")
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise BadDownload(link, f"the host sent it compressed ({encoding}) against the request")


def _xml_error_code(response: requests.Response) -> str | None:
    """The code of an error document of S3 or CloudFront, such as ``AccessDenied``."""
    try:
        body = response.raw.read1(ERROR_PAGE_BYTES, decode_content=True)
    except (urllib3.exceptions.HTTPError, OSError):
        return None
    match = _ERROR_CODE.search(body)
    return match[1].decode("ascii") if match else None


def _version(headers: Mapping[str, str], total: int | None) -> _Version:
    etag = headers.get("ETag")
    strong = etag is not None and len(etag) > 2 and etag.startswith('"') and etag.endswith('"')
    return _Version(
        total=total, etag=etag if strong else None, modified=headers.get("Last-Modified")
    )


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _mime(content_type: str | None) -> str:
    return (content_type or "").split(";")[0].strip().lower()


def _retry_after(response: requests.Response) -> float | None:
    try:
        return urllib3.Retry().get_retry_after(response.raw)
    except urllib3.exceptions.InvalidHeader:
        return None


def _network_trouble(error: BaseException) -> str:
    """Names what happened on the network; the library's own text may hold the link's query."""
    if isinstance(error, (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)):
        return "no connection within the time allowed"
    if isinstance(error, (requests.Timeout, urllib3.exceptions.ReadTimeoutError)):
        return "the host fell silent"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection (TLS) could be made"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused or failed"
    return f"the connection broke ({type(error).__name__})"


def _anonymous_session(pool_size: int) -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = f"akool-dagster/{__version__}"
    # An auth that adds nothing keeps requests from looking up ~/.netrc for the host.
    session.auth = lambda request: request
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
