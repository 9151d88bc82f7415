"""Every reading of money, as plain SQL of its own: the rules must not share their arithmetic with the service."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass

# What an entry adds to a window's reserved and charged sums.
EFFECT = {"reserve": (1, 0), "release": (-1, 0), "charge": (-1, 1), "overrun": (1, 0), "stray": (0, 1)}
WINDOWS = (
    "SELECT w.id, b.subject || '/' || b.period, b.hard,"
    " b.limit_micro_usd + w.carried_micro_usd + w.granted_micro_usd,"
    " CASE WHEN b.team IS NULL AND (SELECT counts_outside FROM organisation) THEN w.outside_micro_usd ELSE 0 END,"
    " w.reserved_micro_usd, w.charged_micro_usd"
    " FROM budget_window w JOIN budget b ON b.id = w.budget_id ORDER BY w.id"
)


@dataclass(frozen=True)
class Standing:
    """A budget window as its row says, beside what its entries add up to."""

    name: str
    is_hard: bool
    limit: int
    outside: int
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
    return {row[0]: Standing(*row[1:], *sums[row[0]]) for row in database.execute(WINDOWS)}


def last_entry(database: sqlite3.Connection) -> int:
    """The newest entry of the ledger."""
    return int(database.execute("SELECT coalesce(max(id), 0) FROM ledger_entry").fetchone()[0])


def reserved_after(database: sqlite3.Connection, entry: int) -> list[tuple[str, str]]:
    """Submissions that were reserved since an entry, each with its run."""
    query = "SELECT submission, run_id FROM ledger_entry WHERE id > ? AND kind = 'reserve' ORDER BY id"
    return list(database.execute(query, (entry,)))


def windows_of(database: sqlite3.Connection, submission: str) -> set[str]:
    """The windows that a submission's money moves in."""
    query = "SELECT window_id FROM reservation_window WHERE submission = ?"
    return {row[0] for row in database.execute(query, (submission,))}


def windows_above(database: sqlite3.Connection, team: str, user: str, origin: str | None, at: str) -> set[str]:
    """The windows that were open at a moment, of every budget in force above a user's runs, or those of what makes
    them."""
    rows = database.execute(
        "SELECT w.id FROM budget_window w JOIN budget b ON b.id = w.budget_id"
        " WHERE b.ended_at IS NULL AND b.subject IN ('organisation', ?, ?, ?)"
        " AND (w.starts_at <= ? OR b.period = 'total') AND w.ends_at > ?",
        (team, f"{team}/{user}", f"{team}/{origin}", at, at),
    )
    return {row[0] for row in rows}


def by_submission(database: sqlite3.Connection) -> dict[str, dict[str, list[tuple[int, int]]]]:
    """Each submission's entries: kind -> (amount, price per minute)."""
    found: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for submission, kind, amount, price in database.execute(
        "SELECT submission, kind, amount_micro_usd, price_per_minute_micro_usd FROM ledger_entry ORDER BY id"
    ):
        found[submission][kind].append((amount, price))
    return found


def cost_of(database: sqlite3.Connection, run_id: str) -> int:
    """What a run's attempts cost in all."""
    query = "SELECT coalesce(sum(cost_micro_usd), 0) FROM attempt WHERE run_id = ?"
    return int(database.execute(query, (run_id,)).fetchone()[0])
