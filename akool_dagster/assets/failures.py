"""What a failed run says: what happened, what was paid, what to do."""

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from akool_dagster.akool import AkoolError
from akool_dagster.assets.tables import markdown_table
from akool_dagster.batch.outcomes import Outcome, Trouble

_LINES_SHOWN = 20

_MEANING = {
    Trouble.ROW: "refused or failed by AKOOL for their own sake",
    Trouble.ACCOUNT: "not requested because AKOOL or the credit cap stopped the account",
    Trouble.DOUBT: "in doubt: they may have been charged",
    Trouble.LATER: "not done yet; materialize them again",
}


def akool_failure(error: AkoolError, *, what: str) -> dg.Failure:
    """Builds the failure of a step that could not read something from AKOOL.

    Args:
        error: What happened.
        what: What was to be read, to begin the sentence with.

    Returns:
        The failure; Dagster does not repeat the step.
    """
    return dg.Failure(
        f"{what} could not be read: {error.message} Nothing was paid. {error.advice}".strip(),
        metadata={name: str(value) for name, value in error.to_metadata().items()},
        allow_retries=False,
    )


def rows_failure(failed: Sequence[Outcome], *, rows: int, what: str = "scripts") -> dg.Failure:
    """Builds the failure of a run some of whose rows did not get through.

    Args:
        failed: The rows that did not, one outcome each.
        rows: How many rows the run had.
        what: What they are, in the plural.

    Returns:
        The failure; Dagster does not repeat the step. The good rows stay materialized.
    """
    counts = Counter(outcome.trouble for outcome in failed)
    kinds = [f"{counts[kind]} {text}" for kind, text in _MEANING.items() if counts[kind]]
    lines = [f"{outcome.key}: {outcome.report}" for outcome in failed[:_LINES_SHOWN]]
    if len(failed) > _LINES_SHOWN:
        lines.append(f"... and {len(failed) - _LINES_SHOWN} more, see the metadata of this failure")
    head = (
        f"{len(failed)} of {rows} {what} did not get through ({'; '.join(kinds)}). "
        f"The other {rows - len(failed)} are done and stay so."
    )
    return dg.Failure(
        "\n".join([head, *lines]),
        metadata={
            f"{what}_failed": len(failed),
            f"{what}_done": rows - len(failed),
            "failures": dg.MetadataValue.md(markdown_table(map(_line, failed))),
        },
        allow_retries=False,
    )


def _line(outcome: Outcome) -> dict[str, object]:
    return {
        "script": outcome.key,
        "asset": outcome.stage.value,
        "code": outcome.code,
        "what happened": outcome.text,
        "paid": outcome.cost,
        "what to do": outcome.advice,
    }
