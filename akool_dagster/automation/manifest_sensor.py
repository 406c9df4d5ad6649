"""Notices new and changed manifests and has them validated."""

import dagster as dg

from akool_dagster.automation.jobs import validate_manifests
from akool_dagster.resources import StorageResource


@dg.sensor(
    job=validate_manifests,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Validates each new or changed file in the folder of manifests and registers its scripts, "
        "and the avatars of avatars.csv. Costs nothing, and never deletes anything."
    ),
)
def manifest_sensor(
    context: dg.SensorEvaluationContext, storage: StorageResource
) -> dg.SensorResult | dg.SkipReason:
    """Asks for the validation of new and changed manifests; checks avatars.csv by itself."""
    from akool_dagster.automation.manifest_watch import watch_manifests

    return watch_manifests(context, storage.open())
