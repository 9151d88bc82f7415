"""ceiling: the most that a run can cost, and whether that could ever be paid."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from service.domain.admission import cap_refusal, effective_timeout
from service.domain.budget import Period
from service.domain.errors import ExceedsBudget, ExceedsLimit
from service.domain.flavor_name import AUTO
from service.domain.money import ceiling, dollars, to_usd
from service.domain.remedy import otherwise
from service.flow.cap import own_cap
from service.store import budgets, flavors, standings, windows
from service.store.budgets import Owner
from service.store.shared import once
from service.store.tables import Budget, Run

CHEAPER = "Shorten the timeout or choose a cheaper flavor"


def refuse_impossible(session: Session, run: Run, now: datetime, is_queued: bool = False) -> None:
    """Work out what a run may cost, and raise ExceedsLimit, ExceedsBudget or UnknownFlavor where it can never start.
    `is_queued`: the run is one that is being changed, and remedies name what can be changed of it."""
    # Without a price nothing is known: not what another flavor or timeout came to, either.
    run.ceiling_micro_usd = run.quoted_price_micro_usd = None
    run.timeout_seconds = run.requested_timeout_seconds
    if run.flavor == AUTO:
        return
    price = flavors.fresh_price(session, run.flavor, now)
    if price is None:
        flavors.refuse_unknown(session, run.flavor, "flavor")  # a known one waits for its price
        return
    cap = own_cap(run)
    if (refusal := cap_refusal(run.requested_timeout_seconds, cap, price)) is not None:
        refusal = f"its pilot: {refusal}" if run.kind == "pilot" else refusal
        if run.held_back_micro_usd:
            refusal += f"; {dollars(run.held_back_micro_usd)} of it are held back for its follow-ups"
        remedy = otherwise(CHEAPER, "raise max_cost_usd") if is_queued else f"{CHEAPER}, or raise max_cost_usd."
        raise ExceedsLimit(refusal, field="timeout" if is_queued else "max_cost_usd", remedy=remedy)
    run.timeout_seconds = effective_timeout(run.requested_timeout_seconds, cap, price)
    need = run.ceiling_micro_usd = ceiling(price, run.timeout_seconds)
    run.quoted_price_micro_usd = price
    for budget, most in _above(session, Owner(run.team, run.requested_by, run.origin), now):
        if budget.hard and need > most:
            raise ExceedsBudget(
                f"the run can cost {dollars(need)}, and {budget.name} can never hold more than {dollars(most)}",
                field=_bound_of(run, is_queued),
                remedy="Choose a cheaper flavor or a shorter timeout, or have the budget raised.",
                budget=budget.name,
                need_usd=to_usd(need),
                limit_usd=to_usd(most),
            )


def _bound_of(run: Run, is_queued: bool) -> str:
    """The field that says how much a run may cost, or of those that can be changed the one that says most."""
    if run.kind == "pilot":
        return "flavor" if is_queued else "pilot"
    if run.requested_timeout_seconds is not None:
        return "timeout"
    return "flavor" if is_queued else "max_cost_usd"


def _above(session: Session, owner: Owner, now: datetime) -> list[tuple[Budget, int]]:
    """Every budget above an owner's runs, and the most that each may ever hold free for one. Windows begin and end at
    quarters of an hour, in whatever zone."""
    return once(
        session,
        ("budgets", owner.subject, now.timestamp() // 900),
        lambda reader: [(budget, _most_ever(reader, budget, now)) for budget in budgets.above(reader, owner)],
    )


def _most_ever(session: Session, budget: Budget, now: datetime) -> int:
    """The most that a run may ever find free in a budget as it is granted now."""
    present = standings.balance(session, budget, windows.find_or_new(session, budget, now))
    if budget.period == Period.TOTAL:
        return present.limit - present.spent  # what is spent does not come back
    carry = budget.limit_micro_usd if budget.carry_over else 0
    return max(present.limit, budget.limit_micro_usd + carry)
