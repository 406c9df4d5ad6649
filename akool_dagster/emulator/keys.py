"""Who may call: API keys, client pairs, tokens (docs: authentication page)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

from akool_dagster.emulator.answers import Refusal
from akool_dagster.emulator.config import EmulatorConfig

_HEADER = {"alg": "HS256", "typ": "JWT"}


def check_credentials(headers: Mapping[str, str], config: EmulatorConfig, *, now: float) -> None:
    """Lets a call pass or refuses it.

    ``Authorization`` beats ``x-api-key``: with a stale token a good key does not count.

    Args:
        headers: The request's headers; their names are looked up in lower case.
        config: Which keys and clients are good, and whether the account is banned.
        now: Virtual epoch seconds.

    Raises:
        Refusal: 1102 without credentials, 1101 (or 1109) with bad ones, 1200 when banned.
    """
    authorization = headers.get("authorization", "").strip()
    api_key = headers.get("x-api-key", "").strip()
    if not authorization and not api_key:
        raise Refusal(1102)
    known = _is_token(authorization, config, now) if authorization else _is_key(api_key, config)
    if not known:
        raise Refusal(config.key_error_code)
    if config.banned:
        raise Refusal(1200)


def issue_token(client_id: str, client_secret: str, config: EmulatorConfig, *, now: float) -> str:
    """A new token, a JWT with ``iat`` and ``exp``.

    Raises:
        Refusal: 1101 (or 1109) for an unknown pair, 1200 when banned.
    """
    if (client_id, client_secret) not in config.clients:
        raise Refusal(config.key_error_code)
    if config.banned:
        raise Refusal(1200)
    claims = {"id": client_id, "iat": int(now), "exp": int(now + config.token_life)}
    return _signed(claims, client_secret)


def _is_key(key: str, config: EmulatorConfig) -> bool:
    return key in config.api_keys or any(key == secret for _, secret in config.clients)


def _is_token(authorization: str, config: EmulatorConfig, now: float) -> bool:
    scheme, _, token = authorization.partition(" ")
    claims = _claims(token.strip())
    expires = claims.get("exp")
    if scheme.lower() != "bearer" or not isinstance(expires, int) or expires <= now:
        return False
    return any(
        client_id == claims.get("id") and _signed(claims, secret) == token.strip()
        for client_id, secret in config.clients
    )


def _claims(token: str) -> dict:
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _signed(claims: dict, secret: str) -> str:
    message = f"{_encoded(_HEADER)}.{_encoded(claims)}"
    signature = hmac.new(secret.encode(), message.encode(), hashlib.sha256).digest()
    return f"{message}.{_base64(signature)}"


def _encoded(value: dict) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
