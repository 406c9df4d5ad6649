"""``python -m akool_dagster.emulator``."""

from akool_dagster.emulator.command import emulator

if __name__ == "__main__":
    emulator()
