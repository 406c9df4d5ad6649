"""Reads AKOOL's avatars and voices once a day."""

import dagster as dg

from akool_dagster.automation.jobs import refresh_catalogs
from akool_dagster.resources import AkoolResource
from akool_dagster.settings import Settings

CATALOG_CRON = "30 1 * * *"


def build_catalog_refresh(settings: Settings) -> dg.ScheduleDefinition:
    """Builds the schedule.

    Args:
        settings: Says in which time zone it fires.

    Returns:
        The schedule, switched on by default: it spends nothing.
    """

    @dg.schedule(
        name="catalog_refresh",
        job=refresh_catalogs,
        cron_schedule=CATALOG_CRON,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Reads AKOOL's avatars and voices before the nightly batch. Costs nothing.",
    )
    def catalog_refresh(akool: AkoolResource) -> dg.RunRequest | dg.SkipReason:
        if not akool.has_credential:
            return dg.SkipReason("No AKOOL credential is set (AKOOL_API_KEY): nothing to read.")
        return dg.RunRequest()

    return catalog_refresh
