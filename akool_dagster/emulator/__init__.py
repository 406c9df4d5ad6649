"""A local AKOOL: answers like the real API, speaks and renders, and charges nothing.

Used by the demo, for rehearsing a batch before paying for it, and by the tests::

    with serve(EmulatorConfig(speed=60)) as akool:
        print(akool.url, akool.api_key)

Nothing here imports the rest of the package, so that a misreading of AKOOL's documentation by
either side shows up as a failing test.
"""

from akool_dagster.emulator.config import (
    EmulatorConfig,
    Prices,
    RenderTimes,
    Shapes,
    WebhookHabits,
)
from akool_dagster.emulator.emulator import Emulator, Stats
from akool_dagster.emulator.faults import Fault, parse_fault
from akool_dagster.emulator.jobs import Job
from akool_dagster.emulator.scenario import load_scenario
from akool_dagster.emulator.server import RunningEmulator, serve

__all__ = [
    "Emulator",
    "EmulatorConfig",
    "Fault",
    "Job",
    "Prices",
    "RenderTimes",
    "RunningEmulator",
    "Shapes",
    "Stats",
    "WebhookHabits",
    "load_scenario",
    "parse_fault",
    "serve",
]
