"""The ``webhookUrl`` of a create."""

from typing import Any

from akool_dagster.emulator.answers import Refusal, text_field


def webhook_url(body: dict[str, Any]) -> str:
    """Where callbacks of a create go; empty for nowhere, as an empty string in the body.

    Raises:
        Refusal: With 1003, when it is no http or https link.
    """
    url = text_field(body, "webhookUrl", required=False)
    if url and not url.startswith(("http://", "https://")):
        raise Refusal(1003, f"webhookUrl must be an http or https link, not {url!r}")
    return url
