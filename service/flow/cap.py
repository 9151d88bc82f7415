"""cap: what a run and its pilot can cost together is held under the run's `max_cost_usd`."""

from __future__ import annotations

from sqlmodel import Session

from service.domain.errors import ExceedsLimit
from service.domain.money import dollars
from service.domain.remedy import otherwise
from service.domain.run import RunState
from service.store import ledger, runs
from service.store.describe import money_of
from service.store.tables import Run


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
    cap = run.max_cost_micro_usd
    if cap is None or run.requested_timeout_seconds is None:
        return
    together = (run.ceiling_micro_usd or 0) + _least(session, pilot)
    if together > cap:
        can, anew = "Shorten the timeout or choose a cheaper flavor", "raise max_cost_usd, or leave the pilot out"
        raise ExceedsLimit(
            f"the run and its pilot can cost {dollars(together)} together, more than max_cost_usd {dollars(cap)}",
            field="timeout" if is_queued else "max_cost_usd",
            remedy=otherwise(can, anew) if is_queued else f"{can}, {anew}.",
        )


def _least(session: Session, pilot: Run) -> int:
    if RunState(pilot.state).is_terminal:
        return money_of(ledger.of_run(session, pilot.id)).charged or 0
    return pilot.ceiling_micro_usd or 0
