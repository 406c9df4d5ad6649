"""A data root, an emulator and a Dagster instance, as one deployment."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from akool_dagster.automation.row_runs import range_tags
from akool_dagster.emulator import RunningEmulator
from akool_dagster.ledger import Ledger
from akool_dagster.settings import Settings
from akool_dagster_tests.support import write_manifest


@dataclass(frozen=True, kw_only=True)
class Place:
    """Everything a test needs to act as a person in front of the UI."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    settings: Settings
    data: Path
    akool: RunningEmulator

    def put_manifest(self, name: str, *lines: str) -> Path:
        return write_manifest(self.data / "manifests", name, *lines)

    def validate(self, name: str) -> dg.ExecuteInProcessResult:
        self.instance.add_dynamic_partitions("manifests", [name])
        return self.run("validate_manifests", partition_key=name)

    def put_valid_manifest(self, name: str, *lines: str) -> None:
        self.put_manifest(name, *lines)
        assert self.validate(name).success

    def run(
        self,
        job: str,
        *,
        partition_key: str | None = None,
        tags: dict[str, str] | None = None,
        run_config: Mapping[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition_key,
            tags=tags,
            run_config=run_config,
            raise_on_error=False,
        )

    def run_range(self, job: str, first: str, last: str) -> dg.ExecuteInProcessResult:
        return self.run(job, tags=range_tags(first=first, last=last))

    def run_request(self, request: dg.RunRequest, *, job: str) -> dg.ExecuteInProcessResult:
        return self.run(
            request.job_name or job,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            run_config=request.run_config,
        )

    def tick(self, sensor: str, cursor: str | None = None) -> dg.SensorResult:
        """Lets a sensor tick as the daemon would, and registers what it asks for."""
        definition = self.definitions.resolve_sensor_def(sensor)
        context = dg.SensorEvaluationContext(
            instance_ref=self.instance.get_ref(),  # as the daemon: needed to resolve partitions
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=cursor,
            repository_name=None,
            definitions=self.definitions,
            resources=self.definitions.resources,
        )
        with context:
            data = definition.evaluate_tick(context)
        for request in data.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(
                request.partitions_def_name, request.partition_keys
            )
        return dg.SensorResult(
            run_requests=list(data.run_requests or ()),
            cursor=data.cursor,
            asset_events=list(data.asset_events or ()),
        )

    def requests(self, sensor: str) -> list[dg.RunRequest]:
        return list(self.tick(sensor).run_requests or ())

    def materialized(self, asset: str) -> set[str]:
        return set(self.instance.get_materialized_partitions(dg.AssetKey(asset)))

    def failed(self, asset: str, partitions: dg.PartitionsDefinition) -> set[str]:
        statuses = self.instance.get_status_by_partition(
            dg.AssetKey(asset), self.instance.get_dynamic_partitions("scripts"), partitions
        )
        return {
            key for key, status in (statuses or {}).items() if status and status.name == "FAILED"
        }

    def metadata(self, asset: str, partition: str) -> dict[str, object]:
        (event,) = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition]),
            limit=1,
        ).records
        materialization = event.asset_materialization
        assert materialization is not None
        return {name: value.value for name, value in materialization.metadata.items()}

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        with Ledger.open(self.settings.ledger_url, service=self.settings.service) as ledger:
            yield ledger


def emulator_settings(akool: RunningEmulator, data: Path, **changes: object) -> Settings:
    values = {
        "api_key": akool.api_key, "base_url": akool.url, "data": str(data), "poll_seconds": 0.15,
    }  # fmt: skip
    return Settings(**{**values, **changes})  # type: ignore[arg-type]
