"""Asks for scripts that were never asked for: the nightly schedule and the eager sensor."""

import dagster as dg

from akool_dagster.automation.jobs import request_videos
from akool_dagster.resources import AkoolResource, LedgerResource, StorageResource
from akool_dagster.settings import Settings

_NO_CREDENTIAL = "No AKOOL credential is set (AKOOL_API_KEY): nothing can be asked for."


def build_requesting(
    settings: Settings,
) -> tuple[dg.SensorDefinition, dg.ScheduleDefinition]:
    """Builds ``new_scripts_sensor`` and ``scheduled_batch``.

    Args:
        settings: Says when the schedule fires and how many rows a run has.

    Returns:
        The sensor and the schedule, both switched off until a person switches them on, for both
        spend credits.
    """
    longest = settings.max_scripts_per_run

    @dg.sensor(
        name="new_scripts_sensor",
        job=request_videos,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for new scripts as soon as their manifest is valid. Costs credits.",
    )
    def new_scripts_sensor(
        context: dg.SensorEvaluationContext,
        akool: AkoolResource,
        ledger: LedgerResource,
        storage: StorageResource,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        return _requests_or_reason(context.instance, akool, ledger, storage, longest=longest)

    @dg.schedule(
        name="scheduled_batch",
        job=request_videos,
        cron_schedule=settings.batch_cron,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Asks for all scripts that were not asked for yet. Costs credits.",
    )
    def scheduled_batch(
        context: dg.ScheduleEvaluationContext,
        akool: AkoolResource,
        ledger: LedgerResource,
        storage: StorageResource,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        return _requests_or_reason(context.instance, akool, ledger, storage, longest=longest)

    return new_scripts_sensor, scheduled_batch


def _requests_or_reason(
    instance: dg.DagsterInstance,
    akool: AkoolResource,
    ledger: LedgerResource,
    storage: StorageResource,
    *,
    longest: int,
) -> list[dg.RunRequest] | dg.SkipReason:
    from akool_dagster.automation.request_plans import plan_requests

    if not akool.has_credential:
        return dg.SkipReason(_NO_CREDENTIAL)
    requests = list(plan_requests(instance, ledger=ledger, storage=storage, longest=longest))
    return requests or dg.SkipReason("Every script was asked for before.")
