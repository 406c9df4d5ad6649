"""Calls the ``webhookUrl`` of a job: signed, encrypted, repeated (docs: webhook page)."""

import asyncio
import base64
import hashlib
import heapq
import json
import random
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from akool_dagster.emulator.config import WebhookHabits
from akool_dagster.emulator.ids import replayed_part, seeded
from akool_dagster.emulator.jobs import COMPLETED, FAILED, WORKING, Change

_AT_ONCE = 8
_LOG_LENGTH = 10_000
_SHUFFLE_SECONDS = 5.0
_IV_LENGTH = _BLOCK = 16
_WRONG_SECRET = "this-is-not-the-accounts-secret!"  # noqa: S105 (wrong on purpose)


def seal(
    payload: bytes, *, client_id: str, client_secret: str, timestamp: int, nonce: str | int
) -> dict[str, Any]:
    """A callback's body: the payload encrypted with AES-CBC and signed with SHA-1.

    Args:
        payload: The JSON text that is encrypted.
        client_id: Its first 16 bytes are the initialization vector.
        client_secret: The AES key: 16, 24 or 32 bytes.
        timestamp: Epoch milliseconds.
        nonce: Anything; AKOOL's pages show both a string and a number.
    """
    encrypted = base64.b64encode(_encrypt(payload, client_id, client_secret)).decode()
    parts = sorted([client_id, str(timestamp), str(nonce), encrypted])
    signature = hashlib.sha1("".join(parts).encode()).hexdigest()  # noqa: S324 (AKOOL's choice)
    return {
        "signature": signature,
        "dataEncrypt": encrypted,
        "timestamp": timestamp,
        "nonce": nonce,
    }


def _encrypt(payload: bytes, client_id: str, client_secret: str) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    padder = PKCS7(_BLOCK * 8).padder()
    vector = client_id.encode()[:_IV_LENGTH].ljust(_IV_LENGTH, b"\0")
    cipher = Cipher(algorithms.AES(client_secret.encode()), modes.CBC(vector)).encryptor()
    return cipher.update(padder.update(payload) + padder.finalize()) + cipher.finalize()


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One attempt to deliver one callback.

    Attributes:
        job_id: ``_id``.
        status: Of the job, as sent.
        url: Where it went.
        copy: 1 for the first of several copies.
        forged: Whether it is not AKOOL's.
        attempt: 1 for the first.
        at: Virtual epoch seconds.
        answer: The receiver's HTTP status; 0 when there was none.
        problem: What went wrong instead of an answer.
    """

    job_id: str
    status: int
    url: str
    copy: int = 1
    forged: bool = False
    attempt: int = 1
    at: float = 0.0
    answer: int = 0
    problem: str = ""


@dataclass(frozen=True, order=True)
class _Due:
    at: float
    number: int
    delivery: Delivery = field(compare=False)
    payload: bytes = field(compare=False)


class WebhookSender:
    """Sends callbacks in the background and remembers every attempt.

    Args:
        seed: Decides nonces, shuffles and losses, together with the job.
        now: Virtual epoch seconds.
        told: Turns virtual epoch seconds into the epoch milliseconds that a callback tells.
        habits: How callbacks are sent now.
        client: The client id and secret to sign and encrypt with now.
        wake: Called when there is something new to send.
    """

    def __init__(
        self,
        *,
        seed: int,
        now: Callable[[], float],
        told: Callable[[float], int],
        habits: Callable[[], WebhookHabits],
        client: Callable[[], tuple[str, str]],
        wake: Callable[[], None],
    ) -> None:
        self._seed, self._now, self._habits, self._client = seed, now, habits, client
        self._told, self._wake = told, wake
        self._queue: list[_Due] = []
        self._number = 0
        self._lock = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="emulator-webhooks")
        self.log: deque[Delivery] = deque(maxlen=_LOG_LENGTH)
        self.counts: Counter[str] = Counter()

    def announce(self, change: Change, payload: dict[str, Any]) -> None:
        """Queues the callbacks for a job's change, if its job wants any.

        Args:
            change: What happened.
            payload: ``_id``, ``status``, ``type``, ``url`` and more.
        """
        habits = self._habits()
        wants_beginning = habits.status_2 or habits.reorder
        if not habits.send or not change.job.webhook_url:
            return
        if change.status == WORKING and not wants_beginning:
            return
        at = change.at
        if habits.reorder:
            shuffle = self._drawn("shuffle", change.job.id, change.status)
            base = change.job.ended + _SHUFFLE_SECONDS if change.status == WORKING else at
            at = base + shuffle.uniform(0, _SHUFFLE_SECONDS)
        body = json.dumps(_named(payload, habits), separators=(",", ":")).encode()
        delivery = Delivery(job_id=change.job.id, status=change.status, url=change.job.webhook_url)
        if habits.forged:
            forgery = json.dumps(_named(_opposite(payload), habits), separators=(",", ":"))
            self._push(at, replace(delivery, forged=True), forgery.encode())
        for copy in range(1, habits.copies + 1):
            if self._drawn("lost", change.job.id, change.status, copy).random() < habits.lost:
                self.counts["lost"] += 1
            else:
                self._push(at + habits.late, replace(delivery, copy=copy), body)

    def next_due(self) -> float | None:
        """The virtual time of the next attempt."""
        return self._queue[0].at if self._queue else None

    async def send_due(self) -> None:
        """Starts every attempt that is due; does not wait for answers."""
        for due in self._pop(self._now()):
            task = asyncio.ensure_future(self._attempt(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Sends what is due and waits until it is answered or has failed."""
        await self.send_due()
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Gives up all attempts."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _push(self, at: float, delivery: Delivery, payload: bytes) -> None:
        with self._lock:
            self._number += 1
            heapq.heappush(self._queue, _Due(at, self._number, delivery, payload))
        self._wake()

    def _drawn(self, what: str, job_id: str, *parts: int) -> random.Random:
        return seeded(self._seed, what, replayed_part(job_id), *parts)

    def _pop(self, now: float) -> list[_Due]:
        with self._lock:
            due = []
            while self._queue and self._queue[0].at <= now:
                due.append(heapq.heappop(self._queue))
        return due

    async def _attempt(self, due: _Due) -> None:
        habits = self._habits()
        loop = asyncio.get_running_loop()
        body = self._body(due, habits)
        done = await loop.run_in_executor(
            self._workers, lambda: _post(due.delivery, body, timeout=habits.timeout)
        )
        done = replace(done, at=self._now())
        self.log.append(done)
        if done.forged:
            self.counts["forged"] += 1
            return
        self.counts["attempts"] += 1
        if done.answer == 200:
            self.counts["delivered"] += 1
        elif done.attempt >= habits.attempts:
            self.counts["given_up"] += 1
        else:
            wait = habits.retry_seconds * 2 ** (done.attempt - 1)
            again = replace(due.delivery, attempt=done.attempt + 1)
            self._push(self._now() + wait, again, due.payload)

    def _body(self, due: _Due, habits: WebhookHabits) -> dict[str, Any]:
        client_id, secret = self._client()
        sent = due.delivery
        drawn = self._drawn("nonce", sent.job_id, sent.status, sent.copy, sent.attempt)
        number = drawn.randint(1000, 9999)
        sealed = seal(
            due.payload,
            client_id=client_id,
            client_secret=_WRONG_SECRET if habits.wrong_key or sent.forged else secret,
            timestamp=self._told(self._now()),
            nonce=number if habits.number_nonce else str(number),
        )
        if habits.wrong_signature:
            sealed["signature"] = hashlib.sha1(due.payload).hexdigest()  # noqa: S324
        return sealed


def _opposite(payload: dict[str, Any]) -> dict[str, Any]:
    status = FAILED if payload["status"] == COMPLETED else COMPLETED
    url = "https://forged.example/video.mp4" if status == COMPLETED else ""
    return {**payload, "status": status, "url": url}


def _named(payload: dict[str, Any], habits: WebhookHabits) -> dict[str, Any]:
    if not habits.translation_fields:
        return payload
    names = {"status": "video_status", "url": "video"}
    done = 100 if payload["status"] == COMPLETED else 0
    return {names.get(name, name): value for name, value in payload.items()} | {"progress": done}


def _post(delivery: Delivery, body: dict[str, Any], *, timeout: float) -> Delivery:
    import requests

    try:
        answer = requests.post(delivery.url, json=body, timeout=timeout, allow_redirects=False)
        return replace(delivery, answer=answer.status_code)
    except (requests.RequestException, ValueError) as error:
        return replace(delivery, problem=f"{type(error).__name__}: {error}")
