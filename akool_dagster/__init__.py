"""Batch-generates AKOOL talking-avatar videos as Dagster assets, never paying twice."""

__version__ = "0.1.0"
