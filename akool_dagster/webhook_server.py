"""Takes AKOOL's callbacks over HTTP and writes them into the ledger.

AKOOL sends a callback again until it is answered with HTTP 200 (docs: webhook page). So 200 means
"written down for good", also for a callback that changes nothing; everything else asks for another
try, which costs little and helps when a setting was wrong in the meantime.

====  ==========================================================================================
200   durable in the ledger: it had an effect, or needs none, or was told before
400   no callback: malformed, cut short, or not to be decrypted with this client secret
401   the signature is wrong
404   no such address, or no attempt of this ledger has it
413   longer than any callback
503   the ledger cannot be written now, or too many callbacks wait for it
====  ==========================================================================================

An answer never tells more than its number, so that it cannot be used to probe the keys. Neither
bodies nor addresses are logged: an address is the attempt's secret.
"""

import asyncio
import contextlib
import hashlib
import logging
import re
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor

import uvicorn
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from akool_dagster.akool import ClientLogin
from akool_dagster.akool.webhook import Callback, CallbackError, CallbackReader
from akool_dagster.ledger import Callbacks, Effect, Ledger, Receipt

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
"""A real callback has a few hundred bytes."""

_BODY_SECONDS = 10.0
_GRACE_SECONDS = 5
_RETRY_AFTER = {"retry-after": "15"}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")


def build_app(
    ledger: Ledger,
    login: ClientLogin,
    *,
    threads: int | None = None,
    waiting: int = 256,
    answer_seconds: float = 20.0,
) -> Starlette:
    """Builds the ASGI app: ``POST /akool/{token}`` and ``GET /healthz``.

    Args:
        ledger: Where callbacks are written; stays open for as long as the app runs.
        login: The account's client id and secret.
        threads: How many callbacks are written at once; by default as many as suits the ledger.
        waiting: How many may be written or wait for it; more are answered with 503.
        answer_seconds: A callback that is not written by then is answered with 503.

    Returns:
        The app.

    Raises:
        ValueError: The client secret cannot be a key of AKOOL's.
    """
    callbacks = ledger.callbacks
    writer = _Writer(callbacks, threads=threads or callbacks.useful_threads, waiting=waiting)
    receiver = _Receiver(CallbackReader(login), writer, answer_seconds=answer_seconds)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(writer.close)

    app = Starlette(
        routes=[
            Route("/akool/{token}", receiver.receive, methods=["POST"]),
            Route("/healthz", _healthy, methods=["GET"]),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def build_server(app: Starlette) -> uvicorn.Server:
    """Builds the HTTP server for the app; it logs no address, for that holds a token.

    Args:
        app: From :func:`build_app`.

    Returns:
        The server, for ``run(sockets=[...])``.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=1024,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


class _Writer:
    """Writes callbacks in a few threads, and takes no more than may wait."""

    def __init__(self, callbacks: Callbacks, *, threads: int, waiting: int) -> None:
        self._callbacks = callbacks
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="akool-callbacks")
        self._places = threading.BoundedSemaphore(waiting)

    def submit(self, callback: Callback, *, token: str, body_sha256: str) -> Future[Receipt] | None:
        """Has a callback written; None when too many wait."""
        if not self._places.acquire(blocking=False):
            return None
        future = self._pool.submit(
            self._callbacks.record,
            token=token,
            remote_id=callback.id,
            status=callback.status.value,
            body_sha256=body_sha256,
        )
        future.add_done_callback(lambda _done: self._places.release())
        return future

    def close(self) -> None:
        """Ends what is being written, and drops what waits: AKOOL will send it again."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Receiver:
    """Answers ``POST /akool/{token}``."""

    def __init__(self, reader: CallbackReader, writer: _Writer, *, answer_seconds: float) -> None:
        self._reader = reader
        self._writer = writer
        self._answer_seconds = answer_seconds

    async def receive(self, request: Request) -> Response:
        token = request.path_params["token"]
        if _TOKEN.fullmatch(token) is None:
            return Response(status_code=404)
        body = await _body(request)
        if body is None:
            return Response(status_code=400)
        if len(body) > MAX_BODY_BYTES:
            logger.warning("Callback refused: longer than %d bytes", MAX_BODY_BYTES)
            return Response(status_code=413)
        try:
            callback = self._reader.read(body)
        except CallbackError as error:
            logger.warning("Callback refused: %s", error.reason)
            return Response(status_code=401 if error.is_forged else 400)
        return await self._keep(callback, token=token, body=body)

    async def _keep(self, callback: Callback, *, token: str, body: bytes) -> Response:
        future = self._writer.submit(
            callback, token=token, body_sha256=hashlib.sha256(body).hexdigest()
        )
        if future is None:
            logger.warning("Callback put off: too many wait for the ledger")
            return Response(status_code=503, headers=_RETRY_AFTER)
        try:
            receipt = await asyncio.wait_for(asyncio.wrap_future(future), self._answer_seconds)
        except asyncio.TimeoutError:
            logger.warning("Callback put off: the ledger was busy for %g s", self._answer_seconds)
            return Response(status_code=503, headers=_RETRY_AFTER)
        except Exception as error:
            # Its text may hold the statement's parameters, so no traceback.
            logger.error("Callback put off: the ledger cannot be written: %s", _plain(error))
            return Response(status_code=503, headers=_RETRY_AFTER)
        _tell(receipt)
        return Response(status_code=404 if receipt.news.effect is Effect.UNKNOWN else 200)


async def _healthy(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _body(request: Request) -> bytes | None:
    """Reads no more than a little beyond the limit; None when the body does not come to its end."""
    try:
        return await asyncio.wait_for(_limited_body(request), _BODY_SECONDS)
    except (ClientDisconnect, asyncio.TimeoutError):
        return None


async def _limited_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return bytes(body)


def _plain(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else None
    kind = type(cause or error).__name__
    return f"{kind}: {cause}".splitlines()[0] if cause else kind


def _tell(receipt: Receipt) -> None:
    news = receipt.news
    logger.log(
        logging.WARNING if receipt.news.effect is Effect.CONFLICT else logging.INFO,
        "Callback for attempt %s: AKOOL id %s has status %d: %s, %s%s",
        news.attempt_id,
        news.remote_id,
        news.status,
        news.effect.value,
        news.reason,
        "" if receipt.is_new else " (told again)",
    )
