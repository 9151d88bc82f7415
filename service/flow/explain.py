"""explain: why a run waits, gate by gate, when it would start, and what would help; and the queue as a whole.

The board is read as `admit` reads it, and every answer is made by the same rules. Nothing is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

from sqlmodel import Session

from service.domain.admission import Admit, Decision, Wait
from service.domain.board import UNSEEN_SCHEDULING, Board, Candidate, LaneKey
from service.domain.counterfactual import Help, outcome, what_would_help
from service.domain.forecast import earliest_starts
from service.domain.gates import Check, checks
from service.domain.run import Reason, RunState
from service.flow.change import is_refused
from service.flow.held import held
from service.store import board, flavors, heads, queue
from service.store.heads import Waiting
from service.store.tables import Run

# How many queued runs the look ahead takes in, over all lanes and of one.
MOST_SEEN, MOST_OF_LANE = 1000, 50


@dataclass(frozen=True)
class Explanation:
    """`position` counts from 1 over all teams, None for a run that is held. `earliest_start` is None where it is
    further off than is looked, or depends on people."""

    position: int | None
    earliest_start: datetime | None
    gates: list[Check]
    would_help: list[Help]
    assumption: str


FAR_BACK = Check(
    "turn",
    False,
    Reason.CHECKING,
    "it stands too far back in the queue: of runs like it, the first ones and the shortest are looked at before",
)


@dataclass(frozen=True)
class View:
    """What a look at the queue stands on: the board, and the first runs of each lane. `cut`: what was read of the lanes
    that go on behind it, by id. `troubles`: why a namespace takes no jobs, as admission said; its runs are left out."""

    stand: Board
    queues: dict[str, list[Candidate]]
    cut: list[set[str]]
    troubles: dict[str, str]

    def has(self, run: Run) -> bool:
        """Whether the look takes a run in."""
        return any(one.id == run.id for one in self.queues.get(run.team, ()))


def look(session: Session, most_active: int, now: datetime) -> View:
    """Read the board and the heads of the queues."""
    read = _by_lane(heads.heads(session, 1))
    depth = min(MOST_OF_LANE, MOST_SEEN // max(1, len(read)))
    if depth > 1:
        read = _by_lane(heads.heads(session, depth))
    # Of the first of each lane every pass says anew why it waits.
    firsts = [found[0] for found in read.values()]
    troubles = {one.candidate.namespace: one.message or "" for one in firsts if one.reason == Reason.BACKING_OFF}
    queues: dict[str, list[Candidate]] = defaultdict(list)
    for one in chain.from_iterable(read.values()):
        if one.candidate.namespace not in troubles:
            queues[one.candidate.team].append(one.candidate)
    for queue_of_team in queues.values():
        queue_of_team.sort(key=lambda run: (run.rank, run.id))
    longer = heads.longer_than(session, max(1, depth))
    cut = [{one.candidate.id for one in found} for lane, found in read.items() if lane in longer]
    return View(board.read(session, most_active, now), dict(queues), cut, troubles)


def _by_lane(found: Mapping[str, Sequence[Waiting]]) -> dict[LaneKey, list[Waiting]]:
    lanes: dict[LaneKey, list[Waiting]] = defaultdict(list)
    for one in chain.from_iterable(found.values()):
        lanes[one.candidate.lane].append(one)
    return lanes


def earliest(view: View, wanted: Collection[str], is_open: bool) -> dict[str, datetime]:
    """When these runs would start, of those that the look ahead reaches. Uses the view up."""
    return earliest_starts(view.queues, view.stand, wanted, view.cut) if is_open else {}


def explain(session: Session, run: Run, most_active: int, now: datetime) -> Explanation:
    """All about a queued run; a run that is not queued has passed every gate or needs none."""
    candidate = heads.candidate(session, run)
    assumption = _assumption(session, run)
    if run.state != RunState.QUEUED:
        return Explanation(None, None, [], [], assumption)
    view = look(session, most_active, now)
    before = held(session, run, view.troubles.get(run.namespace), now)
    closed = [check for check in before if not check.passed]
    gates = [*before, *checks(candidate, view.stand)]
    if closed:
        return Explanation(None, None, gates, _after_release(candidate, view, closed), assumption)
    position = queue.positions(session, run.team, [run.id], now).get(run.id) if run.is_ready else None
    if run.is_ready and not view.has(run):
        return Explanation(position, None, [*gates, FAR_BACK], [], assumption)
    decision = outcome(candidate, view.queues, view.stand)
    may = partial(_may_be, session, run, now)
    helps = what_would_help(candidate, view.queues, view.stand, may)
    start = earliest(view, {run.id}, True).get(run.id)
    is_further_back = run.is_ready and isinstance(decision, Admit) and start != now
    gates.append(FAR_BACK if is_further_back else _turn(decision, all(check.passed for check in gates)))
    return Explanation(position, start, gates, helps, assumption)


def _may_be(session: Session, run: Run, now: datetime, changes: Mapping[str, Any]) -> bool:
    return not is_refused(session, run, changes, now)


def _turn(decision: Decision, is_open: bool) -> Check:
    """Whether an earlier run must go first, or takes what there is: `is_open` where all gates before are."""
    if not isinstance(decision, Wait):
        return Check("turn", True, message="nobody has to go first")
    if not is_open:
        return Check("turn", True, message="who goes first counts once the gates above are open")
    if not decision.lacks_money and not decision.lacks_slots:
        return Check("turn", False, decision.reason, decision.message)
    return Check("turn", False, decision.reason, f"once those in front have started: {decision.message}")


def _after_release(run: Candidate, view: View, closed: list[Check]) -> list[Help]:
    """What a held run would come to, were it not held."""
    decision = outcome(run, view.queues, view.stand)
    then = "starts now" if isinstance(decision, Admit) else f"then waits: {decision.message}"
    return [Help(" and ".join(check.opens for check in closed), then)]


def _assumption(session: Session, run: Run) -> str:
    p90 = flavors.scheduling_p90(session, run.flavor)
    wait = UNSEEN_SCHEDULING if p90 is None else p90
    seen = "nine of ten of its last jobs had it by then" if p90 is not None else "none of its jobs has been seen yet"
    minutes = -(-wait // timedelta(minutes=1))
    return f"{run.flavor} is free within {minutes} minute{'' if minutes == 1 else 's'} of asking for it ({seen})"
