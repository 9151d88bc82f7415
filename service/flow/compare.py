"""compare: the points of a sweep are held beside one another. Those that fall behind are stopped, what the sweep's
money does not reach any more is not waited for, and once all have ended the best is named.

A stopped run is cancelled as by a person: its minutes are charged, and the rest of what it had reserved is the sweep's
again for the points that wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from math import isfinite, nan
from typing import Any

import structlog
from sqlalchemy import Row
from sqlmodel import Session, col

from service.domain.halving import Beaten, Halving, Standing, beaten, rungs
from service.domain.money import dollars, to_usd
from service.domain.run import TERMINAL, Reason, RunState
from service.flow.each import each
from service.flow.gate import Gate
from service.store import cancels, organisation, origins, sweeps
from service.store.sweeps import Pair
from service.store.tables import MetricPoint, Origin, Run, Sweep, SweepPoint

log = structlog.get_logger()
LOSSES = ("eval_loss", "eval/loss")


def run_once(gate: Gate) -> int:
    """Look at every sweep that has not ended; of how many there was something new."""
    with gate.db.read() as session:
        waiting = [one for one in sweeps.going_on(session) if sweeps.has_news(session, one)]
    return sum(
        bool(each("compare", sweep_id, partial(gate.write, partial(turn, sweep_id=sweep_id, now=gate.clock()))))
        for sweep_id in waiting
    )


def turn(session: Session, sweep_id: str, now: datetime) -> bool:
    """What a sweep comes to now; False where it has ended meanwhile."""
    found = origins.lock(session, Sweep, sweep_id)
    if found is None or found[1].ended_at is not None:
        return False
    origin, sweep = found
    organisation.lock(session)  # before many runs, as admission does
    pairs = sweeps.points(session, sweep_id)
    new = sweeps.evaluations(session, sweep_id)
    at = {rung.evaluations for rung in rungs(halving, len(pairs))} if (halving := halving_of(sweep)) else set()
    for point, row in pairs:
        for one in new.get(point.run_id, []):
            take_in(point, one, at)
        point.is_over = row.finished_at is not None
        session.add(point)
    stop_beaten(session, sweep, pairs, now)
    _stop_unpaid(session, origin, sweep, pairs, now)
    if not sweeps.is_any_open(session, sweep_id):
        _end(session, origin, sweep, pairs, now)
    return True


def halving_of(sweep: Sweep) -> Halving | None:
    """How it halves; None where all points are trained to their ends."""
    if sweep.factor is None or sweep.first_evaluation is None:
        return None
    return Halving(sweep.factor, sweep.first_evaluation)


def take_in(point: SweepPoint, one: MetricPoint, at: set[int]) -> None:
    """An evaluation becomes the point's. One that is not beyond the last (a try that began anew, TRL's own at the end)
    counts once, with its newest loss."""
    point.attempt, point.metric = one.attempt, one.number
    loss = next((one.numbers[name] for name in LOSSES if name in one.numbers), None)
    if loss is None and not set(LOSSES) & set(one.numbers.get("not_finite", ())):
        return  # other numbers of an evaluation
    if one.step is not None and point.step is not None and one.step < point.step:
        return
    is_further = one.step is None or point.step is None or one.step > point.step
    point.evaluations += is_further
    point.step, point.eval_loss = one.step if one.step is not None else point.step, loss
    if is_further and point.evaluations in at:
        point.losses = {**point.losses, str(point.evaluations): loss}


def standings(pairs: Sequence[Pair]) -> list[Standing]:
    """How the points stand at the rungs that they have reached. One that has failed keeps no other from going on."""
    return [
        Standing(point.number, {int(at): nan if loss is None else loss for at, loss in point.losses.items()})
        for point, row in pairs
        if row.state not in (RunState.FAILED, RunState.CANCELLED)
    ]


def stop_beaten(session: Session, sweep: Sweep, pairs: Sequence[Pair], now: datetime) -> None:
    """Those that do not go on and train still are stopped."""
    if (halving := halving_of(sweep)) is None:
        return
    by_number = {point.number: row for point, row in pairs}
    for one in beaten(standings(pairs), halving, len(pairs)):
        if _goes_on(row := by_number[one.number]):
            _stop(session, row.id, Reason.STOPPED_EARLY, _why(one), now)


def _why(one: Beaten) -> str:
    after = "its first evaluation" if one.rung.evaluations == 1 else f"{one.rung.evaluations} evaluations"
    best = "the best goes" if one.rung.goes_on == 1 else f"the best {one.rung.goes_on} go"
    loss = f"its loss {one.loss:.6g}" if isfinite(one.loss) else "its loss, which is no number,"
    return f"point {one.number}: after {after} {loss} is in place {one.place} of {one.reached}, and {best} on"


def _stop_unpaid(session: Session, origin: Origin, sweep: Sweep, pairs: Sequence[Pair], now: datetime) -> None:
    money = sweeps.balance(session, sweep)
    for point, row in pairs:
        need = row.ceiling_micro_usd or 0
        if row.state == RunState.QUEUED and _goes_on(row) and need > sweeps.reach(money):
            why = (
                f"point {point.number}: it may cost {dollars(need)}, and of the sweep's {dollars(money.limit)} "
                f"{dollars(money.charged)} are spent"
            )
            _stop(session, row.id, Reason.SWEEP_SPENT, why, now)
            log.info("sweep_spent", sweep_id=origin.id, run_id=row.id)


def _goes_on(row: Row[Any]) -> bool:
    return row.state not in TERMINAL and row.cancel_requested_at is None


def _stop(session: Session, run_id: str, reason: Reason, why: str, now: datetime) -> None:
    is_its = (col(Run.id) == run_id) | (col(Run.parent) == run_id)
    cancels.request(session, is_its, "a rule", now, reason, why)


def best_of(pairs: Sequence[Pair]) -> Pair | None:
    """The point of the lowest last evaluation loss, among those that have succeeded; None where none has said one."""
    known = [
        (point.eval_loss, point.number, (point, row))
        for point, row in pairs
        if row.state == RunState.SUCCEEDED and point.eval_loss is not None
    ]
    return min(known)[2] if known else None


def _end(session: Session, origin: Origin, sweep: Sweep, pairs: Sequence[Pair], now: datetime) -> None:
    found = best_of(pairs)
    sweeps.end(session, origin, sweep, now)
    told = {
        "state": "ended" if sweep.cancelled_at is None else "cancelled",
        "states": states_of(pairs),
        "charged_usd": to_usd(sweeps.balance(session, sweep).charged),
        "best": None if found is None else best_json(*found),
    }
    origins.tell(session, origin, "sweep.ended", now, **told)
    log.info("sweep_ended", sweep_id=sweep.id, best=found and found[0].number)


def states_of(pairs: Sequence[Pair]) -> dict[str, int]:
    """How many points are in each state."""
    states = [row.state for _, row in pairs]
    return {state: states.count(state) for state in dict.fromkeys(states)}


def said(pairs: Sequence[Pair], is_over: bool) -> str:
    """A sentence about how far a sweep is, and whether it can name a best point."""
    ended = sum(row.state in TERMINAL for _, row in pairs)
    far = f"{ended} of {len(pairs)} points have ended"
    if (best := best_of(pairs)) is not None:
        return f"{far}; the best is point {best[0].number}, with a loss of {best[0].eval_loss:.6g}"
    if not any(point.evaluations for point, _ in pairs):
        return f"{far}; none of them has said an eval_loss" + (", so that nothing was compared" if is_over else "")
    return f"{far}; none of those that said an eval_loss has succeeded" + ("" if is_over else " yet")


def best_json(point: SweepPoint, row: Row[Any]) -> dict[str, Any]:
    """The best point, as it is named to the world."""
    return {
        "number": point.number,
        "run_id": point.run_id,
        "parameters": point.parameters,
        "eval_loss": point.eval_loss,
        "output_repo": row.output_repo,
        "revision": (row.output or {}).get("revision"),
    }
