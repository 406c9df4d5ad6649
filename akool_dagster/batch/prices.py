"""What a create may cost, in credits, before AKOOL tells.

Speech: 4.4 credits per 1,000 characters on the Pro plan (docs: voiceLab page); larger plans pay
less. Avatar video: no price is published; samples hold one credit per second, rounded up to tens
(docs: samples with ``deduction_lock_duration``).
"""

import math

SPEECH_CREDITS_PER_1000_CHARACTERS = 4.4
CHARACTERS_PER_SECOND = 14.0
"""A usual speed of speech; only for the length of a script that nobody has spoken yet."""


def speech_credits(text: str) -> float:
    """Estimates the price of speaking a text.

    Args:
        text: The text.

    Returns:
        Credits, rounded up to hundredths.
    """
    return math.ceil(len(text) * SPEECH_CREDITS_PER_1000_CHARACTERS / 10) / 100


def speech_seconds(text: str, *, rate_percent: int | None = None) -> float:
    """Estimates how long a text takes to speak.

    Args:
        text: The text.
        rate_percent: Speed of speech, 100 for normal.

    Returns:
        Seconds.
    """
    return len(text) / CHARACTERS_PER_SECOND * 100 / (rate_percent or 100)


def video_credits(seconds: float) -> float:
    """Estimates the price of an avatar video.

    Args:
        seconds: Its length.

    Returns:
        Credits.
    """
    return max(10.0, math.ceil(seconds / 10) * 10.0)
