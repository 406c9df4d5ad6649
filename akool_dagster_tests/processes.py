"""What is needed to run a server as a process of its own, for tests and for measurements."""

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import requests

SCRIPTS = Path(sys.executable).parent
"""Where the commands of this environment are."""


def clean_environment() -> dict[str, str]:
    """The environment of this process without what would decide for AKOOL or Dagster."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AKOOL_", "DAGSTER_"))}


def free_port() -> int:
    """Finds a port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(
    reached: Callable[[], bool], *, seconds: float, tell: Callable[[], str] = lambda: ""
) -> None:
    """Waits for something that another process does.

    Args:
        reached: Whether it is done.
        seconds: How long to wait at most.
        tell: What to say when it was not done in time.

    Raises:
        AssertionError: It was not done in time.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise AssertionError(f"Not reached within {seconds:g} seconds.\n{tell()}")
        time.sleep(0.2)


@contextmanager
def served_apart(serve: Callable[[Connection], None]) -> Iterator[str]:
    """Serves something on loopback from a process of its own.

    Args:
        serve: Sends the port that it listens on, then serves until its process is ended.

    Yields:
        Its address.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs,), daemon=True
    )
    process.start()
    theirs.close()  # so that a server that dies is heard of
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join(10)


def is_answered(url: str) -> bool:
    """Whether anything listens there."""
    try:
        requests.get(url, timeout=5)
    except requests.ConnectionError:
        return False
    except requests.Timeout:
        return True
    return True
