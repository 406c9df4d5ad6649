"""The jobs that people and sensors start."""

import dagster as dg

from akool_dagster.assets.custom_avatars import CUSTOM_AVATARS
from akool_dagster.assets.script_videos import (
    DOWNLOADED_VIDEOS,
    PAID_TAGS,
    VIDEO_REQUESTS,
    VOICE_FILES,
)
from akool_dagster.automation.retrying import retry_videos


def _rows_only(*assets: dg.AssetKey) -> dg.AssetSelection:
    """Selects assets without their checks.

    A run of some good and some bad rows ends as failed, and Dagster would show each check in it as
    failed too. `video_info_sensor` evaluates the checks.
    """
    return dg.AssetSelection.assets(*assets).without_checks()


request_videos = dg.define_asset_job(
    "request_videos",
    selection=_rows_only(VOICE_FILES, VIDEO_REQUESTS),
    description="Speaks the scripts and asks AKOOL for their videos; does not wait. Costs credits.",
    tags=PAID_TAGS,
)

download_videos = dg.define_asset_job(
    "download_videos",
    selection=_rows_only(DOWNLOADED_VIDEOS),
    description="Saves finished videos. Costs nothing.",
    tags=PAID_TAGS,
)

generate_videos = dg.define_asset_job(
    "generate_videos",
    selection=_rows_only(VOICE_FILES, VIDEO_REQUESTS, DOWNLOADED_VIDEOS),
    description="From script to saved video in one run that waits for AKOOL. Costs credits.",
    tags=PAID_TAGS,
)

upload_avatars = dg.define_asset_job(
    "upload_avatars",
    selection=_rows_only(CUSTOM_AVATARS),
    description="Uploads your own avatars; does not wait for AKOOL. May cost credits.",
    tags=PAID_TAGS,
)

refresh_catalogs = dg.define_asset_job(
    "refresh_catalogs",
    selection=dg.AssetSelection.assets("avatar_catalog", "voice_catalog"),
    description="Reads AKOOL's avatars and voices. Costs nothing.",
)

validate_manifests = dg.define_asset_job(
    "validate_manifests",
    selection=dg.AssetSelection.assets("script_manifests"),
    description="Validates a manifest and registers its scripts. Costs nothing.",
)

write_results = dg.define_asset_job(
    "write_results",
    selection=dg.AssetSelection.assets("batch_results"),
    description="Writes the results of a manifest. Costs nothing.",
)

JOBS = (
    retry_videos,
    request_videos,
    download_videos,
    generate_videos,
    upload_avatars,
    refresh_catalogs,
    validate_manifests,
    write_results,
)
"""All jobs of the code location."""
