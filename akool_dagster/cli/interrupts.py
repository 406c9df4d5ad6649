"""Makes sure that Ctrl-C is heeded."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

_ENDINGS = frozenset({signal.SIGINT, signal.SIGTERM})


@contextlib.contextmanager
def insistent_interrupts(*, every: float = 3.0) -> Iterator[None]:
    """Repeats Ctrl-C until the block is left, as a patient person would.

    Dagster turns the signal into an exception wherever the main thread happens to be. In a
    destructor or a weak reference's callback Python drops such an exception, and a run that only
    waits would go on waiting. To repeat it is safe: requests that are on their way are seen to
    their end by their own threads, before the process ends.

    Args:
        every: Seconds between two repetitions.

    Yields:
        Nothing; the work is done inside the block. Must be entered in the main thread.

    Raises:
        KeyboardInterrupt: Also when the block ends with an error after Ctrl-C: a database that was
            interrupted in the middle of a transaction is no news of its own.
    """
    over, heard = threading.Event(), threading.Event()
    reader, writer = socket.socketpair()
    with reader, writer, _dropped_quietly():
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        listener = threading.Thread(target=_listen, args=(reader, over, heard, every), daemon=True)
        listener.start()
        try:
            yield
        except Exception as error:
            if heard.is_set():
                raise KeyboardInterrupt from error
            raise
        finally:
            over.set()
            signal.set_wakeup_fd(before)
            writer.shutdown(socket.SHUT_WR)
            listener.join()


@contextlib.contextmanager
def _dropped_quietly() -> Iterator[None]:
    """Prints no trace of an interruption that Python drops: it is repeated."""
    before = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, Exception):
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _listen(
    reader: socket.socket, over: threading.Event, heard: threading.Event, every: float
) -> None:
    while numbers := reader.recv(64):
        if _ENDINGS.intersection(numbers):
            heard.set()
            while not over.wait(every):
                os.kill(os.getpid(), signal.SIGINT)
            return
