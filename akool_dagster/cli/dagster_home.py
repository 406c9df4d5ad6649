"""Dagster's own folder: its runs and events, one for each service."""

import os
from pathlib import Path

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
        The folder, which the environment names from now on.
    """
    named = os.environ.get("DAGSTER_HOME")
    if named:
        return Path(named)
    data = Path("data" if "://" in settings.data else settings.data)
    home = (data / "dagster_home" / settings.service).absolute()
    home.mkdir(parents=True, exist_ok=True)
    yaml = home / "dagster.yaml"
    if not yaml.exists():
        yaml.write_text(_DAGSTER_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home
