"""Asset checks: what a person must know of, beside the assets that it is about.

They can be run like any check. ``video_info_sensor`` evaluates them too, whenever their answer
changes, so that nobody has to think of running them.
"""

import time

import dagster as dg

from akool_dagster.assets.custom_avatars import CUSTOM_AVATARS
from akool_dagster.assets.script_videos import DOWNLOADED_VIDEOS, VIDEO_REQUESTS, VOICE_FILES
from akool_dagster.resources import LedgerResource, StorageResource

NO_DOUBT = "no_request_in_doubt"
SAVED_IN_TIME = "saved_before_links_die"
AVATARS_VALID = "avatars_file_valid"


@dg.asset_check(asset=VOICE_FILES, name=NO_DOUBT, description="No paid voice request is in doubt.")
def voice_requests_known(ledger: LedgerResource) -> dg.AssetCheckResult:
    """Fails while it is not known whether AKOOL took some voice."""
    from akool_dagster.assets.check_results import voice_doubts

    with ledger.open() as book:
        return voice_doubts(book)


@dg.asset_check(
    asset=VIDEO_REQUESTS, name=NO_DOUBT, description="No paid video request is in doubt."
)
def video_requests_known(ledger: LedgerResource) -> dg.AssetCheckResult:
    """Fails while it is not known whether AKOOL took some video."""
    from akool_dagster.assets.check_results import video_doubts

    with ledger.open() as book:
        return video_doubts(book)


@dg.asset_check(
    asset=DOWNLOADED_VIDEOS,
    name=SAVED_IN_TIME,
    description="Every finished video is saved while its link has more than 48 hours to live.",
)
def videos_saved_in_time(ledger: LedgerResource) -> dg.AssetCheckResult:
    """Warns 48 hours before a link dies, and fails when a video was lost."""
    from akool_dagster.assets.check_results import links

    with ledger.open() as book:
        return links(book, now=time.time())


@dg.asset_check(asset=CUSTOM_AVATARS, name=NO_DOUBT, description="No upload is in doubt.")
def avatar_uploads_known(ledger: LedgerResource) -> dg.AssetCheckResult:
    """Fails while it is not known whether AKOOL took some avatar."""
    from akool_dagster.assets.check_results import avatar_doubts

    with ledger.open() as book:
        return avatar_doubts(book)


@dg.asset_check(asset=CUSTOM_AVATARS, name=AVATARS_VALID, description="avatars.csv can be used.")
def avatars_file_valid(storage: StorageResource) -> dg.AssetCheckResult:
    """Fails while the file of own avatars has an error anywhere."""
    from akool_dagster.assets.check_results import avatars_file_now

    return avatars_file_now(storage.open())


CHECKS = (
    voice_requests_known,
    video_requests_known,
    avatar_uploads_known,
    avatars_file_valid,
    videos_saved_in_time,
)
"""All checks of the code location."""
