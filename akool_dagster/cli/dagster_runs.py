"""Runs the project's jobs in this process; the Dagster UI shows them like any other run."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from akool_dagster.automation.row_runs import plan_row_runs, range_tags
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
        told: What it said about rows that did not get through, by key.
    """

    run_id: str
    success: bool
    message: str
    told: Mapping[str, str] = field(default_factory=dict)


class Runner:
    """Runs jobs on the instance of ``DAGSTER_HOME``.

    Args:
        settings: What the environment decides.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._definitions = build_definitions(settings)
        self._instance = dg.DagsterInstance.get()
        # Ctrl-C may arrive while a connection is being closed: SQLAlchemy passes it on, but would
        # first print a trace.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)

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
        for run in plan_row_runs(all_keys, chosen=keys, longest=longest):
            yield self._execute("generate_videos", tags=run.tags, run_config=run.run_config)

    def upload_avatars(
        self, avatar_ids: Collection[str], *, of: Sequence[str]
    ) -> Iterator[EndedRun]:
        """Uploads some of the user's own avatars, run by run; does not wait for AKOOL.

        Args:
            avatar_ids: Those to upload.
            of: All that the file of avatars names, in its order; they become partitions.

        Yields:
            Each run when it is over.
        """
        self._instance.add_dynamic_partitions("avatars", list(of))
        all_keys = self._instance.get_dynamic_partitions("avatars")
        longest = self._settings.max_scripts_per_run
        for stretch in contiguous_ranges(all_keys, chosen=avatar_ids, longest=longest):
            tags = range_tags(first=stretch.first, last=stretch.last)
            yield self._execute("upload_avatars", tags=tags)

    def write_results(self, manifests: Iterable[str]) -> Iterator[EndedRun]:
        """Writes the results of manifests.

        Args:
            manifests: Their names.

        Yields:
            Each run when it is over.
        """
        for manifest in manifests:
            yield self._execute("write_results", partition_key=manifest)

    def _execute(
        self,
        job: str,
        *,
        partition_key: str | None = None,
        tags: Mapping[str, str] | None = None,
        run_config: Mapping[str, Any] | None = None,
    ) -> EndedRun:
        """Runs a job to its end.

        Raises:
            KeyboardInterrupt: A person, or the system, wanted it stopped.
        """
        try:
            result = self._definitions.resolve_job_def(job).execute_in_process(
                instance=self._instance,
                partition_key=partition_key,
                tags=dict(tags or {}),
                run_config={**_QUIET, **(run_config or {})},
                raise_on_error=False,
            )
        except dg.DagsterExecutionInterruptedError as error:
            raise KeyboardInterrupt from error
        failures = [event for event in result.all_events if event.is_step_failure]
        if any(_is_interruption(event) for event in failures):
            raise KeyboardInterrupt
        return EndedRun(
            run_id=result.run_id,
            success=result.success,
            message="\n".join(_message(event) for event in failures),
            told={} if result.success else self._told(result.run_id),
        )

    def _told(self, run_id: str) -> dict[str, str]:
        """Collects what the row assets wrote down about rows that did not get through."""
        logs = self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION)
        events = [entry.dagster_event for entry in logs if entry.dagster_event is not None]
        notes = [event.asset_observation_data.asset_observation for event in events]
        return {note.partition: note.description or "" for note in notes if note.partition}


def _is_interruption(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _message(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    return data.error.message if data.error is not None else (event.message or "")
