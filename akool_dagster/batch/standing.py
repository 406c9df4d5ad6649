"""Where a script row stands, in one word."""

from enum import Enum


class Standing(str, Enum):
    """Where a row stands."""

    NEW = "new"
    """Nothing was asked for this content yet."""
    NOT_REQUESTED = "not requested"
    """It was planned; the account was stopped, the cap reached, or its process ended before it."""
    VOICE_PENDING = "voice pending"
    """AKOOL makes its voice, or has made it and it is not saved."""
    VOICE_READY = "voice ready"
    """Its voice is saved, its video is not asked for."""
    REQUESTED = "requested"
    """AKOOL works on its video."""
    FINISHED = "finished at AKOOL"
    """AKOOL made the video; it is not on our storage yet."""
    SAVED = "saved"
    """The video is on our storage."""
    REFUSED = "refused"
    """AKOOL refused the voice or the video; not charged."""
    FAILED = "failed"
    """AKOOL accepted the voice or the video and could not make it."""
    IN_DOUBT = "in doubt"
    """It may have been charged, and nobody knows."""
    EXPIRED = "expired"
    """AKOOL's link died before the file was saved."""
