"""The command line ``akool-dagster``."""

from akool_dagster.cli.main import main

__all__ = ["main"]
