"""One exchange with AKOOL over HTTP: what is sent, what comes back, and within what time.

Nothing here raises for what the network or the server does: an exchange ends in an ``Answer``
(a status line came) or in ``NoAnswer`` (none came). Neither holds a credential, a request or an
exception, so neither can spill one.

Three things that a plain ``requests`` call leaves open are settled here:

- **Had the request left?** The body is handed to the socket by a file object that notes when it
  is first read. As long as it was not, the server cannot have received a create, whichever
  library raised whichever error: a name that did not resolve, a refused connection, a failed
  TLS handshake or proxy tunnel. Once it was, the server may have it all.
- **How long may it take?** The read time-out of ``requests`` starts anew with every packet, so a
  server that drips bytes is never cut off. Here the reader of the socket counts the time that is
  left before every packet. Only the look-up of the host name cannot be bounded.
- **Whose connection?** Reads share a pool of open connections. A create gets a connection of its
  own: one that was kept open may be closed by the server at the moment the create is written to
  it, and nobody could tell whether it was accepted.

Redirects are never followed (``requests`` would carry ``x-api-key`` to another host), no cookie
is kept, and the body of an answer is read up to ``MAX_BODY_BYTES``. Proxies and certificates come
from the environment as with every ``requests`` program.
"""

import http.client
import io
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from akool_dagster import __version__

MAX_BODY_BYTES = 8 * 1024 * 1024

_CHUNK_BYTES = 64 * 1024
_EXCERPT_CHARACTERS = 300
_USER_INFO = re.compile(r"//[^/\s@]+@")
_NO_JSON = object()

# When the exchange that this thread is busy with must be over; the connection classes of urllib3
# offer no other way to hand it down to the reader of the socket.
_deadline: ContextVar[float] = ContextVar("_deadline")


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long one call may take.

    Attributes:
        connect_seconds: For the connection with its TLS handshake, per address of the host.
        read_seconds: Longest silence of the server.
        total_seconds: For the whole call; for a read, with all its retries and pauses.

    Raises:
        ValueError: A number is not positive.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    total_seconds: float = 120.0

    def __post_init__(self):
        for name in ("connect_seconds", "read_seconds", "total_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give a positive number.")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request, without its credential.

    Attributes:
        method: ``GET`` or ``POST``.
        path: Below the base URL, beginning with a slash.
        params: Query of the address.
        body: JSON of a POST.
        hidden: Texts that no excerpt of the answer may show.
    """

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @property
    def endpoint(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    def __str__(self) -> str:
        query = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.endpoint} ({query})" if query else self.endpoint


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server sent back.

    Attributes:
        http_status: The status line's number.
        document: The body as JSON; see ``is_json``.
        excerpt: Beginning of the body for a person to read, without secrets.
        problem: Why the body ended early, if it did.
        retry_after_seconds: From the ``Retry-After`` header, if it was sent and readable.
    """

    http_status: int
    document: Any = field(repr=False)
    excerpt: str
    problem: str | None
    retry_after_seconds: float | None

    @property
    def is_json(self) -> bool:
        """Whether the body is one whole JSON value, however its transfer ended."""
        return self.document is not _NO_JSON

    @property
    def envelope(self) -> Mapping[str, Any]:
        """The body as a JSON object; empty where it is anything else."""
        return self.document if isinstance(self.document, dict) else {}

    @property
    def code(self) -> int | None:
        """AKOOL's code, tolerating a number written as text."""
        value = self.envelope.get("code")
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 9:
            return int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True, kw_only=True)
class NoAnswer:
    """No status line came back.

    Attributes:
        reason: What happened, without secrets.
        body_left: Whether a part of the request's body was handed to the network.
    """

    reason: str
    body_left: bool


class Transport:
    """Connections to one server, for many threads.

    Args:
        base_url: Root of the API, without a slash at its end.
        timeouts: How long a call may take.
        pool_size: Exchanges on shared connections at once; further ones wait for their turn.
        redact: Takes every credential out of a text.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeouts: Timeouts,
        pool_size: int,
        redact: Callable[[str], str],
    ):
        self._base_url = base_url
        self._timeouts = timeouts
        self._redact = redact
        self._pool_size = pool_size
        self._turns = threading.BoundedSemaphore(pool_size)
        self._shared = self._session(pool_size)

    def exchange(
        self, request: Request, *, auth: AuthBase, seconds: float, own_connection: bool = False
    ) -> Answer | NoAnswer:
        """Send a request once.

        Args:
            request: What to send.
            auth: Signs it.
            seconds: For everything: turn, connection, sending, answer.
            own_connection: Whether to open a connection for this request alone, without waiting
                for a turn, so that the whole time is left for the answer.

        Returns:
            What came back.
        """
        deadline = time.monotonic() + seconds
        if own_connection:
            with self._session(1) as session:
                return self._send(session, request, auth=auth, deadline=deadline)
        if not self._turns.acquire(timeout=max(seconds, 0)):
            reason = f"all {self._pool_size} connections were busy for {seconds:.1f} s"
            return NoAnswer(reason=reason, body_left=False)
        try:
            return self._send(self._shared, request, auth=auth, deadline=deadline)
        finally:
            self._turns.release()

    def legible(self, text: str, request: Request) -> str:
        """Make a foreign text fit for an error or a log.

        Args:
            text: What a server or a library wrote.
            request: Whose ``hidden`` texts are taken out, together with every credential.

        Returns:
            One printable line, with an ellipsis where it was cut.
        """
        unescaped = text.replace("\\/", "/")  # some servers write addresses so in JSON
        shown = self._redact(_USER_INFO.sub("//***@", unescaped))
        for hidden in filter(None, request.hidden):
            shown = shown.replace(hidden, "***")
        # cut only now: a cut through a secret would hide it from the search
        begin = shown[: 16 * _EXCERPT_CHARACTERS]
        visible = "".join(letter if letter.isprintable() else " " for letter in begin)
        line = " ".join(visible.split())
        return line if len(line) <= _EXCERPT_CHARACTERS else f"{line[:_EXCERPT_CHARACTERS]}…"

    def close(self) -> None:
        """Close the open connections."""
        self._shared.close()

    def _session(self, pool_size: int) -> requests.Session:
        session = requests.Session()
        session.headers["User-Agent"] = f"akool-dagster/{__version__}"
        session.headers["Accept"] = "application/json"
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _BoundedAdapter(pool_maxsize=pool_size, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _send(
        self, session: requests.Session, request: Request, *, auth: AuthBase, deadline: float
    ) -> Answer | NoAnswer:
        body = _Body(request.body, deadline=deadline)
        left = max(deadline - time.monotonic(), 0.001)
        read_seconds = min(self._timeouts.read_seconds, left)
        outer = sys.exc_info()[1]
        _deadline.set(deadline)
        try:
            response = session.request(
                request.method,
                self._base_url + request.path,
                params=dict(request.params),
                data=body if request.body else None,
                headers={"Content-Type": "application/json"} if request.body else None,
                auth=auth,
                timeout=(min(self._timeouts.connect_seconds, left), read_seconds),
                allow_redirects=False,
                stream=True,
            )
        except Exception as problem:
            # Anything at all: after a part of a create has left, a fault of a library is as
            # inconclusive as a fault of the network.
            reason = self.legible(_root_cause(problem, outer=outer), request)
            return NoAnswer(reason=reason, body_left=body.was_read)
        with response:
            return self._answer(response, request)

    def _answer(self, response: requests.Response, request: Request) -> Answer:
        body, problem = _read(response)
        return Answer(
            http_status=response.status_code,
            document=_parse(body),
            excerpt=self.legible(body.decode("utf-8", "replace"), request),
            problem=problem and self.legible(problem, request),
            retry_after_seconds=_retry_after(response.headers.get("Retry-After")),
        )


class _Body(io.BytesIO):
    """A request body that knows whether any of it was taken, and for how long it may be."""

    def __init__(self, content: bytes, *, deadline: float):
        super().__init__(content)
        self._deadline = deadline
        self.was_read = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.was_read = True
        if time.monotonic() > self._deadline:
            raise TimeoutError("the request could not be sent in time")
        return super().read(size)


class _BoundedReader(io.RawIOBase):
    """Reads a socket until the exchange's deadline, whatever the pace of the other side."""

    def __init__(self, sock: socket.socket):
        self._deadline = _deadline.get()
        self._longest_silence = sock.gettimeout()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        self._sock.settimeout(min(left, self._longest_silence or left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any):
        super().__init__(sock, *args, **kwargs)
        unbounded = self.fp
        self.fp = io.BufferedReader(_BoundedReader(sock))
        unbounded.close()


class _BoundedHTTPConnection(HTTPConnection):
    response_class = _BoundedResponse


class _BoundedHTTPSConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _BoundedAdapter(HTTPAdapter):
    """Gives every connection a ``_BoundedResponse``; repeats nothing by itself."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        is_tls = isinstance(pool, HTTPSConnectionPool)
        cast(Any, pool).ConnectionCls = (
            _BoundedHTTPSConnection if is_tls else _BoundedHTTPConnection
        )
        return pool


def _root_cause(problem: BaseException, *, outer: BaseException | None) -> str:
    """The first error of a chain: the socket's own words, not what libraries made of them.

    Args:
        problem: The last error of the chain.
        outer: What the caller was handling already, which is none of this exchange's business.
    """
    for _ in range(20):
        earlier = problem.__cause__ or problem.__context__
        if earlier is None or earlier is outer:
            break
        problem = earlier
    return f"{type(problem).__name__}: {problem}".rstrip(" .:")


def _read(response: requests.Response) -> tuple[bytes, str | None]:
    """Read a body as far as it comes, and tell why it ended early if it did."""
    body = bytearray()
    outer = sys.exc_info()[1]
    try:
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return bytes(body), f"the body is larger than {MAX_BODY_BYTES} bytes"
    except Exception as problem:
        return bytes(body), _root_cause(problem, outer=outer)
    return bytes(body), None


def _parse(body: bytes) -> Any:
    if len(body) > MAX_BODY_BYTES:
        return _NO_JSON
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NO_JSON


def _retry_after(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        return Retry().parse_retry_after(header)
    except (InvalidHeader, ValueError, OverflowError):
        return None
