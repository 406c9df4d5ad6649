"""Exit codes, and the one way in which a command ends with an explanation."""

from collections.abc import Iterable
from enum import IntEnum
from typing import NoReturn

import click

from akool_dagster.batch.row_status import RowStatus
from akool_dagster.batch.standing import Standing


class Exit(IntEnum):
    """What a calling script learns from the exit code."""

    DONE = 0
    SOME_FAILED = 1
    BAD_INPUT = 2
    ACCOUNT_STOPPED = 3
    IN_DOUBT = 4
    INTERRUPTED = 130
    """Ctrl-C, as shells number it."""


def stop(message: str, code: Exit = Exit.BAD_INPUT) -> NoReturn:
    """Ends the command.

    Args:
        message: What happened and what to do, for standard error.
        code: The exit code.

    Raises:
        SystemExit: Always.
    """
    click.echo(message, err=True)
    raise SystemExit(int(code))


def exit_code(statuses: Iterable[RowStatus], *, account_stopped: bool) -> Exit:
    """Chooses the exit code for what became of some rows.

    Args:
        statuses: The rows.
        account_stopped: Whether AKOOL refuses the account.

    Returns:
        Whether all is done; else what matters most: a stopped account, then doubt, then rows
        without a video.
    """
    standings = {status.standing for status in statuses}
    if standings <= {Standing.SAVED}:
        return Exit.DONE
    if account_stopped:
        return Exit.ACCOUNT_STOPPED
    return Exit.IN_DOUBT if Standing.IN_DOUBT in standings else Exit.SOME_FAILED
