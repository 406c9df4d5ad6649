"""Callbacks, opened by an implementation of its own: AES by hand-set parameters, SHA-1 by parts."""

import base64
import contextlib
import hashlib
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from akool_dagster.emulator import WebhookHabits
from akool_dagster.emulator.webhooks import seal
from akool_dagster_tests.emulator.api import Api

V1_KEYS = {
    "client_id": "EXAMPLE-client-id-24chr=",
    "client_secret": "EXAMPLE-secret-32-characters-xx=",
}
V2_KEYS = {
    "client_id": "0123456789abcdef01234567",
    "client_secret": "EXAMPLE-secret-24-chars.",
}
VECTORS = [
    pytest.param(
        V1_KEYS,
        1710757981609,
        "1529",
        '{"_id":"0123456789abcdef01234567","status":3,"type":"avatar",'
        '"url":"https://media.example/out.mp4"}',
        "R6kWuTB5YMdVWvyhzfWfa3nhIMAw/RsygjDFhFbCfmIwGCCVLcK23U1q9sovtm5pKn/XqCDcuk8QCJ8YLE2X1DQiB+rt"
        "KmtuHNLySRXjuUPHn5Y1FLYSKCsE3A4kM6jWce38EFzmUxPk8DtC2zM4Xg==",
        "818edae99d22cb0fadc2cfcf08c5d524975c1dd9",
        id="V1",
    ),
    pytest.param(
        V2_KEYS,
        1710757981609,
        "1529",
        '{"_id":"0123456789abcdef01234567","status":4,"type":"audio","url":""}',
        "a3xZFPe8HJ3SavJCiAOh8XVRonaqE40X2BHRy/1Wv6+m3CGliu9JWbX43vmHCfFbXhmHXHaFy/wk9NgEhWWGKagHMFQT"
        "GRC+sB6KDxfuFNA=",
        "97b3573965b491a8b8f1e049cc4cb56a1368181a",
        id="V2",
    ),
    pytest.param(
        V1_KEYS,
        1757785623798,
        9047,
        '{"_id":"0123456789abcdef01234567","status":3,"type":"talking photo",'
        '"url":"https://media.example/out.mp4","deduction_credit":30}',
        "R6kWuTB5YMdVWvyhzfWfa3nhIMAw/RsygjDFhFbCfmIwGCCVLcK23U1q9sovtm5pfQgrFkr/3PQXoURC+e2Yvnq0Gcm/"
        "0PQ4PulrPQxxTjsuVqgBZ+6YIuvEcUe8m1h/VhYSYeQ7rlks8pSzHlrLYiViu+38fMX97+BRe8cDZTtzUhXY++74MOkc"
        "vbQLo/3B",
        "fd2d9104a470442e8fe835c95ade34e521decde3",
        id="V3",
    ),
]


@pytest.mark.parametrize(("keys", "timestamp", "nonce", "plain", "encrypted", "signature"), VECTORS)
def test_vectors(
    keys: dict, timestamp: int, nonce: str | int, plain: str, encrypted: str, signature: str
) -> None:
    sealed = seal(plain.encode(), timestamp=timestamp, nonce=nonce, **keys)
    assert sealed == {
        "signature": signature,
        "dataEncrypt": encrypted,
        "timestamp": timestamp,
        "nonce": nonce,
    }


def test_a_short_client_id_is_padded_with_zeros() -> None:
    keys = {"client_id": "short", "client_secret": "0123456789abcdef"}
    sealed = seal(b"{}", timestamp=1, nonce="n", **keys)
    assert decrypted(sealed, "short", "0123456789abcdef") == b"{}"


def decrypted(body: dict[str, Any], client_id: str, client_secret: str) -> bytes:
    vector = (client_id.encode() + bytes(16))[:16]
    cipher = Cipher(algorithms.AES(client_secret.encode()), modes.CBC(vector)).decryptor()
    padded = cipher.update(base64.b64decode(body["dataEncrypt"])) + cipher.finalize()
    count = padded[-1]
    assert 1 <= count <= 16
    assert padded[-count:] == bytes([count]) * count
    return padded[:-count]


def is_signed(body: dict[str, Any], client_id: str) -> bool:
    parts = [client_id, str(body["timestamp"]), str(body["nonce"]), body["dataEncrypt"]]
    digest = hashlib.sha1()
    for part in sorted(parts):
        digest.update(part.encode())
    return digest.hexdigest() == body["signature"]


def opened(api: Api, raw: bytes) -> dict[str, Any]:
    body = json.loads(raw)
    assert set(body) == {"signature", "dataEncrypt", "timestamp", "nonce"}
    assert is_signed(body, api.akool.client_id)
    return json.loads(decrypted(body, api.akool.client_id, api.akool.client_secret))


def wait_until_confirmed(api: Api, **counts: int) -> None:
    end, found = time.monotonic() + 10, {}
    while time.monotonic() < end:
        found = api.akool.emulator.stats().webhooks
        if all(found.get(name, 0) >= count for name, count in counts.items()):
            return
        time.sleep(0.01)
    raise AssertionError(f"{found} never became {counts}")


def test_a_finished_video_calls_back(api: Api, site) -> None:
    video_id = api.video_id(webhookUrl=site.url + "/hook?token=abc")
    assert not site.bodies
    api.akool.emulator.clock.advance(100)
    payload = opened(api, site.wait_for(1)[0])
    info = api.info(video_id)
    assert payload == {
        "_id": video_id,
        "status": 3,
        "type": "avatar",
        "url": info["video"],
        "deduction_credit": info["deduction_duration"],
    }
    wait_until_confirmed(api, delivered=1)


def test_callbacks_come_without_anybody_asking_at_a_fast_speed(start, site) -> None:
    api: Api = start(speed=600)
    api.video_id(webhookUrl=site.url)
    assert opened(api, site.wait_for(1)[0])["status"] == 3


def test_a_failed_video_and_speech_call_back_too(api: Api, site) -> None:
    failing = api.video_id(text="[[video:failed 1205 why]]", webhookUrl=site.url)
    audio = api.tts(webhookUrl=site.url)["data"]["_id"]
    api.akool.emulator.clock.advance(100)
    payloads = {item["_id"]: item for item in (opened(api, raw) for raw in site.wait_for(2))}
    assert payloads[failing] == {"_id": failing, "status": 4, "type": "avatar", "url": ""}
    assert (payloads[audio]["type"], payloads[audio]["status"]) == ("audio", 3)
    assert payloads[audio]["url"].endswith(".mp3")


def test_it_is_sent_again_until_http_200_with_growing_pauses(start, site) -> None:
    api: Api = start()
    site.answers = [500, 404, 200]
    api.video_id(webhookUrl=site.url)
    clock = api.akool.emulator.clock
    clock.advance(100)
    site.wait_for(1)
    for attempts, pause in ((1, 15), (2, 30)):
        wait_until_confirmed(api, attempts=attempts)
        clock.advance(pause - 5)
        time.sleep(0.05)
        assert len(site.bodies) == attempts
        clock.advance(10)
        site.wait_for(attempts + 1)
    wait_until_confirmed(api, attempts=3, delivered=1)
    clock.advance(10_000)
    time.sleep(0.05)
    assert len(site.bodies) == 3
    assert len({opened(api, raw)["_id"] for raw in site.bodies}) == 1


def test_it_gives_up(start, site) -> None:
    api: Api = start()
    api.akool.emulator.configure(webhooks={"attempts": 2})
    site.answers = [500] * 9
    api.video_id(webhookUrl=site.url)
    for attempts in (1, 2):
        api.akool.emulator.clock.advance(10_000)
        wait_until_confirmed(api, attempts=attempts)
    wait_until_confirmed(api, given_up=1)


def test_an_unreachable_receiver_is_logged(api: Api) -> None:
    api.video_id(webhookUrl="http://127.0.0.1:9/hook")
    api.akool.emulator.clock.advance(100)
    wait_until_confirmed(api, attempts=1)
    (delivery,) = api.akool.emulator.webhooks.log
    assert (delivery.answer, delivery.attempt) == (0, 1)
    assert "ConnectionError" in delivery.problem


def test_none_without_a_url_or_when_switched_off(api: Api, site) -> None:
    api.video_id()
    api.akool.emulator.configure(webhooks={"send": False})
    api.video_id(webhookUrl=site.url)
    api.akool.emulator.clock.advance(100)
    time.sleep(0.1)
    assert not site.bodies


def statuses(api: Api, bodies: list[bytes]) -> list[int]:
    return [opened(api, raw)["status"] for raw in bodies]


def test_status_2_first_and_copies(api: Api, site) -> None:
    api.akool.emulator.configure(webhooks={"status_2": True, "copies": 2})
    api.video_id(webhookUrl=site.url)
    api.akool.emulator.clock.advance(2)
    assert statuses(api, site.wait_for(2)) == [2, 2]
    api.akool.emulator.clock.advance(100)
    assert statuses(api, site.wait_for(4)) == [2, 2, 3, 3]


def test_reordered_the_end_comes_before_the_beginning(api: Api, site) -> None:
    api.akool.emulator.configure(webhooks={"reorder": True})
    api.video_id(webhookUrl=site.url)
    clock = api.akool.emulator.clock
    clock.advance(62)
    clock.advance(4)
    assert statuses(api, site.wait_for(1)) == [3]
    clock.advance(10)
    assert statuses(api, site.wait_for(2)) == [3, 2]


def test_wrong_signature_wrong_key_and_number_nonce(api: Api, site) -> None:
    emulator = api.akool.emulator
    emulator.configure(webhooks={"number_nonce": True})
    api.video_id(webhookUrl=site.url)
    emulator.clock.advance(100)
    assert isinstance(json.loads(site.wait_for(1)[0])["nonce"], int)
    opened(api, site.bodies[0])

    emulator.configure(webhooks={"wrong_signature": True})
    api.video_id(webhookUrl=site.url)
    emulator.clock.advance(100)
    assert not is_signed(json.loads(site.wait_for(2)[1]), api.akool.client_id)

    emulator.configure(webhooks={"wrong_signature": False, "wrong_key": True})
    api.video_id(webhookUrl=site.url)
    emulator.clock.advance(100)
    body = json.loads(site.wait_for(3)[2])
    assert is_signed(body, api.akool.client_id)
    cipher = Cipher(
        algorithms.AES(api.akool.client_secret.encode()),
        modes.CBC(api.akool.client_id.encode()[:16]),
    ).decryptor()
    junk = cipher.update(base64.b64decode(body["dataEncrypt"])) + cipher.finalize()
    assert b"_id" not in junk


def test_the_nonce_is_a_string_by_default(api: Api, site) -> None:
    api.video_id(webhookUrl=site.url)
    api.akool.emulator.clock.advance(100)
    assert isinstance(json.loads(site.wait_for(1)[0])["nonce"], str)


def test_a_callback_before_the_answer(api: Api, site) -> None:
    api.akool.emulator.configure(webhooks={"before_answer": True})
    video_id = api.video_id(webhookUrl=site.url)
    (raw,) = site.bodies  # it was there before the create was answered
    assert opened(api, raw)["_id"] == video_id
    assert api.info(video_id)["video_status"] == 3


def test_the_translation_receivers_field_names(api: Api, site) -> None:
    api.akool.emulator.configure(webhooks={"translation_fields": True})
    api.video_id(webhookUrl=site.url)
    api.akool.emulator.clock.advance(100)
    payload = opened(api, site.wait_for(1)[0])
    assert (payload["video_status"], payload["progress"]) == (3, 100)
    assert payload["video"].endswith(".mp4")
    assert not {"status", "url"} & set(payload)


def test_a_late_callback(api: Api, site) -> None:
    api.akool.emulator.configure(webhooks={"late": 500.0})
    video_id = api.video_id(webhookUrl=site.url)
    api.akool.emulator.clock.advance(450)
    assert api.info(video_id)["video_status"] == 3
    time.sleep(0.05)
    assert not site.bodies
    api.akool.emulator.clock.advance(200)
    assert opened(api, site.wait_for(1)[0])["_id"] == video_id


def test_a_share_of_the_callbacks_is_lost_and_counted(start, site) -> None:
    api: Api = start(media="tiny", slots=100)
    api.akool.emulator.configure(webhooks={"lost": 0.5})
    ids = [api.video_id(text=f"Number {n}.", webhookUrl=site.url) for n in range(40)]
    api.akool.emulator.clock.advance(100)
    lost = api.akool.emulator.stats().webhooks["lost"]
    assert 8 < lost < 32
    told = [opened(api, raw)["_id"] for raw in site.wait_for(40 - lost)]
    wait_until_confirmed(api, delivered=40 - lost)
    assert len(set(told)) == len(told) == 40 - lost
    assert set(told) < set(ids)


def test_a_forgery_comes_along_and_only_the_encryption_gives_it_away(api: Api, site) -> None:
    api.akool.emulator.configure(webhooks={"forged": True})
    site.answers = [400, 400]
    video_id = api.video_id(text="[[video:failed]]", webhookUrl=site.url)
    api.akool.emulator.clock.advance(100)
    bodies = [json.loads(raw) for raw in site.wait_for(2)]
    assert all(is_signed(body, api.akool.client_id) for body in bodies)
    secrets = ("this-is-not-the-accounts-secret!", api.akool.client_secret)
    texts = []
    for secret in secrets:
        for body in bodies:
            with contextlib.suppress(AssertionError, ValueError):
                texts.append(json.loads(decrypted(body, api.akool.client_id, secret)))
    forgery, truth = texts
    assert (forgery["_id"], forgery["status"]) == (video_id, 3)
    assert (truth["_id"], truth["status"], truth["url"]) == (video_id, 4, "")
    wait_until_confirmed(api, attempts=1, forged=1)
    for _ in range(2):  # the truth is sent again, the forgery is not
        api.akool.emulator.clock.advance(10_000)
        wait_until_confirmed(api, attempts=2, delivered=1, forged=1)
        assert len(site.bodies) == 3


@pytest.mark.parametrize(
    ("habit", "value"),
    [("copies", 0), ("attempts", 0), ("late", -1.0), ("lost", 1.5), ("timeout", 0.0)],
)
def test_an_impossible_habit_is_explained(habit: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{habit} is {value}"):
        WebhookHabits(**{habit: value})
