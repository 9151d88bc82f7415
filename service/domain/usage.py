"""What was spent, added up: by whom, on what, when, and to what end. Money is integer micro-USD throughout.

Three numbers are kept apart: *held* (reserved now), *metered* (Hugging Face's running time by its minute rule at the
price on the attempt: what the ledger charged) and *billed* (what Hugging Face says; None until known).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from service.domain.errors import Invalid
from service.domain.run import Reason, RunState

USEFUL = "useful"
TIMED_OUT = "timed_out"
CANCELLED = "cancelled"
OUTPUT_MISSING = "output_missing"
# money that no attempt of a run accounts for
STRAY = "stray"
# not ended: its money is held, not spent
OPEN = "open"

NOT_SIMPLY_FAILED: Mapping[str, str] = {
    Reason.JOB_TIMEOUT: TIMED_OUT,
    Reason.CANCELLED_OUTSIDE: CANCELLED,
    Reason.OUTPUT_MISSING: OUTPUT_MISSING,
    Reason.PUSH_FAILED: OUTPUT_MISSING,
}
DIMENSIONS = ("team", "user", "flavor", "outcome", "day")
LABEL = re.compile(r"label:[a-zA-Z0-9._-]{1,100}")
MOST_DIMENSIONS = 10


@dataclass(frozen=True)
class Spending:
    """One attempt's money: a charge as the ledger booked it `at` that time, or what is `held` for it now."""

    run_id: str
    team: str
    user: str
    flavor: str
    labels: Mapping[str, str]
    outcome: str
    at: datetime
    minutes: int = 0
    metered: int | None = None
    billed: int | None = None
    held: int = 0


@dataclass
class Sum:
    """What some spendings come to. `billed` is None unless every charge's bill is known: an unknown one is no zero."""

    run_ids: set[str] = field(default_factory=set)
    attempts: int = 0
    unbilled: int = 0
    minutes: int = 0
    metered: int = 0
    held: int = 0
    _billed: int = 0

    def add(self, spending: Spending) -> None:
        """Count one more. Attempts and minutes are those that were charged; runs, those that have any of the money."""
        self.held += spending.held
        self.run_ids.add(spending.run_id)
        if spending.metered is None:
            return
        self.attempts += 1
        self.minutes += spending.minutes
        self.metered += spending.metered
        self.unbilled += spending.billed is None
        self._billed += spending.billed or 0

    @property
    def billed(self) -> int | None:
        """What Hugging Face billed for all of it."""
        return self._billed if self.attempts and not self.unbilled else None

    @property
    def drift(self) -> int | None:
        """Billed less metered; None while a bill is not known."""
        return None if self.billed is None else self.billed - self.metered


@dataclass(frozen=True)
class Waste:
    """Charges by what came of them, the most money first, and what of it made no run succeed."""

    outcomes: Sequence[tuple[str, Sum]]
    spent: int

    @property
    def wasted(self) -> int:
        """Micro-dollars that made no run succeed."""
        return sum(total.metered for outcome, total in self.outcomes if outcome != USEFUL)

    def share(self, amount: int) -> float | None:
        """An amount's part of all that was spent, between 0 and 1; None where nothing was."""
        return amount / self.spent if self.spent else None


def outcome(state: RunState, is_last: bool, has_ended: bool, cause: str | None) -> str:
    """What an attempt's money was spent for: `useful` only for the one that made its run succeed. `is_last`: the run
    is on this attempt. `cause`: why the attempt failed, if it did."""
    if not has_ended:
        return OPEN
    if cause is not None:
        return NOT_SIMPLY_FAILED.get(cause, f"failed:{cause}")
    if is_last and state is RunState.SUCCEEDED:
        return USEFUL
    if is_last and state is RunState.CANCELLED:
        return CANCELLED
    if is_last and state is RunState.FAILED:
        return f"failed:{Reason.UNKNOWN}"
    # The one way on from an ended attempt without a cause: its hardware did not come in time.
    return f"failed:{Reason.NO_CAPACITY}"


def dimensions(texts: Iterable[str]) -> tuple[str, ...]:
    """What to group by, from repeated or comma-separated names. Raises Invalid for one that there is not."""
    names = tuple(name.strip() for text in texts for name in text.split(",") if name.strip())
    for name in names:
        if name not in DIMENSIONS and not LABEL.fullmatch(name):
            raise Invalid(
                f"'{name[:200]}' is nothing to group by",
                field="group_by",
                remedy=f"Use {', '.join(DIMENSIONS)} or label:NAME.",
            )
    if len(set(names)) < len(names) or len(names) > MOST_DIMENSIONS:
        raise Invalid(f"each once, and at most {MOST_DIMENSIONS}", field="group_by")
    return names


def grouped(
    spendings: Iterable[Spending], by: Sequence[str], zone: ZoneInfo
) -> list[tuple[tuple[str | None, ...], Sum]]:
    """Sums by these dimensions, in their order; days begin in `zone`. A run without a label is under None, last."""
    sums: dict[tuple[str | None, ...], Sum] = {}
    for spending in spendings:
        key = tuple(_value(spending, dimension, zone) for dimension in by)
        sums.setdefault(key, Sum()).add(spending)
    return sorted(sums.items(), key=lambda item: [(value is None, value or "") for value in item[0]])


def total(spendings: Iterable[Spending]) -> Sum:
    """Everything in one sum."""
    added = Sum()
    for spending in spendings:
        added.add(spending)
    return added


def waste(spendings: Iterable[Spending]) -> Waste:
    """Charges by outcome. What is held is not spent yet."""
    charges = [spending for spending in spendings if spending.metered is not None]
    sums = [(str(key[0]), added) for key, added in grouped(charges, ("outcome",), ZoneInfo("UTC"))]
    return Waste(sorted(sums, key=lambda item: -item[1].metered), total(charges).metered)


def _value(spending: Spending, dimension: str, zone: ZoneInfo) -> str | None:
    match dimension:
        case "team":
            return spending.team
        case "user":
            return spending.user
        case "flavor":
            return spending.flavor
        case "outcome":
            return spending.outcome
        case "day":
            return spending.at.astimezone(zone).date().isoformat()
    return spending.labels.get(dimension.removeprefix("label:"))
