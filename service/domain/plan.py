"""One admission pass as a pure rule: teams by their share, within a team by rank, a head protected from those behind.

The teams' order is looked at anew after each admission, because the reservation counts at once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence

from service.domain.admission import Admit, Decision, Reject, Wait, decide, effective_timeout
from service.domain.backfill import Head, head_of, may_pass
from service.domain.board import Board, Candidate, named

SHARED = ("organisation", "namespace", "flavor")

# How many runs of a lane one pass looks at: the first, and those that might pass it; and beside these the shortest.
DEPTH = 5


def looked_at(queue: Sequence[Candidate], board: Board) -> list[Candidate]:
    """The part of a team's queue that one pass looks at, by rank. Runs of a lane differ in nothing but length that
    counts for money, so if any of those further back can use what the first ones cannot, the shortest can."""
    lanes: dict[tuple[str, ...], list[Candidate]] = {}
    for run in queue:
        lanes.setdefault(run.lane, []).append(run)

    def length(run: Candidate) -> float:
        price = board.prices.get(run.flavor)
        return math.inf if price is None else effective_timeout(run.timeout_seconds, run.cap, price)

    seen = {run.id for lane in lanes.values() for run in (*lane[:DEPTH], min(lane, key=length))}
    return [run for run in queue if run.id in seen]


def plan(queues: Mapping[str, Sequence[Candidate]], board: Board) -> Iterator[tuple[Candidate, Decision]]:
    """Decide every candidate, admissions in the order in which they happen. `queues` holds each team's candidates by
    rank. The board has moved on when this is exhausted. Each candidate is told once."""
    waiting = {team: list(queue) for team, queue in queues.items() if queue}
    order = [(board.share(team), team) for team in waiting]
    heapq.heapify(order)
    above: dict[str, Head] = {}
    while order:
        _, team = heapq.heappop(order)
        moved, waits = _first_move(waiting[team], board, list(above.values()))
        if moved is None:
            for run, wait in waits:
                yield run, wait
            _hold_shared(waits, board, above)
            continue
        run, decision = moved
        waiting[team].remove(run)
        if isinstance(decision, Admit):
            board.admit(run, decision.timeout_seconds, decision.reserve, decision.purses)
        yield run, decision
        if waiting[team]:
            heapq.heappush(order, (board.share(team), team))


def _first_move(
    queue: Sequence[Candidate], board: Board, above: Sequence[Head]
) -> tuple[tuple[Candidate, Admit | Reject] | None, list[tuple[Candidate, Wait]]]:
    """The first run of a team that moves, or why none does."""
    waits: list[tuple[Candidate, Wait]] = []
    heads = list(above)
    first: tuple[Candidate, Wait] | None = None
    for run in queue:
        decision = decide(run, board)
        if isinstance(decision, Reject):
            return (run, decision), waits
        if isinstance(decision, Admit):
            if first is not None and len(heads) == len(above):  # planned only once something might pass it
                heads.append(head_of(first[0], first[1].need, first[1].reason, board))
            blocking = next(
                (one for one in heads if not may_pass(one, run, decision.reserve, decision.timeout_seconds, board)),
                None,
            )
            if blocking is None:
                return (run, decision), waits
            decision = Wait(blocking.reason, f"behind {named(blocking.run, run.team)}, which goes first and waits")
        elif decision.holds and first is None:
            first = run, decision
        waits.append((run, decision))
    return None, waits


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
