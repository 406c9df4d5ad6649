"""A whole deployment at DEBUG, run as a program of its own by ``secret_hunt``.

It takes its settings from the environment like any deployment, validates the manifest ``m``, makes
its videos with the API key, and makes those of ``n`` with the client's login.
"""

import logging
import os
import sys
from pathlib import Path

import dagster as dg

from akool_dagster.automation.row_runs import range_tags
from akool_dagster.definitions import build_definitions
from akool_dagster.settings import load_settings

_EVERYTHING = {"loggers": {"console": {"config": {"log_level": "DEBUG"}}}}


def main() -> None:
    """Runs it; the log goes to the file that the first argument names."""
    handlers = [logging.FileHandler(sys.argv[1]), logging.StreamHandler()]
    logging.basicConfig(level=logging.DEBUG, handlers=handlers)
    logging.getLogger("urllib3").setLevel(logging.INFO)
    with dg.DagsterInstance.get() as instance:
        _make_videos(instance, "m")
        del os.environ["AKOOL_API_KEY"]
        _make_videos(instance, "n")


def _make_videos(instance: dg.DagsterInstance, manifest: str) -> None:
    definitions = build_definitions(load_settings())

    def run(job: str, partition: str | None = None, tags: dict[str, str] | None = None) -> None:
        definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=partition,
            tags=tags,
            run_config=_EVERYTHING,
            raise_on_error=False,
        )

    instance.add_dynamic_partitions("manifests", [manifest])
    run("refresh_catalogs")
    run("validate_manifests", manifest)
    keys = [
        key for key in instance.get_dynamic_partitions("scripts") if key.startswith(f"{manifest}.")
    ]
    run("generate_videos", tags=range_tags(first=keys[0], last=keys[-1]))
    run("write_results", manifest)
    Path(f"{sys.argv[1]}.{manifest}.done").touch()


if __name__ == "__main__":
    main()
