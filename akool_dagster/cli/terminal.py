"""Where people read what a command says: a terminal, or a file that a scheduler keeps."""

import os

from rich.console import Console

_LOG_COLUMNS = 160
"""Width where there is no terminal, unless COLUMNS names one."""


def open_console(*, stderr: bool = False) -> Console:
    """Opens a console that prints texts as they are: brackets in them are no markup.

    Args:
        stderr: Whether standard output is kept free, for JSON.

    Returns:
        The console; it is coloured only where it is a terminal.
    """
    width = None if os.environ.get("COLUMNS") else _LOG_COLUMNS
    console = Console(stderr=stderr, markup=False, highlight=False)
    if not console.is_terminal and width is not None:
        console.width = width
    return console
