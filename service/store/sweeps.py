"""Sweeps: their points, what those have said of themselves since, and what their money reaches still."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from service.domain.budget import Balance
from service.domain.run import RunState
from service.store import budgets, cancels, standings, topics
from service.store.run_money import NO_MONEY, RunMoney, money_of
from service.store.tables import Budget, BudgetWindow, LedgerEntry, MetricPoint, Origin, Run, Sweep, SweepPoint

# What a point's run is shown by; its request is large, and the same for all but for the parameters.
_SHOWN = (
    col(Run.id),
    col(Run.state),
    col(Run.reason),
    col(Run.message),
    col(Run.output_repo),
    col(Run.output),
    col(Run.ceiling_micro_usd),
    col(Run.estimate),
    col(Run.finished_at),
    col(Run.cancel_requested_at),
)


# A point, and how its run stands.
Pair = tuple[SweepPoint, Row[Any]]


def going_on(session: Session) -> list[str]:
    """The sweeps that have not ended."""
    return list(session.exec(select(Sweep.id).where(col(Sweep.ended_at).is_(None)).order_by(col(Sweep.id))))


def points(session: Session, sweep_id: str) -> list[Pair]:
    """A sweep's points in their order, each with the columns of its run that say how it stands."""
    rows = session.execute(
        select_columns(SweepPoint, *_SHOWN)
        .join(Run, col(Run.id) == SweepPoint.run_id)
        .where(col(SweepPoint.sweep) == sweep_id)
        .order_by(col(SweepPoint.number))
    )
    return [(row.SweepPoint, row) for row in rows]


def evaluations(session: Session, sweep_id: str) -> dict[str, list[MetricPoint]]:
    """What its runs' evaluations said that is not in its points yet, by run, in order."""
    found = defaultdict(list)
    query = select(MetricPoint).join(SweepPoint, _is_new()).where(col(SweepPoint.sweep) == sweep_id)
    for one in session.exec(query.order_by(col(MetricPoint.attempt), col(MetricPoint.number))):
        found[one.run_id].append(one)
    return found


def has_news(session: Session, sweep_id: str) -> bool:
    """Whether a pass would find anything: an evaluation, an end, a run that the money does not reach any more."""
    of_it = col(SweepPoint.sweep) == sweep_id
    new = select(MetricPoint.run_id).join(SweepPoint, _is_new()).where(of_it)
    ended = (
        select(SweepPoint.run_id)
        .join(Run, col(Run.id) == SweepPoint.run_id)
        .where(of_it, ~col(SweepPoint.is_over), col(Run.finished_at).is_not(None))
    )
    finds = any(session.exec(query.limit(1)).first() is not None for query in (new, ended))
    return finds or not is_any_open(session, sweep_id) or _is_any_unpaid(session, sweep_id)


def _is_any_unpaid(session: Session, sweep_id: str) -> bool:
    left = reach(balance(session, session.get_one(Sweep, sweep_id)))
    return dearest_waiting(session, sweep_id) > max(0, left)  # below nothing after an overrun, where none waits


def is_any_open(session: Session, sweep_id: str) -> bool:
    """Whether a run of it has not ended: of a point, a pilot, or one that goes on from a point's model."""
    open_runs = select(Run.id).where(col(Run.origin) == sweep_id, col(Run.finished_at).is_(None))
    return session.exec(open_runs.limit(1)).first() is not None


def balance(session: Session, sweep: Sweep) -> Balance:
    """How its money stands, also once its budget binds nothing any more. A budget for good has one window."""
    its = select(Budget, BudgetWindow).join(BudgetWindow, col(BudgetWindow.budget_id) == Budget.id)
    return standings.balance(session, *session.exec(its.where(Budget.id == sweep.budget)).one())


def reach(money: Balance) -> int:
    """What one run may need at the most, ever: what is reserved comes back, what is charged does not."""
    return money.limit - money.charged


def dearest_waiting(session: Session, sweep_id: str) -> int:
    """The most that a point which waits may cost, in micro-dollars; 0 where none waits."""
    most = session.exec(
        select(func.max(Run.ceiling_micro_usd))
        .join(SweepPoint, col(SweepPoint.run_id) == Run.id)
        .where(
            SweepPoint.sweep == sweep_id,
            Run.state == RunState.QUEUED.value,
            col(Run.cancel_requested_at).is_(None),
        )
    ).one()
    return most or 0


def money(session: Session, sweep_id: str) -> dict[str, RunMoney]:
    """What each point's run has cost and holds, with its pilot and whatever followed it, by the run's id."""
    head = func.coalesce(Run.parent, Run.id)
    rows = session.execute(
        select_columns(head, LedgerEntry)
        .join(Run, col(Run.id) == LedgerEntry.run_id)
        .join(SweepPoint, col(SweepPoint.run_id) == head)
        .where(col(SweepPoint.sweep) == sweep_id)
    )
    entries = defaultdict(list)
    for run_id, entry in rows:
        entries[run_id].append(entry)
    return defaultdict(lambda: NO_MONEY, {run_id: money_of(of_run) for run_id, of_run in entries.items()})


def cancel(session: Session, origin: Origin, sweep: Sweep, by: str, now: datetime) -> None:
    """All of it is wanted stopped: points, pilots, whatever follows."""
    sweep.cancelled_at, sweep.cancelled_by = now, by
    session.add(sweep)
    cancels.request(session, col(Run.origin) == origin.id, by, now, message=f"the sweep was cancelled by {by}")
    topics.tell(session, *topics.has_work("cancel", "compare"))


def end(session: Session, origin: Origin, sweep: Sweep, now: datetime) -> None:
    """Every point has ended. Its name is free again, and its budget binds nothing any more; both stay to be read."""
    origin.ended_at = sweep.ended_at = now
    session.add(origin)
    session.add(sweep)
    budgets.end(session, session.get_one(Budget, sweep.budget), "a rule", now)


def _is_new() -> ColumnElement[bool]:
    is_behind = (col(MetricPoint.attempt) > SweepPoint.attempt) | (
        (col(MetricPoint.attempt) == SweepPoint.attempt) & (col(MetricPoint.number) > SweepPoint.metric)
    )
    is_its = col(MetricPoint.run_id) == SweepPoint.run_id
    return and_(is_its, ~col(SweepPoint.is_over), col(MetricPoint.kind) == "eval", is_behind)
