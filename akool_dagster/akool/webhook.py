"""AKOOL's callbacks: whether one is genuine, and what it says (docs: webhook page).

A callback is JSON with ``signature``, ``dataEncrypt``, ``timestamp`` and ``nonce``. The signature
is made without the secret, so that alone proves little; that the body can be decrypted to a JSON
object with an ``_id`` is the stronger half. Neither protects against a callback that is sent
twice, late or to another address: whoever acts on one must bear all three. ``timestamp`` is not
judged, for it is not documented whether AKOOL renews it when it sends a callback again.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from akool_dagster.akool import parsing
from akool_dagster.akool.credentials import ClientLogin
from akool_dagster.akool.models import Status

_BLOCK_BYTES = 16
_KEY_BYTES = (16, 24, 32)
_ID = re.compile(r"[\x21-\x7e]{1,100}")


class CallbackError(Exception):
    """A callback that is not to be acted on.

    Attributes:
        reason: Why, for a log: it holds nothing of the callback and nothing of the keys.
        is_forged: Whether the signature is wrong; everything else comes after that check, or is
            no callback at all.
    """

    def __init__(self, reason: str, *, is_forged: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_forged = is_forged


@dataclass(frozen=True, kw_only=True)
class Callback:
    """What AKOOL says about a job.

    Attributes:
        id: The ``_id`` that the create was answered with.
        status: Where the job stands.
        type: AKOOL's word for the product, such as ``avatar`` or ``audio``.
        url: Link to the result, only when completed.
        deduction_credit: Credits taken; seen in callbacks, but not documented.
        code: AKOOL's ``error_code`` of a failed job.
        reason: Why it failed, or a default text where AKOOL gave none; None when it did not fail.
    """

    id: str
    status: Status
    type: str | None = None
    url: str | None = None
    deduction_credit: float | None = None
    code: int | None = None
    reason: str | None = None


class CallbackReader:
    """Opens the callbacks of one account.

    Args:
        login: The account's client id and client secret. Both are needed even where calls are
            signed with the API key, which is the same value as the secret.

    Raises:
        ValueError: The secret has a length that no AES key has.
    """

    def __init__(self, login: ClientLogin) -> None:
        key = login.client_secret.encode()
        if len(key) not in _KEY_BYTES:
            raise ValueError(
                f"The client secret has {len(key)} bytes; callbacks are encrypted with it, so it "
                "must have 16, 24 or 32 (AKOOL's have 32). Was it copied in full?"
            )
        self._client_id = login.client_id
        # The client id has 24 characters; its first 16 bytes count.
        vector = login.client_id.encode()[:_BLOCK_BYTES].ljust(_BLOCK_BYTES, b"\0")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(vector))

    def read(self, body: bytes) -> Callback:
        """Verifies, decrypts and parses a callback.

        Args:
            body: As received.

        Returns:
            What it says.

        Raises:
            CallbackError: It is malformed or forged, or the account's keys do not fit.
        """
        envelope = _envelope(body)
        if not hmac.compare_digest(_bytes(envelope.signature), self._signature(envelope)):
            raise CallbackError(
                "wrong signature: it was forged, or AKOOL_CLIENT_ID is another account's",
                is_forged=True,
            )
        record = self._opened(envelope.encrypted)
        if record is None:
            # One reason for all that can go wrong in here: the padding alone must tell nothing.
            raise CallbackError(
                "signed, but cannot be decrypted to a JSON object: it was forged, or "
                "AKOOL_CLIENT_SECRET is not this client's"
            )
        return _callback(record)

    def _signature(self, envelope: "_Envelope") -> bytes:
        parts = [self._client_id, envelope.timestamp, envelope.nonce, envelope.encrypted]
        # JavaScript's order, in which AKOOL sorts: by UTF-16 code unit.
        parts.sort(key=lambda part: part.encode("utf-16-be", "surrogatepass"))
        digest = hashlib.sha1(_bytes("".join(parts)))  # noqa: S324 - AKOOL's choice
        return digest.hexdigest().encode()

    def _opened(self, encrypted: str) -> Mapping[str, Any] | None:
        try:
            sealed = base64.b64decode(encrypted, validate=True)
            decryptor, unpadder = self._cipher.decryptor(), PKCS7(_BLOCK_BYTES * 8).unpadder()
            padded = decryptor.update(sealed) + decryptor.finalize()
            return _object(unpadder.update(padded) + unpadder.finalize())
        except (binascii.Error, ValueError):
            return None


@dataclass(frozen=True, kw_only=True)
class _Envelope:
    """The four fields of a body, as the texts that are signed."""

    signature: str
    encrypted: str
    timestamp: str
    nonce: str


def _envelope(body: bytes) -> _Envelope:
    fields = _object(body)
    if fields is None:
        raise CallbackError("the body is not a JSON object")
    texts = {name: _as_signed(fields.get(name)) for name in ("timestamp", "nonce")}
    texts |= {
        "signature": _plain_text(fields.get("signature")),
        "encrypted": _plain_text(fields.get("dataEncrypt")),
    }
    known = {name: text for name, text in texts.items() if text is not None}
    missing = sorted(texts.keys() - known.keys())
    if missing:
        raise CallbackError(f"no usable {', '.join(missing)} in the body")
    return _Envelope(**known)


def _callback(record: Mapping[str, Any]) -> Callback:
    known = {name: value for name, value in record.items() if value is not None}
    job_id = known.get("_id")
    if not isinstance(job_id, str) or _ID.fullmatch(job_id) is None:
        raise CallbackError("genuine, but without a usable _id")
    job = _job(known, job_id)
    if job is None:
        raise CallbackError("genuine, but its status is missing or unknown")
    is_done = job.status is Status.COMPLETED
    return Callback(
        id=job_id,
        status=job.status,
        type=_plain_text(known.get("type")),
        url=(_plain_text(known.get("url")) or job.url) if is_done else None,
        deduction_credit=job.deducted_credits,
        code=job.failure.code if job.failure else None,
        reason=job.failure.reason if job.failure else None,
    )


def _job(record: Mapping[str, Any], job_id: str) -> parsing.Video | None:
    """Reads the fields that a callback shares with Get Video Info, under all their names."""
    try:
        return parsing.video(record, video_id=job_id)
    except parsing.UnexpectedShape:
        return None


def _object(text: bytes) -> dict[str, Any] | None:
    """Reads a JSON object; errors of the parser would quote the text, so there are none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _plain_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _as_signed(value: Any) -> str | None:
    """The text of a timestamp or nonce; AKOOL's pages show both texts and numbers."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _plain_text(value)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
