"""Every reading of money, as plain SQL of its own: the rules must not share their arithmetic with the service."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass

# What an entry adds to a window's reserved and charged sums.
EFFECT = {"reserve": (1, 0), "release": (-1, 0), "charge": (-1, 1), "overrun": (1, 0), "stray": (0, 1)}


@dataclass(frozen=True)
class Standing:
    """A budget window as its row says, beside what its entries add up to."""

    name: str
    limit: int
    reserved: int
    charged: int
    entries_reserved: int
    entries_charged: int


def standings(database: sqlite3.Connection) -> dict[str, Standing]:
    """Every window by id."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for window, kind, amount in database.execute(
        "SELECT window_id, kind, sum(amount_micro_usd) FROM ledger_entry"
        " JOIN reservation_window USING (submission) GROUP BY window_id, kind"
    ):
        reserved, charged = EFFECT[kind]
        sums[window][0] += reserved * amount
        sums[window][1] += charged * amount
    rows = database.execute(
        "SELECT w.id, b.team, b.limit_micro_usd, w.reserved_micro_usd, w.charged_micro_usd"
        " FROM budget_window w JOIN budget b ON b.id = w.budget_id"
    )
    return {row[0]: Standing(*row[1:], *sums[row[0]]) for row in rows}


def reservations_after(database: sqlite3.Connection, entry: int) -> list[tuple[int, str, str]]:
    """New `reserve` entries: id, window, run."""
    return list(
        database.execute(
            "SELECT id, window_id, run_id FROM ledger_entry JOIN reservation_window USING (submission)"
            " WHERE id > ? AND kind = 'reserve' ORDER BY id",
            (entry,),
        )
    )


def by_submission(database: sqlite3.Connection) -> dict[tuple[str, str], dict[str, list[tuple[int, int]]]]:
    """Each submission's entries in each window: kind -> (amount, price per minute)."""
    found: dict[tuple[str, str], dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for submission, window, kind, amount, price in database.execute(
        "SELECT submission, window_id, kind, amount_micro_usd, price_per_minute_micro_usd FROM ledger_entry"
        " JOIN reservation_window USING (submission) ORDER BY id"
    ):
        found[submission, window][kind].append((amount, price))
    return found


def cost_of(database: sqlite3.Connection, run_id: str) -> int:
    """What a run was charged in all."""
    return int(
        database.execute("SELECT coalesce(sum(cost_micro_usd), 0) FROM attempt WHERE run_id = ?", (run_id,)).fetchone()[
            0
        ]
    )
