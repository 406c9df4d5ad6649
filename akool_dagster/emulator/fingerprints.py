"""What a request is, apart from what differs between two runs of the same batch.

Between two runs differ: the second that an ``_id`` begins with, the port of servers on this
machine, and the token in a ``webhookUrl``. Everything that is drawn for a request is drawn from
the rest, so that neither the time nor the order in which threads get their turn decides anything.
"""

import hashlib
import json
import re
from typing import Any

from akool_dagster.emulator.ids import replayed_part

_ID = re.compile(r"\b[0-9a-f]{24}\b")
_OWN_HOST = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?")
_WEBHOOK = "webhookUrl"


def steady(text: str) -> str:
    """A text without the hosts of this machine and without the times in ids."""
    return _ID.sub(lambda match: replayed_part(match.group()), _OWN_HOST.sub("", text))


def fingerprint(*, endpoint: str, query: str, body: bytes) -> str:
    """A digest that is the same for the same request in each replay.

    Args:
        endpoint: ``METHOD /path``.
        query: The query string as received.
        body: The body as received; of a JSON object, the webhook's address does not count.
    """
    parts = "\n".join([steady(endpoint), steady(query), steady(_content(body))])
    return hashlib.blake2b(parts.encode(), digest_size=12).hexdigest()


def _content(body: bytes) -> str:
    text = body.decode(errors="replace")
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, dict):
        return text
    kept = {name: item for name, item in value.items() if name != _WEBHOOK}
    return json.dumps(kept, sort_keys=True)
