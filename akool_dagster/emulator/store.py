"""Keeps an account's jobs on disk, so that they survive a restart."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from akool_dagster.emulator.jobs import Job

_TABLES = """
    CREATE TABLE IF NOT EXISTS jobs (number INTEGER PRIMARY KEY, job TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class StateStore:
    """A SQLite file with the jobs and a few facts (time, credits).

    Not safe for several threads by itself: its owner holds a lock.

    Args:
        path: The file; None keeps everything in memory, that is, nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._database = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.executescript(f"PRAGMA journal_mode=WAL; {_TABLES}")

    def save(self, *jobs: Job, facts: Mapping[str, Any]) -> None:
        """Writes jobs, new or changed, and facts in one transaction."""
        if self._database is None:
            return
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO jobs VALUES (?, ?)",
                [(job.number, json.dumps(asdict(job))) for job in jobs],
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in facts.items()],
            )

    def jobs(self) -> list[Job]:
        """All jobs in the order of their creation."""
        if self._database is None:
            return []
        rows = self._database.execute("SELECT job FROM jobs ORDER BY number")
        return [Job(**json.loads(text)) for (text,) in rows]

    def fact(self, name: str, default: Any) -> Any:
        """One fact, or ``default`` when it was never written."""
        if self._database is None:
            return default
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else default

    def close(self) -> None:
        """Closes the file; nothing is written from then on."""
        if self._database is not None:
            self._database.close()
            self._database = None
