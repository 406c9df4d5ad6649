"""Fetches what a create links to: audio, pictures, videos."""

import ipaddress
from urllib.parse import urlsplit

_TIMEOUT = (3.0, 10.0)  # real seconds to connect, and between two pieces
_LARGEST = 200 * 1024 * 1024
_PIECE = 64 * 1024


class Unreachable(Exception):
    """A link that cannot be fetched."""


def fetch(url: str, *, any_host: bool) -> bytes:
    """Downloads a link. Blocks; call it outside of an event loop.

    Args:
        url: An http or https link.
        any_host: Fetch from every host; otherwise only from this machine (loopback).

    Raises:
        Unreachable: When it cannot be fetched, with the reason.
    """
    import requests

    if not any_host and not is_loopback(url):
        raise Unreachable(
            f"{url} is not on this machine; other hosts are fetched only with fetch_any_host"
        )
    try:
        with requests.get(url, timeout=_TIMEOUT, stream=True, allow_redirects=any_host) as answer:
            answer.raise_for_status()
            return _content(answer.iter_content(_PIECE), url)
    except (requests.RequestException, ValueError) as error:
        raise Unreachable(f"{url} cannot be fetched: {error}") from error


def is_loopback(url: str) -> bool:
    """Whether a link names this machine by its loopback address or as ``localhost``."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _content(pieces, url: str) -> bytes:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > _LARGEST:
            raise Unreachable(f"{url} is larger than {_LARGEST} bytes")
    return bytes(content)
