"""What happens to one row or one avatar in each asset, and how its file gets onto our storage."""

from enum import Enum


class Stage(str, Enum):
    """The three stages of a row, and that of an own avatar, named as the assets that show them."""

    VOICE = "voice_files"
    VIDEO = "video_requests"
    DOWNLOAD = "downloaded_videos"
    AVATAR = "custom_avatars"
    """No stage of a row: rows may only wait for what it makes."""


STAGES = (Stage.VOICE, Stage.VIDEO, Stage.DOWNLOAD)
"""The stages in the order in which a row passes them."""


PAID = frozenset({Stage.VOICE, Stage.VIDEO})
"""The stages that may cost credits."""
