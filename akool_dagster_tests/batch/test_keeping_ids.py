"""AKOOL's id must outlive a ledger that cannot be written for a while."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from akool_dagster.batch.outcomes import Trouble
from akool_dagster.batch.stages import Stage
from akool_dagster.batch.tools import Tools
from akool_dagster.batch.walk import Walk
from akool_dagster.emulator import RunningEmulator
from akool_dagster.ledger import Kind
from akool_dagster.manifest import ScriptRow
from akool_dagster_tests.support import plain_line

FORBID = """
CREATE TRIGGER full BEFORE UPDATE ON akool_attempts WHEN NEW.state = 'accepted'
BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END
"""


def _run_sql(folder: Path, sql: str) -> None:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    connection.execute(sql)
    connection.commit()
    connection.close()


def test_an_id_waits_for_a_ledger_that_can_be_written_again(
    tools: Tools,
    rows_of: Callable[..., list[ScriptRow]],
    tmp_path: Path,
    emulator: RunningEmulator,
) -> None:
    pauses: list[float] = []

    def make_room(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            _run_sql(tmp_path, "DROP TRIGGER full")

    _run_sql(tmp_path, FORBID)
    rows = rows_of(plain_line("a"))
    patient = replace(tools, sleep=make_room)
    (outcome,) = Walk(patient, run_id="run").outcomes(rows, stages=[Stage.VOICE])
    assert outcome.ok
    assert len(pauses) == 2
    (job,) = emulator.emulator.jobs("voice")
    attempt = tools.ledger.attempts.latest(kind=Kind.VOICE, content_hash=rows[0].voice_hash)
    assert attempt is not None
    assert attempt.remote_id == job.id


def test_an_id_that_cannot_be_kept_is_told_and_logged(
    tools: Tools,
    rows_of: Callable[..., list[ScriptRow]],
    tmp_path: Path,
    emulator: RunningEmulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _run_sql(tmp_path, FORBID)
    hurried = replace(tools, sleep=lambda _: None)
    with caplog.at_level(logging.CRITICAL):
        (outcome,) = Walk(hurried, run_id="run").outcomes(
            rows_of(plain_line("a")), stages=[Stage.VOICE]
        )
    (job,) = emulator.emulator.jobs("voice")
    assert outcome.trouble is Trouble.LATER
    assert f"--voice-id {job.id}" in outcome.text
    assert job.id in caplog.text
