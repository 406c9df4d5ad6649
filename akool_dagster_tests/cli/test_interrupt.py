import contextlib
import os
import signal
import threading
import time

import pytest

from akool_dagster.cli.interrupts import insistent_interrupts
from akool_dagster_tests.cli.conftest import Shell
from akool_dagster_tests.support import plain_line

_PATIENCE = 60.0


def test_ctrl_c_during_a_run_says_what_was_sent_and_the_next_run_goes_on(shell: Shell) -> None:
    slow = "[[video:slow 90000]]"
    shell.put("m", plain_line("r0", slow), plain_line("r1", slow), plain_line("r2"))
    # Two Dagster runs, one after the other: Ctrl-C in the first must not begin the second.
    with shell.start("run", "m", AKOOL_MAX_SCRIPTS_PER_RUN="2") as process:
        try:
            _wait_for_videos(shell, 2)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=_PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert "Interrupted. What was sent is written down (2 requested, 1 new)" in out
    assert "sends nothing twice" in out
    assert "Traceback" not in err
    assert "dagster._core" not in err
    assert shell.standings("m") == {"r0": "requested", "r1": "requested", "r2": "new"}

    shell.akool.emulator.clock.advance(100_000)
    sent = shell.sent
    again = shell("run", "m")
    assert again.exit_code == 0, again.output
    assert set(shell.standings("m").values()) == {"saved"}
    assert shell.sent == sent + 2  # the voice and the video of r2


def test_ctrl_c_before_anything_was_sent(shell: Shell) -> None:
    pipe = shell.folder / "m.csv"
    os.mkfifo(pipe)
    # The pipe opens when the command has opened it, too.
    with shell.start("plan", "m.csv") as process, pipe.open("wb"):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=_PATIENCE)
    assert (process.returncode, out, err) == (130, "", "Interrupted.\n")


def test_an_interruption_that_was_dropped_is_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    class Careless:
        def __del__(self) -> None:
            # Python cannot raise out of a destructor: it drops what the signal raises here.
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt), insistent_interrupts(every=0.05):
        Careless()
        time.sleep(_PATIENCE)
    assert capsys.readouterr().err == ""


def test_what_an_interruption_breaks_counts_as_the_interruption() -> None:
    def work(*, interrupted: bool) -> None:
        with insistent_interrupts(every=_PATIENCE):
            if interrupted:
                with contextlib.suppress(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
                    time.sleep(0.1)
                time.sleep(0.1)  # for the thread that listens
            raise OSError("database is locked")

    with pytest.raises(KeyboardInterrupt):
        work(interrupted=True)
    with pytest.raises(OSError, match="database is locked"):
        work(interrupted=False)


def test_without_an_interruption_nothing_is_left_behind() -> None:
    threads = threading.active_count()
    with insistent_interrupts(every=0.01):
        pass
    assert threading.active_count() == threads
    assert signal.set_wakeup_fd(-1) == -1


def _wait_for_videos(shell: Shell, count: int) -> None:
    """Waits until AKOOL has taken so many videos and their ids are written down."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if (shell.data / "scripts" / "m.parquet").exists() and sum(
            row.video is not None and row.video.remote_id is not None for row in shell.rows("m")
        ) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"AKOOL was not asked for {count} videos within {_PATIENCE:g} seconds")
