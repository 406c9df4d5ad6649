"""The code location: everything that Dagster loads."""

import dagster as dg

from akool_dagster.assets.batch_results import batch_results
from akool_dagster.assets.catalogs import avatar_catalog, voice_catalog
from akool_dagster.assets.checks import CHECKS
from akool_dagster.assets.custom_avatars import build_custom_avatars
from akool_dagster.assets.manifests import script_manifests
from akool_dagster.assets.script_videos import build_script_videos
from akool_dagster.automation.catalog_refresh import build_catalog_refresh
from akool_dagster.automation.jobs import JOBS
from akool_dagster.automation.manifest_sensor import manifest_sensor
from akool_dagster.automation.requesting import build_requesting
from akool_dagster.automation.video_info_sensor import build_video_info_sensor
from akool_dagster.resources import resources_from_environment
from akool_dagster.settings import Settings, load_settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Puts the code location together.

    Args:
        settings: What the environment decides.

    Returns:
        Assets, jobs, sensors, schedules and resources.
    """
    new_scripts_sensor, scheduled_batch = build_requesting(settings)
    return dg.Definitions(
        assets=[
            avatar_catalog,
            voice_catalog,
            build_custom_avatars(max_avatars_per_run=settings.max_scripts_per_run),
            script_manifests,
            build_script_videos(max_scripts_per_run=settings.max_scripts_per_run),
            batch_results,
        ],
        asset_checks=CHECKS,
        jobs=JOBS,
        sensors=[
            manifest_sensor,
            new_scripts_sensor,
            build_video_info_sensor(max_scripts_per_run=settings.max_scripts_per_run),
        ],
        schedules=[scheduled_batch, build_catalog_refresh(settings)],
        resources=resources_from_environment(settings),
        # The work is waiting for the network in threads: a process per step would buy nothing.
        executor=dg.in_process_executor,
    )


defs = build_definitions(load_settings())
