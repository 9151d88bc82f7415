"""A sweep as it is shown: its money, its points side by side, and the best."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from service.api import template
from service.domain.halving import rungs
from service.domain.moment import iso_or_none
from service.domain.money import to_usd
from service.flow.compare import best_json, best_of, halving_of, said, states_of
from service.store import sweeps
from service.store.run_money import RunMoney
from service.store.sweeps import Pair
from service.store.tables import Budget, Origin, Sweep


def summary(session: Session, origin: Origin, sweep: Sweep) -> dict[str, Any]:
    """A sweep without its points."""
    return _told(session, origin, sweep, sweeps.points(session, sweep.id))


def table(session: Session, origin: Origin, sweep: Sweep) -> dict[str, Any]:
    """A sweep with its points."""
    pairs = sweeps.points(session, sweep.id)
    money, best = sweeps.money(session, sweep.id), best_of(pairs)
    halving = halving_of(sweep)
    return {
        **_told(session, origin, sweep, pairs),
        "rungs": [
            {
                "evaluations": rung.evaluations,
                "goes_on": rung.goes_on,
                "reached": sum(str(rung.evaluations) in point.losses for point, _ in pairs),
            }
            for rung in ([] if halving is None else rungs(halving, len(pairs)))
        ],
        "points": [_point(pair, money[pair[0].run_id], best) for pair in pairs],
    }


def _told(session: Session, origin: Origin, sweep: Sweep, pairs: list[Pair]) -> dict[str, Any]:
    halving, money, best = halving_of(sweep), sweeps.balance(session, sweep), best_of(pairs)
    over = "ended" if sweep.cancelled_at is None else "cancelled"
    return {
        **template.shown(origin),
        "state": "running" if sweep.ended_at is None else over,
        "is_terminal": sweep.ended_at is not None,
        "message": said(pairs, sweep.ended_at is not None),
        "max_parallel": origin.max_concurrent_runs,
        "early_stopping": None if halving is None else {"factor": halving.factor, "first_evaluation": halving.first},
        "cost": {
            "max_cost_usd": to_usd(money.limit),
            "reserved_usd": to_usd(money.reserved),
            "charged_usd": to_usd(money.charged),
            "remaining_usd": to_usd(money.remaining),
        },
        "budget": session.get_one(Budget, sweep.budget).name,
        "states": states_of(pairs),
        "best": None if best is None else best_json(*best),
        "ended_at": iso_or_none(sweep.ended_at),
        "cancelled_at": iso_or_none(sweep.cancelled_at),
        "cancelled_by": sweep.cancelled_by,
    }


def _point(pair: Pair, money: RunMoney, best: Pair | None) -> dict[str, Any]:
    point, row = pair
    return {
        "number": point.number,
        "parameters": point.parameters,
        "run_id": point.run_id,
        "state": row.state,
        "reason": row.reason,
        "message": row.message,
        "step": point.step,
        "evaluations": point.evaluations,
        "eval_loss": point.eval_loss,
        "at_rungs": point.losses,
        "charged_usd": None if money.charged is None else to_usd(money.charged),
        "reserved_usd": to_usd(money.reserved),
        "ceiling_usd": None if row.ceiling_micro_usd is None else to_usd(row.ceiling_micro_usd),
        "output_repo": row.output_repo,
        "is_best": best is not None and best[0] is point,
    }
