"""One admission pass as a pure rule: teams by their share, within a team by rank, a head protected from those behind.

The teams' order is looked at anew after each admission, because the reservation counts at once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.domain.admission import Admit, Decision, Reject, Wait, decide, effective_timeout, has_money
from service.domain.backfill import Head, head_of, may_pass
from service.domain.board import Board, Candidate, LaneKey, named
from service.domain.run import Reason

SHARED = ("organisation", "namespace", "flavor")

# How many runs of a lane one pass looks at, at the most: the first, and those that might pass it; and beside these the
# shortest.
DEPTH = 5


def looked_at(queue: Sequence[Candidate], board: Board) -> list[Candidate]:
    """The part of a team's queue that one pass looks at, by rank. Runs of a lane differ in nothing but length that
    counts for money, so if any of those further back can use what the first ones cannot, the shortest can."""
    if len(queue) <= DEPTH:
        return list(queue)
    lanes: dict[tuple[str, ...], list[Candidate]] = {}
    for run in queue:
        lanes.setdefault(run.lane, []).append(run)

    def length(run: Candidate) -> float:
        price = board.prices.get(run.flavor)
        return math.inf if price is None else effective_timeout(run.timeout_seconds, run.cap, price)

    seen = {run.id for lane in lanes.values() for run in (*lane[:DEPTH], min(lane, key=length))}
    return [run for run in queue if run.id in seen]


class Behind(Protocol):
    """What stands behind the first run of each lane: looked up only where it may start."""

    def shortest(self, lane: LaneKey) -> Candidate | None:
        """The shortest run of a lane, None where the lane has none any more."""

    def few(self, lane: LaneKey) -> Sequence[Candidate]:
        """The first runs of a lane and its shortest, as `looked_at` says: the first of all may be among them."""


def plan(
    queues: Mapping[str, Sequence[Candidate]], board: Board, behind: Behind | None = None
) -> Iterator[tuple[Candidate, Decision]]:
    """Decide every candidate, admissions in the order in which they happen. `queues` holds each team's candidates by
    rank. The board has moved on when this is exhausted. Each candidate is told once.

    With `behind`, `queues` needs only the first of each lane. What stands behind it is decided where that one moves or
    waits for its output, or where the lane's shortest may start; elsewhere none of them may, and none is told."""
    waiting = {team: list(queue) for team, queue in queues.items() if queue}
    order = [(board.share(team), team) for team in waiting]
    heapq.heapify(order)
    above: dict[str, Head] = {}
    opened: set[LaneKey] = set()
    while order:
        turn, team = heapq.heappop(order)
        looked = _look(waiting[team], board, list(above.values()))
        if behind is not None and (lane := _to_open(looked, board, behind, opened)) is not None:
            opened.add(lane)
            waiting[team] = _with_more(waiting[team], behind.few(lane))
            heapq.heappush(order, (turn, team))
            continue
        if looked.moved is None:
            yield from looked.waits
            _hold_shared(looked.waits, board, above)
            continue
        run, decision = looked.moved
        waiting[team].remove(run)
        if isinstance(decision, Admit):
            board.admit(run, decision.timeout_seconds, decision.reserve, decision.purses)
        yield run, decision
        if waiting[team]:
            heapq.heappush(order, (board.share(team), team))


@dataclass(frozen=True)
class _Look:
    """The first run of a team that moves, or why none does; and the heads that none of them may put off."""

    moved: tuple[Candidate, Admit | Reject] | None
    waits: list[tuple[Candidate, Wait]]
    heads: Sequence[Head]


def _look(queue: Sequence[Candidate], board: Board, above: Sequence[Head]) -> _Look:
    waits: list[tuple[Candidate, Wait]] = []
    heads = list(above)
    first: tuple[Candidate, Wait] | None = None
    for run in queue:
        decision = decide(run, board)
        if isinstance(decision, Reject):
            return _Look((run, decision), waits, heads)
        if isinstance(decision, Admit):
            if first is not None and len(heads) == len(above):  # planned only once something might pass it
                heads.append(head_of(first[0], first[1].need, first[1].reason, board))
            blocking = next(
                (one for one in heads if not may_pass(one, run, decision.reserve, decision.timeout_seconds, board)),
                None,
            )
            if blocking is None:
                return _Look((run, decision), waits, heads)
            decision = Wait(blocking.reason, f"behind {named(blocking.run, run.team)}, which goes first and waits")
        elif decision.holds and first is None:
            first = run, decision
        waits.append((run, decision))
    return _Look(None, waits, heads)


def _to_open(look: _Look, board: Board, behind: Behind, opened: set[LaneKey]) -> LaneKey | None:
    """A lane of which more must be known before anything of the team moves or is told."""
    for run, wait in look.waits:
        if run.lane not in opened and _may_start(behind, run, wait, look.heads, board):
            return run.lane
    if look.moved is not None and (lane := look.moved[0].lane) not in opened:
        return lane
    return None


def _may_start(behind: Behind, first: Candidate, wait: Wait, heads: Sequence[Head], board: Board) -> bool:
    """Whether anything behind the first run of a lane may do what that one may not. They take the same slots and the
    same money, so if any of them may, the shortest may; but each has an output repository of its own."""
    if wait.lacks_slots:
        return False
    if wait.reason is Reason.WAITING_FOR_OUTPUT:
        return True
    run = behind.shortest(first.lane)
    if run is None or run.id == first.id or not has_money(run, board):
        return False
    decision = decide(run, board)
    if isinstance(decision, Admit):
        return all(may_pass(head, run, decision.reserve, decision.timeout_seconds, board) for head in heads)
    return isinstance(decision, Reject) or decision.parked is not None


def _with_more(queue: Sequence[Candidate], more: Sequence[Candidate]) -> list[Candidate]:
    known = {run.id for run in queue}
    return sorted([*queue, *(run for run in more if run.id not in known)], key=lambda run: (run.rank, run.id))


def _hold_shared(waits: Sequence[tuple[Candidate, Wait]], board: Board, above: dict[str, Head]) -> None:
    """The first head in turn that lacks what all teams share, money of the organisation or slots, must not be starved
    by the runs of others. Slots of its own team or user are no other team's to leave free."""
    for run, wait in waits:
        if not wait.holds:
            continue
        lacks_money = any(board.purses[purse_id].team is None for purse_id in wait.lacks_money)
        lacks_slots = bool(wait.lacks_slots) and all(slot.kind in SHARED for slot in wait.lacks_slots)
        for what, is_lacking in (("money", lacks_money), ("slots", lacks_slots)):
            if is_lacking and what not in above:
                above[what] = head_of(run, wait.need, wait.reason, board)
