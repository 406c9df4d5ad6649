"""What became of one script row at one stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from akool_dagster.batch.stages import Stage
from akool_dagster.ledger import Attempt


class Trouble(str, Enum):
    """Why a row did not get through a stage, by what a person does about it."""

    ROW = "row"
    """AKOOL refused or failed this row: change it, or ask again."""
    ACCOUNT = "account"
    """AKOOL refuses the account, or the credit cap is reached: nothing was sent."""
    DOUBT = "doubt"
    """It may have been charged and nobody knows: a person decides."""
    LATER = "later"
    """Nothing is wrong yet, or only for the moment: the same asset may be materialized again."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one stage for one row.

    Attributes:
        key: The script's partition key.
        stage: Which stage.
        trouble: None when the row got through.
        text: One sentence: what happened.
        advice: What to do, empty when nothing is to be done.
        cost: One sentence on what was paid, empty when nothing can have been.
        code: AKOOL's code, when it gave one.
        facts: Ids, links, sizes and times, by name.
        poster: A picture of the video as a ``data:`` address, when there is one.
    """

    key: str
    stage: Stage
    trouble: Trouble | None = None
    text: str
    advice: str = ""
    cost: str = ""
    code: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    poster: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the row got through the stage."""
        return self.trouble is None

    @property
    def report(self) -> str:
        """The outcome in one line, for a log or a table."""
        code = "" if self.code is None else f"AKOOL code {self.code}: "
        return sentences(f"{code}{self.text}", self.cost, self.advice)


def sentences(*parts: str) -> str:
    """Joins texts of different origin into one line of whole sentences.

    Args:
        parts: Texts with or without a full stop; empty ones are left out.

    Returns:
        The line.
    """
    texts = [part.strip() for part in parts if part.strip()]
    return " ".join(text if text.endswith((".", "!", "?", ":")) else f"{text}." for text in texts)


@dataclass(frozen=True, kw_only=True)
class Later:
    """The stage is not over; look at the row again.

    Attributes:
        at: When, in seconds since 1970 UTC.
        wants_slot: Whether the row waits for one of AKOOL's slots; none will do before ``at``.
        waits_for: The accepted attempt that the row waits for, as last seen.
    """

    at: float
    wants_slot: bool = False
    waits_for: Attempt | None = None


@dataclass(frozen=True, kw_only=True)
class NotRequested:
    """Nothing was sent, for a reason that is not the row's.

    Attributes:
        reason: Why.
        advice: What a person must do.
        code: AKOOL's code, when it gave one.
    """

    reason: str
    advice: str
    code: int | None = None
