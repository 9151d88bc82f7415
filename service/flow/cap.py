"""cap: what a run, its pilot and its follow-ups can cost together is held under the run's `max_cost_usd`."""

from __future__ import annotations

from sqlmodel import Session

from service.domain.errors import ExceedsLimit
from service.domain.money import MIN_CAPPED_TIMEOUT_SECONDS, ceiling, dollars
from service.domain.remedy import otherwise
from service.domain.run import RunState
from service.store import ledger, runs
from service.store.run_money import money_of
from service.store.tables import Run


def own_cap(run: Run) -> int | None:
    """What a run itself may cost of its cap, in micro-dollars: the rest is held back for what follows it."""
    return None if run.max_cost_micro_usd is None else max(0, run.max_cost_micro_usd - (run.held_back_micro_usd or 0))


def refuse_over_cap(session: Session, run: Run, is_queued: bool = False) -> None:
    """Raise ExceedsLimit where a queued run and its pilot, whichever of the two this is, could cost more than the cap
    that both share; `is_queued`: where it is being changed. A pilot that has ended counts for what it cost. A run
    without a timeout of its own never does: admission gives it the time that the rest of the cap pays for."""
    other_id = run.parent if run.kind == "pilot" else (run.pilot or {}).get("run_id")
    other = None if other_id is None else runs.get(session, other_id)
    if other is not None:
        refuse_together(session, *((other, run) if run.kind == "pilot" else (run, other)), is_queued=is_queued)


def refuse_together(session: Session, run: Run, pilot: Run, is_queued: bool = False) -> None:
    """The same for two runs at hand, stored or not."""
    cap = own_cap(run)
    if cap is None or run.requested_timeout_seconds is None:
        return
    together = (run.ceiling_micro_usd or 0) + _least(session, pilot)
    if together > cap:
        can, anew = "Shorten the timeout or choose a cheaper flavor", "raise max_cost_usd, or leave the pilot out"
        raise ExceedsLimit(
            f"the run and its pilot can cost {dollars(together)} together, more than {_what(run)} {dollars(cap)}",
            field="timeout" if is_queued else "max_cost_usd",
            remedy=otherwise(can, anew) if is_queued else f"{can}, {anew}.",
        )


def spoken_for(session: Session, run: Run, without: str | None = None) -> int:
    """Of a run's cap, in micro-dollars: what it and its children have cost, and what they may cost yet, but for the
    child `without`. A run that waits without a timeout of its own takes what is left, so of that the least."""
    family = [run, *(child for child in runs.children(session, run.id) if child.id != without)]
    return sum(_may_cost(session, one) for one in family)


def refuse_more(run: Run, spoken: int, more: int) -> None:
    """Raise ExceedsLimit where so many micro-dollars more, beside those that are spoken for, are over a run's cap."""
    cap = run.max_cost_micro_usd
    if cap is not None and spoken + more > cap:
        raise ExceedsLimit(
            f"what is to follow can cost {dollars(more)}, and of max_cost_usd {dollars(cap)} {dollars(spoken)} are "
            "spent or may be",
            field="then",
            remedy="Give it shorter timeouts or cheaper flavors, or wait until what goes on has ended.",
        )


def _may_cost(session: Session, run: Run) -> int:
    money = money_of(ledger.of_run(session, run.id))
    spent = money.reserved + (money.charged or 0)
    if run.state != RunState.QUEUED:
        return spent
    if run.requested_timeout_seconds is None:
        return spent + ceiling(run.quoted_price_micro_usd or 0, MIN_CAPPED_TIMEOUT_SECONDS)
    return spent + (run.ceiling_micro_usd or 0)


def _what(run: Run) -> str:
    return "what its follow-ups leave of max_cost_usd," if run.held_back_micro_usd else "max_cost_usd"


def _least(session: Session, pilot: Run) -> int:
    if RunState(pilot.state).is_terminal:
        return money_of(ledger.of_run(session, pilot.id)).charged or 0
    return pilot.ceiling_micro_usd or 0
