"""Which header signs the next call, and when a new token is needed."""

import threading
from collections.abc import Callable

from requests.auth import AuthBase

from akool_dagster.akool.credentials import (
    ApiKey,
    BearerHeader,
    ClientLogin,
    Credential,
    KeyHeader,
)


class Login:
    """The credential of a client, shared by its threads.

    A token lasts for more than a year (docs: authentication page), so it is fetched when it is
    first needed and again only after AKOOL rejected it.

    Args:
        credential: Who is calling.
        fetch_token: Exchanges a client id and secret for a token.
    """

    def __init__(self, credential: Credential, *, fetch_token: Callable[[ClientLogin], str]):
        self._credential = credential
        self._fetch_token = fetch_token
        self._lock = threading.Lock()
        self._bearer: BearerHeader | None = None

    def header(self) -> AuthBase:
        """The header for the next call; logs in first where there is no token.

        Raises:
            AkoolError: The log-in failed.
        """
        if isinstance(self._credential, ApiKey):
            return KeyHeader(self._credential.key)
        with self._lock:
            if self._bearer is None:
                self._bearer = BearerHeader(self._fetch_token(self._credential))
            return self._bearer

    def accepted(self, header: AuthBase) -> None:
        """Note that AKOOL answered a call signed by this header with success."""
        if isinstance(header, BearerHeader):
            header.proven = True

    def rejected(self, header: AuthBase) -> bool:
        """Drop the token that AKOOL rejected, unless another thread has replaced it already.

        Returns:
            Whether there was a token to drop, so that a new one may do better.
        """
        if not isinstance(header, BearerHeader):
            return False
        with self._lock:
            if self._bearer is header:
                self._bearer = None
        return True
