"""Who is calling AKOOL, the one header that says so, and how it stays out of every text.

AKOOL ignores ``x-api-key`` when an ``Authorization`` header is there as well, so a stale token
would break a good key: exactly one of the two is ever sent (docs: authentication page).
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from requests import PreparedRequest
from requests.auth import AuthBase

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class ApiKey:
    """The key that is sent as ``x-api-key``; AKOOL's recommended way since October 2025.

    Args:
        key: The API key, which is the same value as the older client secret.

    Raises:
        ValueError: The key is empty or holds blanks, line breaks or other unprintable characters.
    """

    key: str = field(repr=False)

    def __post_init__(self):
        _check(self.key, name="API key")


@dataclass(frozen=True)
class ClientLogin:
    """The older pair that is exchanged for a token, which is sent as a bearer.

    Args:
        client_id: The client id.
        client_secret: The client secret, which is the same value as the API key.

    Raises:
        ValueError: One of them is empty or holds blanks, line breaks or unprintable characters.
    """

    client_id: str
    client_secret: str = field(repr=False)

    def __post_init__(self):
        _check(self.client_id, name="client id")
        _check(self.client_secret, name="client secret")


Credential = ApiKey | ClientLogin


class KeyHeader(AuthBase):
    """Signs a request with an API key."""

    def __init__(self, key: str):
        self._key = key

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Add the header."""
        r.headers["x-api-key"] = self._key
        return r


def choose_credential(
    *, api_key: str | None, client_id: str | None, client_secret: str | None
) -> "Credential | None":
    """Takes the key where there is one, else the log-in.

    AKOOL prefers a token when both are sent (docs: authentication page), so only one ever is.

    Args:
        api_key: Sent as ``x-api-key``.
        client_id: For the log-in.
        client_secret: For the log-in.

    Returns:
        The credential, None when nothing is complete.

    Raises:
        ValueError: A value cannot be a credential, for example because it holds a line break.
    """
    if api_key:
        return ApiKey(api_key)
    if client_id and client_secret:
        return ClientLogin(client_id, client_secret)
    return None


class BearerHeader(AuthBase):
    """Signs a request with a token.

    Attributes:
        proven: Whether AKOOL has answered a call with this token with success.
    """

    def __init__(self, token: str):
        self._token = token
        self.proven = False

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Add the header."""
        r.headers["Authorization"] = f"Bearer {self._token}"
        return r


class NoHeader(AuthBase):
    """Signs nothing: for the log-in, and to keep a ``.netrc`` file from adding a header."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Leave the request as it is."""
        return r


class Secrets:
    """Every secret of a client, to take them out of texts that others wrote."""

    def __init__(self):
        self._spellings: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Remember a secret, as it is and as JSON or an address would spell it."""
        spellings = {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}
        self._spellings = (*self._spellings, *(spellings - set(self._spellings)))

    def redact(self, text: str) -> str:
        """Replace every secret in a text by ``***``."""
        for spelling in self._spellings:
            text = text.replace(spelling, "***")
        return text


def is_header_safe(value: str) -> bool:
    """Whether a header can carry a value unchanged: printable ASCII without blanks."""
    return _HEADER_SAFE.fullmatch(value) is not None


def _check(value: str, *, name: str) -> None:
    if is_header_safe(value):
        return
    problem = (
        "holds blanks, line breaks or characters outside printable ASCII (was it read from a "
        "file together with its line end?)"
        if value
        else "is empty"
    )
    raise ValueError(f"The {name} {problem}.")
