"""An S3 stand-in that keeps objects in memory, as they came.

Its speed is that of reading from a socket, so a client's own speed can be seen beside it. It knows
only what one upload, one look and one copy need; what is right about them is tested elsewhere.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from urllib.parse import parse_qs, unquote, urlsplit

from akool_dagster_tests.processes import served_apart

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_DATE = "Sun, 22 Nov 2026 00:00:00 GMT"
_ETAG = '"stand-in"'
_CREATED = "<InitiateMultipartUploadResult><UploadId>{}</UploadId></InitiateMultipartUploadResult>"
_COMPLETED = f"<CompleteMultipartUploadResult><ETag>{_ETAG}</ETag></CompleteMultipartUploadResult>"
_COPIED = (
    f"<CopyObjectResult><ETag>{_ETAG}</ETag><LastModified>2026-11-22T00:00:00Z</LastModified>"
    "</CopyObjectResult>"
)

_PART_COPIED = f"<CopyPartResult><ETag>{_ETAG}</ETag></CopyPartResult>"
_NOTHING_LISTED = "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"

Pieces = list[bytes]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, Pieces] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.numbers = itertools.count(1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _asked(self, name: str) -> str | None:
        values = parse_qs(urlsplit(self.path).query, keep_blank_values=True).get(name)
        return values[0] if values else None

    def _body(self) -> bytes:
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            raise NotImplementedError("aws-chunked bodies")
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, text: str = "", *, status: int = 200) -> None:
        self._head(status, len(text))
        self.wfile.write(text.encode())

    def _head(self, status: int, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", _ETAG)
        self.send_header("Last-Modified", _DATE)
        self.end_headers()

    def do_PUT(self) -> None:
        body, upload = self._body(), self._asked("uploadId")
        source = self.headers.get("x-amz-copy-source")
        number = int(self._asked("partNumber") or 0)
        if source is not None:
            pieces = self.server.objects["/" + unquote(source).lstrip("/")]
            if upload is None:
                self.server.objects[self._key] = pieces
                return self._answer(_COPIED)
            start, end = _span(self.headers["x-amz-copy-source-range"])
            self.server.uploads[upload][number] = b"".join(_cut(pieces, start, end))
            return self._answer(_PART_COPIED)
        if upload is not None:
            self.server.uploads[upload][number] = body
        else:
            self.server.objects[self._key] = [body]
        return self._answer()

    def do_POST(self) -> None:
        self._body()
        upload = self._asked("uploadId")
        if upload is None:
            upload = str(next(self.server.numbers))
            self.server.uploads[upload] = {}
            return self._answer(_CREATED.format(upload))
        pieces = self.server.uploads.pop(upload)
        self.server.objects[self._key] = [pieces[number] for number in sorted(pieces)]
        return self._answer(_COMPLETED)

    def do_HEAD(self) -> None:
        pieces = self.server.objects.get(self._key)
        self._head(200 if pieces is not None else 404, sum(map(len, pieces or [])))

    def do_GET(self) -> None:
        if self._asked("list-type") is not None:
            return self._answer(_NOTHING_LISTED)
        pieces = self.server.objects[self._key]
        found = b"".join(_cut(pieces, *_span(self.headers["Range"])))
        self._head(206, len(found))
        self.wfile.write(found)
        return None

    def do_DELETE(self) -> None:
        self.server.objects.pop(self._key, None)
        self._answer(status=204)


def _span(text: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise NotImplementedError(f"the range {text!r}")
    return int(found[1]), int(found[2]) + 1


def _cut(pieces: Pieces, start: int, end: int) -> Iterator[bytes]:
    for piece in pieces:
        if start < len(piece) and end > 0:
            yield piece[max(start, 0) : end]
        start, end = start - len(piece), end - len(piece)


def _serve(pipe: Connection) -> None:
    with _Server() as server:
        pipe.send(server.server_address[1])
        server.serve_forever()


@contextlib.contextmanager
def fast_s3() -> Iterator[str]:
    """Serves the stand-in from a process of its own.

    Yields:
        Its address.
    """
    with served_apart(_serve) as address:
        yield address
