"""The account's credits: held when a job is accepted, charged or returned when it ends."""

import math
from dataclasses import dataclass

from akool_dagster.emulator.answers import Refusal


def held_for(price: float) -> float:
    """The credits that are held for an expected price: rounded up to tens.

    AKOOL's samples hold 10 for 7.91, 20 for 11.7 and 1520 for 1515 (avatar and talking-photo
    pages).
    """
    return math.ceil(round(price, 6) / 10) * 10.0


@dataclass
class Credits:
    """The balance of one account, in credits.

    Attributes:
        available: What ``quota/info`` tells: the balance without what is held.
        held: Locked by jobs that have not ended.
        spent: Charged for good.
    """

    available: float
    held: float = 0.0
    spent: float = 0.0

    def hold(self, amount: float) -> None:
        """Locks credits for a job.

        Raises:
            Refusal: With 1006, when fewer are available.
        """
        if amount > self.available:
            raise Refusal(1006)
        self.available = _tidy(self.available - amount)
        self.held = _tidy(self.held + amount)

    def settle(self, *, held: float, price: float) -> None:
        """Ends a job's lock: charges ``price`` and returns the rest; 0 returns everything."""
        self.held = _tidy(self.held - held)
        self.available = _tidy(self.available + held - price)
        self.spent = _tidy(self.spent + price)


def _tidy(amount: float) -> float:
    return round(amount, 4)
