"""What a create may cost, in credits, before AKOOL tells.

The account's own history decides where there is any. Until then: speech costs 4.4 credits per
1,000 characters on the Pro plan (docs: voiceLab page), larger plans pay less; an avatar video has
no published price, and samples hold one credit per second, rounded up to tens (docs: samples with
``deduction_lock_duration``).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard

from akool_dagster.ledger import Kind, Ledger, Rate

SPEECH_CREDITS_PER_1000_CHARACTERS = 4.4
VIDEO_CREDITS_PER_SECOND = 1.0
CLONE_CREDITS = 5.0
"""AKOOL publishes no price for cloning a voice: its plans name only how many clones may be held
(docs: voiceLab page: 30, 180 or 500), and a clone's record has a ``deduction_credit`` that its
samples leave at nothing. It may well be free. This sets aside a little more than the dearest
published voice service, 4.4 credits; once AKOOL has told what a clone took, that counts instead."""
AVATAR_CREDITS = 10.0
"""AKOOL publishes no price for making an avatar from an upload (docs: avatar page). It may well be
free within a plan. This sets aside the least that its samples hold for any job; once AKOOL has told
what an upload took, that counts instead."""
CHARACTERS_PER_SECOND = 14.0
"""A usual speed of speech; only for the length of a script that nobody has spoken yet."""

ENOUGH_SAMPLES = 5
"""Finished creates from which on the history is believed."""

MARGIN = 1.15
"""What is set aside beyond the mean of the history: users saw a balance fall by a little more
than the deductions that AKOOL reports."""


def speech_seconds(text: str, *, rate_percent: int | None = None) -> float:
    """Estimates how long a text takes to speak.

    Args:
        text: The text.
        rate_percent: Speed of speech, 100 for normal.

    Returns:
        Seconds.
    """
    return len(text) / CHARACTERS_PER_SECOND * 100 / (rate_percent or 100)


@dataclass(frozen=True, kw_only=True)
class PriceBook:
    """Prices as far as they are known.

    Attributes:
        voice: What speech cost so far.
        video: What videos cost so far.
        clone: The most that the clone of a voice cost so far, in credits.
        avatar: The most that an uploaded avatar cost so far, in credits.
    """

    voice: Rate | None = None
    video: Rate | None = None
    clone: float | None = None
    avatar: float | None = None

    @classmethod
    def from_ledger(cls, ledger: Ledger) -> "PriceBook":
        """Reads the history.

        Args:
            ledger: The ledger.

        Returns:
            The price book.
        """
        rates = {kind: ledger.spending.rate(kind) for kind in (Kind.VOICE, Kind.VIDEO)}
        return cls(
            voice=rates[Kind.VOICE],
            video=rates[Kind.VIDEO],
            clone=ledger.spending.dearest(Kind.CLONE),
            avatar=ledger.spending.dearest(Kind.AVATAR),
        )

    def speech(self, text: str, *, rate_percent: int | None = None) -> float:
        """Estimates the price of speaking a text.

        Args:
            text: The text.
            rate_percent: Speed of speech, 100 for normal.

        Returns:
            Credits, rounded up to hundredths.
        """
        if _is_known(self.voice):
            seconds = speech_seconds(text, rate_percent=rate_percent)
            return _up(seconds * self.voice.credits_per_second * MARGIN, places=2)
        return _up(len(text) * SPEECH_CREDITS_PER_1000_CHARACTERS / 1000, places=2)

    def voice_clone(self) -> float:
        """Estimates the price of cloning a voice.

        Returns:
            Credits: the most that one took so far, else :data:`CLONE_CREDITS`.
        """
        return CLONE_CREDITS if self.clone is None else self.clone

    def uploaded_avatar(self) -> float:
        """Estimates the price of having an avatar made from a video.

        Returns:
            Credits: the most that one took so far, else :data:`AVATAR_CREDITS`.
        """
        return AVATAR_CREDITS if self.avatar is None else self.avatar

    def avatar_video(self, seconds: float) -> float:
        """Estimates the price of an avatar video.

        Args:
            seconds: Its length.

        Returns:
            Credits: rounded up to whole ones from the history, to tens without one.
        """
        if _is_known(self.video):
            return _up(seconds * self.video.credits_per_second * MARGIN, places=0)
        return max(10.0, math.ceil(seconds * VIDEO_CREDITS_PER_SECOND / 10) * 10.0)

    @property
    def basis(self) -> str:
        """One sentence on what the estimates rest on."""
        if _is_known(self.video):
            return f"from {self.video.samples} videos of this account, plus {MARGIN - 1:.0%}"
        return "a guess: AKOOL publishes no price for avatar videos, and there is no history yet"


def _is_known(rate: Rate | None) -> TypeGuard[Rate]:
    return rate is not None and rate.samples >= ENOUGH_SAMPLES


@lru_cache(maxsize=10_000)  # scripts are many, and their lengths few
def _up(value: float, *, places: int) -> float:
    scale = 10**places
    return math.ceil(round(value * scale, 6)) / scale
