"""hold: what queued runs wait for outside the board has come, or never will.

A run starts after others once all of them have succeeded; where one has not, it is cancelled with that reason, and
where its own pilot has failed, it fails by the same cause. A
follow-up takes up the model that it waited for. What was not approved in time is cancelled too, and so is
what has no job by its `start_before`; of a job that may run already, `watch` asks first.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlmodel import Session

from service.domain.follow_up import FOLLOW_UPS
from service.domain.run import RunState
from service.flow.each import each
from service.flow.follow_up import aim
from service.flow.gate import Gate
from service.flow.pilot import conclude, fail_as
from service.store import holds


def run_once(gate: Gate) -> int:
    """Draw every conclusion that is due; how many runs it concerned."""
    moved, now = 0, gate.clock()
    with gate.db.read() as session:
        are_any_overdue = holds.are_any_overdue(session, now)
        ended = holds.ended_dependencies(session)
    if gate.start.unswept is not None and are_any_overdue:
        without = tuple({place.namespace for place in gate.start.unswept})
        moved += gate.write(partial(holds.expire, now=now, without=without))
    for one in ended:
        work = partial(_settle, run_id=one.run_id, after_run_id=one.after_run_id, now=gate.clock())
        moved += bool(each("hold", one.run_id, partial(gate.write, work)))
    return moved


def _settle(session: Session, run_id: str, after_run_id: str, now: datetime) -> bool:
    if (found := holds.settle(session, run_id, after_run_id)) is None:
        return False
    run, other = found
    is_pilot = other.parent == run.id
    if other.state == RunState.SUCCEEDED:
        if run.kind in FOLLOW_UPS:
            aim(session, run, other, now)
        holds.come_nearer(session, run)
        if is_pilot:
            conclude(session, run, other, now)
    elif is_pilot and other.state == RunState.FAILED:
        fail_as(session, run, other, now)
    else:
        holds.give_up(session, run, other, now)
    return True
