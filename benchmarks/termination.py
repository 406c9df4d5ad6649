"""Lets a benchmark clean up behind itself when it is told to end."""

import signal
import sys
from types import FrameType


def end_on_sigterm() -> None:
    """Makes SIGTERM end this process by an exception, as Ctrl-C does.

    Then the ``with`` blocks are left that end the emulators and Dagsters which it started. A second
    SIGTERM does not disturb them.
    """
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
