"""Callbacks from the bytes of a body to what they say."""

import base64
import hashlib
import json
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akool_dagster.akool import ClientLogin, Status
from akool_dagster.akool.webhook import Callback, CallbackError, CallbackReader
from akool_dagster.emulator.webhooks import seal

V1_LOGIN = ClientLogin("EXAMPLE-client-id-24chr=", "EXAMPLE-secret-32-characters-xx=")
V2_LOGIN = ClientLogin("0123456789abcdef01234567", "EXAMPLE-secret-24-chars.")
V1 = {
    "timestamp": 1710757981609,
    "nonce": "1529",
    "dataEncrypt": "R6kWuTB5YMdVWvyhzfWfa3nhIMAw/RsygjDFhFbC"
    "fmIwGCCVLcK23U1q9sovtm5pKn/XqCDcuk8QCJ8YLE2X"
    "1DQiB+rtKmtuHNLySRXjuUPHn5Y1FLYSKCsE3A4kM6jWce38EFzmUxPk8DtC2zM4Xg==",
    "signature": "818edae99d22cb0fadc2cfcf08c5d524975c1dd9",
}
V2 = {
    "timestamp": 1710757981609,
    "nonce": "1529",
    "dataEncrypt": "a3xZFPe8HJ3SavJCiAOh8XVRonaqE40X2BHRy/1W"
    "v6+m3CGliu9JWbX43vmHCfFbXhmHXHaFy/wk9NgEhWWG"
    "KagHMFQTGRC+sB6KDxfuFNA=",
    "signature": "97b3573965b491a8b8f1e049cc4cb56a1368181a",
}
V3 = {
    "timestamp": 1757785623798,
    "nonce": 9047,
    "dataEncrypt": "R6kWuTB5YMdVWvyhzfWfa3nhIMAw/RsygjDFhFbC"
    "fmIwGCCVLcK23U1q9sovtm5pfQgrFkr/3PQXoURC+e2Y"
    "vnq0Gcm/0PQ4PulrPQxxTjsuVqgBZ+6YIuvEcUe8m1h/VhYSYeQ7rlks8pSzHlrLYiViu+38fMX97+BRe8cDZTtzUhXY"
    "++74MOkcvbQLo/3B",
    "signature": "fd2d9104a470442e8fe835c95ade34e521decde3",
}
ID = "0123456789abcdef01234567"


def sealed(payload: object, *, login: ClientLogin = V1_LOGIN, **changes: Any) -> bytes:
    """A genuine body around any payload, signed after the changes."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    body = seal(
        text, client_id=login.client_id, client_secret=login.client_secret, timestamp=1, nonce="n"
    )
    return json.dumps(signed(body | changes, login)).encode()


def signed(body: dict[str, Any], login: ClientLogin = V1_LOGIN) -> dict[str, Any]:
    parts = [login.client_id, *(str(body[name]) for name in ("timestamp", "nonce", "dataEncrypt"))]
    return body | {"signature": hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()}


def read(body: bytes, login: ClientLogin = V1_LOGIN) -> Callback:
    return CallbackReader(login).read(body)


def refused(body: bytes, login: ClientLogin = V1_LOGIN) -> CallbackError:
    with pytest.raises(CallbackError) as caught:
        read(body, login)
    return caught.value


@pytest.mark.parametrize(
    ("login", "body", "expected"),
    [
        pytest.param(
            V1_LOGIN, V1,
            Callback(id=ID, status=Status.COMPLETED, type="avatar",
                     url="https://media.example/out.mp4"),
            id="V1",
        ),
        pytest.param(
            V2_LOGIN, V2,
            Callback(id=ID, status=Status.FAILED, type="audio", reason="AKOOL gave no reason."),
            id="V2",
        ),
        pytest.param(
            V1_LOGIN, V3,
            Callback(id=ID, status=Status.COMPLETED, type="talking photo",
                     url="https://media.example/out.mp4", deduction_credit=30.0),
            id="V3",
        ),
    ],
)  # fmt: skip
def test_vectors(login: ClientLogin, body: dict[str, Any], expected: Callback) -> None:
    assert read(json.dumps(body).encode(), login) == expected


@pytest.mark.parametrize("name", ["signature", "dataEncrypt", "timestamp", "nonce"])
def test_every_signed_part_counts(name: str) -> None:
    other = {**V1, name: V2[name] if V1[name] != V2[name] else "1530"}
    if name == "timestamp":
        other[name] = 1710757981610
    assert refused(json.dumps(other).encode()).is_forged


def test_another_client_id_is_a_forgery_and_another_secret_cannot_be_read() -> None:
    body = json.dumps(V1).encode()
    assert refused(body, ClientLogin("somebody-elses-client-id", V1_LOGIN.client_secret)).is_forged
    error = refused(body, ClientLogin(V1_LOGIN.client_id, "another-secret-of-32-characters!"))
    assert not error.is_forged
    assert "AKOOL_CLIENT_SECRET" in error.reason


@pytest.mark.parametrize("secret", ["s" * 16, "s" * 24, "s" * 32])
@pytest.mark.parametrize("client_id", ["short", "exactly-16-chars", "more-than-sixteen-characters"])
def test_all_key_lengths_and_client_ids(secret: str, client_id: str) -> None:
    login = ClientLogin(client_id, secret)
    vector = (client_id.encode() + bytes(16))[:16]
    text = b'{"_id":"abc","status":3}'
    padded = text + bytes([16 - len(text) % 16]) * (16 - len(text) % 16)
    cipher = Cipher(algorithms.AES(secret.encode()), modes.CBC(vector)).encryptor()
    encrypted = base64.b64encode(cipher.update(padded) + cipher.finalize()).decode()
    body = signed({"timestamp": 1, "nonce": 2, "dataEncrypt": encrypted}, login)
    assert read(json.dumps(body).encode(), login).id == "abc"


@pytest.mark.parametrize("length", [1, 15, 17, 31, 33])
def test_a_secret_that_is_no_key_is_told_without_showing_it(length: int) -> None:
    with pytest.raises(ValueError, match=f"has {length} bytes") as caught:
        CallbackReader(ClientLogin("id", "x" * length))
    assert "x" * 15 not in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"_id": ID, "video_status": 3, "video": "http://x/v.mp4", "progress": 100},
         Callback(id=ID, status=Status.COMPLETED, url="http://x/v.mp4")),
        ({"_id": ID, "video_status": 4, "error_code": 1205, "error_reason": "create video error"},
         Callback(id=ID, status=Status.FAILED, code=1205, reason="create video error")),
        ({"_id": ID, "status": 4, "error_message": "why"},
         Callback(id=ID, status=Status.FAILED, reason="why")),
        ({"_id": ID, "status": 2, "type": "avatar", "url": ""},
         Callback(id=ID, status=Status.PROCESSING, type="avatar")),
        ({"_id": ID, "status": "3", "url": "http://x/v.mp4", "deduction_credit": "7"},
         Callback(id=ID, status=Status.COMPLETED, url="http://x/v.mp4", deduction_credit=7.0)),
        ({"_id": ID, "status": 3, "video_status": None, "url": None, "type": 7},
         Callback(id=ID, status=Status.COMPLETED)),
        ({"_id": ID, "status": 1, "extra": {"deep": [1, 2]}},
         Callback(id=ID, status=Status.QUEUED)),
    ],
)  # fmt: skip
def test_every_known_spelling_of_the_payload(payload: object, expected: Callback) -> None:
    assert read(sealed(payload)) == expected


@pytest.mark.parametrize(
    "payload",
    [
        {}, [], 7, "text", None, b"", b"not json", b"\xff\xfe", b"[" * 60_000,
        {"status": 3}, {"_id": "", "status": 3}, {"_id": None, "status": 3},
        {"_id": 7, "status": 3}, {"_id": ["x"], "status": 3}, {"_id": "a b", "status": 3},
        {"_id": "a\u0000", "status": 3}, {"_id": "\ud800", "status": 3},
        {"_id": "x" * 101, "status": 3},
        {"_id": ID}, {"_id": ID, "status": None}, {"_id": ID, "status": 9},
        {"_id": ID, "status": 0}, {"_id": ID, "status": True}, {"_id": ID, "status": "done"},
        {"_id": ID, "status": 3.5}, {"_id": ID, "status": [3]},
    ],
    ids=lambda payload: repr(payload)[:40],
)  # fmt: skip
def test_a_genuine_body_with_a_senseless_payload_is_refused(payload: object) -> None:
    assert not refused(sealed(payload)).is_forged


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b"{" * 50_000, b"[" * 60_000,
        b'{"signature":' + b"9" * 5000 + b"}",
        json.dumps({**V1, "nonce": None}).encode(), json.dumps({**V1, "nonce": {}}).encode(),
        json.dumps({**V1, "timestamp": True}).encode(), json.dumps({**V1, "signature": 1}).encode(),
        json.dumps({**V1, "dataEncrypt": None}).encode(),
    ],
    ids=lambda body: repr(body)[:30],
)  # fmt: skip
def test_what_is_no_callback_is_refused_without_a_look_at_the_signature(body: bytes) -> None:
    assert not refused(body).is_forged


def test_halves_of_surrogate_pairs_are_only_a_wrong_signature() -> None:
    for name in ("nonce", "signature", "dataEncrypt"):
        assert refused(json.dumps({**V1, name: "\ud800"}).encode()).is_forged


@pytest.mark.parametrize("encrypted", ["", "AAAA", "no base64!", "é" * 16, "AAAA" * 16 + "="])
def test_a_signed_body_with_broken_ciphertext_is_refused(encrypted: str) -> None:
    body = signed({**V1, "dataEncrypt": encrypted})
    assert not refused(json.dumps(body).encode()).is_forged


def test_numbers_are_signed_as_javascript_writes_them() -> None:
    body = json.dumps(V3).replace("1757785623798", "1757785623798.0").encode()
    assert read(body).deduction_credit == 30


def test_texts_are_sorted_as_javascript_does_it() -> None:
    # U+FF5E comes before U+1F600 by code point, and after it by UTF-16 code unit.
    encrypted, parts = V1["dataEncrypt"], ["\U0001f600", "\uff5e"]
    text = "".join([V1_LOGIN.client_id, encrypted, *parts])
    body = {"dataEncrypt": encrypted, "timestamp": parts[1], "nonce": parts[0]}
    body["signature"] = hashlib.sha1(text.encode()).hexdigest()
    assert read(json.dumps(body).encode()).id == ID


def test_flipped_bits_never_pass_unsigned_and_never_show_the_plaintext() -> None:
    raw = bytearray(base64.b64decode(str(V1["dataEncrypt"])))
    for position in range(len(raw)):
        flipped = bytes(raw[:position]) + bytes([raw[position] ^ 1]) + bytes(raw[position + 1 :])
        body = {**V1, "dataEncrypt": base64.b64encode(flipped).decode()}
        assert refused(json.dumps(body).encode()).is_forged


def secretive(error: CallbackError) -> bool:
    """Whether nothing of a callback or the keys can come into a log by way of an error."""
    told = "".join(traceback.format_exception(error, chain=True)) + repr(vars(error))
    told += repr(error.__context__) + repr(error.__cause__) + repr(getattr(error, "doc", ""))
    hidden = [V1_LOGIN.client_secret, V1_LOGIN.client_id, ID, "media.example", "UniqueWord"]
    return not any(word in told for word in hidden) and error.__context__ is None


def test_errors_hold_neither_keys_nor_plaintext() -> None:
    texts = [
        b'{"_id":"UniqueWord", "status": 3', b"UniqueWord",
        {"_id": ID + " UniqueWord", "status": 3}, {"_id": ID, "status": "UniqueWord"},
    ]  # fmt: skip
    errors = [refused(sealed(text)) for text in texts]
    errors += [refused(b"UniqueWord"), refused(json.dumps({**V1, "nonce": "UniqueWord"}).encode())]
    assert all(secretive(error) for error in errors)
    assert V1_LOGIN.client_secret not in repr(CallbackReader(V1_LOGIN).__dict__)


ANYTHING = settings(
    deadline=None,
    # In a fresh checkout hypothesis first makes its own tables, which it takes for slow tests.
    suppress_health_check=[HealthCheck.too_slow],
)
TEXT = st.text() | st.text(st.sampled_from('aZ9+/= "\\\0\u00e9\u20ac\U0001f600\ud800'))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


def reads_or_refuses(body: bytes) -> None:
    try:
        callback = read(body)
    except CallbackError as error:
        assert secretive(error)
    else:
        assert callback.id
        assert callback.status in Status


@ANYTHING
@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(body: bytes) -> None:
    reads_or_refuses(body)


@ANYTHING
@given(st.dictionaries(st.sampled_from(sorted(V1)), JSON | st.sampled_from(list(V1.values()))))
def test_arbitrary_envelopes_raise_nothing_else(fields: dict[str, Any]) -> None:
    reads_or_refuses(json.dumps(fields).encode())


@ANYTHING
@given(TEXT)
def test_arbitrary_signed_ciphertexts_raise_nothing_else(encrypted: str) -> None:
    try:
        body = signed({**V1, "dataEncrypt": encrypted})
    except UnicodeEncodeError:
        return
    reads_or_refuses(json.dumps(body).encode())


PAYLOAD_FIELDS = [
    "_id", "status", "video_status", "type", "url", "video", "deduction_credit", "error_code",
    "error_reason", "error_reasons", "msg", "create_time", "result",
]  # fmt: skip


@ANYTHING
@given(
    st.dictionaries(st.sampled_from(PAYLOAD_FIELDS), JSON | st.sampled_from([ID, 1, 2, 3, 4])),
    st.booleans(),
)
def test_arbitrary_genuine_payloads_raise_nothing_else(
    fields: dict[str, Any], with_id: bool
) -> None:
    reads_or_refuses(sealed(fields | ({"_id": ID} if with_id else {})))
