"""Runs the project's jobs in this process; the Dagster UI shows them like any other run."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import dagster as dg

from akool_dagster.automation.live_runs import range_tags
from akool_dagster.batch.planning import contiguous_ranges
from akool_dagster.definitions import build_definitions
from akool_dagster.settings import Settings

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class EndedRun:
    """A run that is over.

    Attributes:
        run_id: Its id in Dagster.
        success: Whether all its rows got through.
        message: Why not.
    """

    run_id: str
    success: bool
    message: str


class Runner:
    """Runs jobs on the instance of ``DAGSTER_HOME``.

    Args:
        settings: What the environment decides.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._definitions = build_definitions(settings)
        self._instance = dg.DagsterInstance.get()

    def close(self) -> None:
        """Closes the instance."""
        self._instance.dispose()

    def refresh_catalogs(self) -> EndedRun:
        """Reads AKOOL's avatars and voices.

        Returns:
            The run.
        """
        return self._execute("refresh_catalogs")

    def validate(self, manifest: str) -> EndedRun:
        """Validates a manifest and registers its scripts.

        Args:
            manifest: Its name.

        Returns:
            The run.
        """
        self._instance.add_dynamic_partitions("manifests", [manifest])
        return self._execute("validate_manifests", partition_key=manifest)

    def generate(self, keys: Collection[str]) -> Iterator[EndedRun]:
        """Makes the videos of some scripts, run by run, and waits for them.

        Args:
            keys: Partition keys of the scripts.

        Yields:
            Each run when it is over.
        """
        all_keys = self._instance.get_dynamic_partitions("scripts")
        longest = self._settings.max_scripts_per_run
        for stretch in contiguous_ranges(all_keys, chosen=keys, longest=longest):
            tags = range_tags(first=stretch.first, last=stretch.last)
            yield self._execute("generate_videos", tags=tags)

    def write_results(self, manifests: Iterable[str]) -> None:
        """Writes the results of manifests.

        Args:
            manifests: Their names.
        """
        for manifest in manifests:
            self._execute("write_results", partition_key=manifest)

    def _execute(
        self, job: str, *, partition_key: str | None = None, tags: dict[str, str] | None = None
    ) -> EndedRun:
        result = self._definitions.resolve_job_def(job).execute_in_process(
            instance=self._instance,
            partition_key=partition_key,
            tags=tags,
            run_config=_QUIET,
            raise_on_error=False,
        )
        failures = [event for event in result.all_events if event.is_step_failure]
        messages = [_message(event) for event in failures]
        return EndedRun(run_id=result.run_id, success=result.success, message="\n".join(messages))


def _message(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    return data.error.message if data.error is not None else (event.message or "")
