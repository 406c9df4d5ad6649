"""Dagster's own folder: its runs and events, one for each service."""

import os
from pathlib import Path

from akool_dagster.cli.exits import stop
from akool_dagster.cli.workplace import local_folder
from akool_dagster.settings import Settings

_DAGSTER_YAML = """\
# Written by akool-dagster on first use; yours to change.
nux:
  enabled: false
telemetry:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 4
retention:
  # Ticks that found nothing to do are many and say little.
  sensor:
    purge_after_days:
      skipped: 2
      success: 30
      failure: 30
  schedule:
    purge_after_days: 90
"""


def use_dagster_home(settings: Settings) -> Path:
    """Chooses ``DAGSTER_HOME`` unless the environment names it, and makes the folder.

    The runs of the emulator and of AKOOL are kept apart, for a partition that a rehearsal made
    green must not look done.

    Args:
        settings: Say where the data is and which service is used.

    Returns:
        The folder, which the environment names from now on. Ends the command when Dagster
        cannot use it.
    """
    named = os.environ.get("DAGSTER_HOME")
    if named:
        return _checked(Path(named))
    home = local_folder(settings) / "dagster_home" / settings.service
    try:
        home.mkdir(parents=True, exist_ok=True)
        yaml = home / "dagster.yaml"
        if not yaml.exists():
            yaml.write_text(_DAGSTER_YAML, encoding="utf-8")
    except OSError as error:
        stop(f"Dagster's own folder cannot be made: {error}. Check AKOOL_DATA. Nothing was sent.")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def _checked(home: Path) -> Path:
    """Refuses what Dagster would refuse with a trace."""
    if not (home.is_absolute() and home.is_dir()):
        stop(
            f"DAGSTER_HOME={home} is not the absolute path of a folder that exists. Make the "
            "folder, or unset DAGSTER_HOME to have one made under the data root. Nothing was asked "
            "for."
        )
    return home
