"""The ledger: append-only entries of reserved and spent money, and the sums that follow from them.

A reservation is opened once per submission and closed once: charge + release = reserve + overrun. The sums on
`budget_window` and a team's usage change here and nowhere else, in the transaction of the entries that they sum up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from service.domain.budget import Scope
from service.domain.fairness import decayed
from service.store import alerts, organisation, windows
from service.store.tables import Attempt, Budget, BudgetWindow, LedgerEntry, ReservationWindow, Run, Team

InBudget = tuple[Budget, BudgetWindow]
NEAREST_FIRST = (Scope.ORIGIN, Scope.USER, Scope.TEAM, Scope.ORGANISATION)


@dataclass(frozen=True)
class StrayJob:
    """A job that nobody asked for, as the ledger enters it: `submission` is one of its own, without a reservation."""

    run_id: str
    attempt: int
    submission: str
    price_per_minute_micro_usd: int


def reserve(session: Session, attempt: Attempt, window_ids: Sequence[str], now: datetime) -> None:
    """Hold an attempt's ceiling in these windows: those open at its admission, for as long as it lives."""
    bound = _bind(session, attempt.submission, window_ids)
    _post(session, attempt, bound, "reserve", attempt.ceiling_micro_usd, _ceiling_minutes(attempt), now)
    _move(session, attempt, bound, now, reserved=attempt.ceiling_micro_usd, charged=0)


def release(session: Session, attempt: Attempt, now: datetime) -> None:
    """Give the whole reservation back: no job was made, or none ever started."""
    bound = _windows(session, attempt.submission)
    _post(session, attempt, bound, "release", attempt.ceiling_micro_usd, _ceiling_minutes(attempt), now)
    _move(session, attempt, bound, now, reserved=-attempt.ceiling_micro_usd, charged=0)


def settle(session: Session, attempt: Attempt, billed_minutes: int, now: datetime) -> int:
    """Charge what was used and give the rest back; the cost in micro-dollars. Never clamped: more than was reserved
    is an overrun with an entry of its own, and each budget tells of it."""
    bound = _windows(session, attempt.submission)
    cost = billed_minutes * attempt.price_per_minute_micro_usd
    rest = attempt.ceiling_micro_usd - cost
    _post(session, attempt, bound, "charge", cost, billed_minutes, now)
    over = None
    if rest < 0:
        over = _post(session, attempt, bound, "overrun", -rest, billed_minutes - _ceiling_minutes(attempt), now)
    if rest > 0:
        _post(session, attempt, bound, "release", rest, _ceiling_minutes(attempt) - billed_minutes, now)
    _move(session, attempt, bound, now, reserved=-attempt.ceiling_micro_usd, charged=cost)
    above = organisation.lock(session)
    above.metered_micro_usd += cost
    above.charged_attempts += billed_minutes > 0
    session.add(above)
    if over is not None:
        for budget, window in bound:
            alerts.overrun(session, budget, window, over, now)
    return cost


def charge_stray(session: Session, job: StrayJob, minutes: int, window_ids: Sequence[str], now: datetime) -> None:
    """Charge what a stray cost to the windows given. Nothing was reserved for it: that may bring a budget over."""
    bound = _bind(session, job.submission, window_ids)
    cost = minutes * job.price_per_minute_micro_usd
    _post(session, job, bound, "stray", cost, minutes, now)
    _move(session, job, bound, now, reserved=0, charged=cost)


def of_run(session: Session, run_id: str) -> list[LedgerEntry]:
    """A run's entries in the order they were made."""
    return list(session.exec(select(LedgerEntry).where(LedgerEntry.run_id == run_id).order_by(col(LedgerEntry.id))))


def _bind(session: Session, submission: str, window_ids: Sequence[str]) -> list[InBudget]:
    """Make these the submission's windows."""
    for window_id in window_ids:
        session.add(ReservationWindow(submission=submission, window_id=window_id))
    session.flush()
    return _windows(session, submission)


def _windows(session: Session, submission: str) -> list[InBudget]:
    """A submission's windows, held for a change, always in the same order; the organisation's row is held before."""
    organisation.lock(session)
    rows = session.exec(
        select(Budget, BudgetWindow)
        .join(BudgetWindow, col(BudgetWindow.budget_id) == Budget.id)
        .join(ReservationWindow, col(ReservationWindow.window_id) == BudgetWindow.id)
        .where(ReservationWindow.submission == submission)
        .order_by(col(BudgetWindow.id))
        .with_for_update(of=BudgetWindow)
        .execution_options(populate_existing=True)
    )
    return [(budget, window) for budget, window in rows]


def _post(
    session: Session,
    attempt: Attempt | StrayJob,
    bound: Sequence[InBudget],
    kind: str,
    amount: int,
    minutes: int,
    now: datetime,
) -> LedgerEntry:
    above = sorted((budget for budget, _ in bound), key=_nearest_first)
    entry = LedgerEntry(
        run_id=attempt.run_id,
        attempt=attempt.attempt,
        submission=attempt.submission,
        budgets=[budget.name for budget in above],
        kind=kind,
        amount_micro_usd=amount,
        price_per_minute_micro_usd=attempt.price_per_minute_micro_usd,
        minutes=minutes,
        at=now,
    )
    session.add(entry)
    session.flush()
    return entry


def _move(
    session: Session,
    attempt: Attempt | StrayJob,
    bound: Sequence[InBudget],
    now: datetime,
    *,
    reserved: int,
    charged: int,
) -> None:
    for budget, window in bound:
        window.reserved_micro_usd += reserved
        window.charged_micro_usd += charged
        session.add(window)
        session.flush()
        windows.hand_on(session, budget, window, now)
        if charged:
            alerts.warn(session, budget, window, now)
    run = session.get(Run, attempt.run_id)
    assert run is not None
    # What comes back is what the reservation still counts for: the rest was forgiven with time, as all usage is.
    still = -decayed(-reserved, attempt.admitted_at, now) if reserved < 0 and isinstance(attempt, Attempt) else reserved
    _use(session, run.team, still + charged, now)


def _use(session: Session, name: str, amount: float, now: datetime) -> None:
    """A team's usage as fair share counts it: from the reservation on, less what comes back."""
    team = session.get(Team, name, with_for_update=True)
    assert team is not None
    team.usage_micro_usd = max(0.0, decayed(team.usage_micro_usd, team.usage_at, now) + amount)
    team.usage_at = now
    session.add(team)


def _nearest_first(budget: Budget) -> tuple[int, str]:
    return NEAREST_FIRST.index(Scope(budget.scope)), budget.period


def _ceiling_minutes(attempt: Attempt) -> int:
    return attempt.ceiling_micro_usd // max(1, attempt.price_per_minute_micro_usd)
