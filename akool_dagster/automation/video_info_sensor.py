"""Asks AKOOL how the videos are doing, has the finished ones saved, and marks runs failed."""

import dagster as dg

from akool_dagster.automation.jobs import download_videos, upload_avatars, write_results
from akool_dagster.resources import AkoolResource, LedgerResource, StorageResource


def build_video_info_sensor(*, max_scripts_per_run: int) -> dg.SensorDefinition:
    """Builds the sensor.

    Args:
        max_scripts_per_run: Most rows of one run.

    Returns:
        The sensor, switched on by default: it spends nothing, and without it finished videos
        would die with their links.
    """

    @dg.sensor(
        name="video_info_sensor",
        jobs=[download_videos, write_results, upload_avatars],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Asks AKOOL (Get Video Info) for every video under way, has finished ones saved, shows "
            "failed ones and marks the runs that asked for them as failed; so too with uploaded "
            "avatars. Costs nothing."
        ),
    )
    def video_info_sensor(
        context: dg.SensorEvaluationContext,
        akool: AkoolResource,
        ledger: LedgerResource,
        storage: StorageResource,
    ) -> dg.SensorResult | dg.SkipReason:
        if not akool.has_credential:
            return dg.SkipReason("No AKOOL credential is set (AKOOL_API_KEY): nothing to ask.")
        from akool_dagster.automation.video_info import ask_and_plan

        return ask_and_plan(context, akool, ledger, storage, longest=max_scripts_per_run)

    return video_info_sensor
