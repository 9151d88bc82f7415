"""A run's money as its page shows it: what it has cost by now, of how much at most, and how that ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def money_of(run: Mapping[str, Any], ledger: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Dollars of all attempts. `before` is what earlier ones cost, `most` what all can come to: the run's own cap, or
    what was spent and the present ceiling; of a run that has ended, all that was ever reserved for it. `minute` is the
    price that ticks, None while no job runs."""
    cost, attempts = run["cost"], run["attempts"]
    latest = attempts[-1] if attempts else None
    is_ticking = run["state"] == "running" and latest is not None and latest["started_at"] is not None
    before = sum(one["cost_usd"] or 0 for one in attempts)
    spent = cost["metered_usd"] or 0
    # while a job runs its whole ceiling is reserved, and a part of it is spent already
    left = max(0.0, cost["reserved_usd"] - (spent - before)) if is_ticking else cost["reserved_usd"]
    reserved = sum(entry["amount_usd"] for entry in ledger if entry["kind"] == "reserve")
    ceiling = reserved if run["is_terminal"] else None if cost["ceiling_usd"] is None else before + cost["ceiling_usd"]
    most = run["max_cost_usd"] if run["max_cost_usd"] is not None else ceiling
    return {
        "spent": spent,
        "before": before,
        "left": left,
        "most": most,
        "whole": max(most or 0, spent + left) or None,
        "minute": latest["price_per_minute_usd"] if is_ticking and latest else None,
        "since": latest["started_at"] if is_ticking and latest else None,
        "digits": digits(latest["price_per_minute_usd"] if latest else None),
        "expected": _expected(run),
    }


def digits(price: float | None) -> int:
    """How many digits an amount needs for a minute to be seen in it."""
    return 2 if price is None or price >= 0.01 else 4 if price >= 0.001 else 6


def _expected(run: Mapping[str, Any]) -> tuple[float, float] | None:
    """What the estimate expects of one attempt, and what nine of ten such runs stay below."""
    told = (run["estimate"] or {}).get("cost_usd")
    return None if told is None else (told["p50"], told["p90"])
