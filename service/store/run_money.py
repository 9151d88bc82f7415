"""What a run has cost and still holds, out of its ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from service.store.tables import LedgerEntry


@dataclass(frozen=True)
class RunMoney:
    """A run's ledger in micro-dollars: what is still held, and what was charged (None: nothing yet).
    `stray`: what jobs that nobody asked for cost beside it; in the windows' sums, and no cost of the run."""

    reserved: int
    charged: int | None
    stray: int = 0


NO_MONEY = RunMoney(0, None)


def money_of(entries: Iterable[LedgerEntry]) -> RunMoney:
    """Sum a run's entries. A charge closes as much of the reservation as is not an overrun."""
    sums: dict[str, int] = defaultdict(int)
    for entry in entries:
        sums[entry.kind] += entry.amount_micro_usd
    charged = sums.get("charge")
    reserved = sums["reserve"] + sums["overrun"] - sums["charge"] - sums["release"]
    return RunMoney(reserved, charged, sums["stray"])
