"""When queued runs would start at the earliest: the rules of admission run forward over the known upper bounds.

Every active run is taken to last until its timeout and to cost its whole ceiling, nobody is taken to submit anything
new. What really happens is sooner in almost every case; it is later only where new runs of a higher priority or of a
team that has used less arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from service.domain.admission import Admit, Reject, Wait
from service.domain.board import Board, Candidate
from service.domain.budget import NEVER
from service.domain.plan import looked_at, plan

MOST_EVENTS = 400
# With a thousand runs in view, that is what forty events cost.
MOST_LOOKED_AT = 40_000


def earliest_starts(
    queues: Mapping[str, Sequence[Candidate]],
    board: Board,
    wanted: Collection[str],
    cut: Iterable[Collection[str]] = (),
) -> dict[str, datetime]:
    """The starts of those of the `wanted` runs that are reached; the others are further off than is looked. `cut`: for
    each lane that goes on behind what is known of it, the ids of what is known. When those of one have started, nobody
    knows who is next, and the look ahead ends. Uses the board up."""
    waiting = {team: list(queue) for team, queue in queues.items()}
    known = [set(ids) for ids in cut]
    missing = set(wanted)
    starts: dict[str, datetime] = {}
    looked_at_so_far = 0
    for _ in range(MOST_EVENTS):
        looked_at_so_far += sum(map(len, waiting.values()))
        for run, decision in _moves(waiting, board):
            missing.discard(run.id)
            if isinstance(decision, Admit) and run.id in wanted:
                starts[run.id] = board.now
            for ids in known:
                ids.discard(run.id)
            if not all(known):
                return starts
        moment = _next_event(board)
        if not missing or moment is None or looked_at_so_far > MOST_LOOKED_AT:
            break
        board.now = max(board.now, moment)
        _pass_time(board)
    return starts


def _moves(waiting: dict[str, list[Candidate]], board: Board) -> Iterator[tuple[Candidate, Admit | Reject]]:
    """What moves at one moment: passes are made until one moves nothing and puts nothing out of the way."""
    aside: set[str] = set()
    is_over = False
    while not is_over and not board.is_full():
        is_over = True
        seen = {
            team: looked_at([run for run in queue if run.id not in aside], board) for team, queue in waiting.items()
        }
        for run, decision in plan(seen, board):
            if not isinstance(decision, Wait):
                is_over = False
                waiting[run.team].remove(run)
                yield run, decision
            elif decision.parked is not None:
                is_over = False
                aside.add(run.id)
            if board.is_full():  # nobody else starts before something ends
                return


def _next_event(board: Board) -> datetime | None:
    """When something ends next."""
    ends = [active.until for active in board.actives.values()]
    turns = [purse.ends_at for purse in board.purses.values() if purse.next_limit is not None and purse.ends_at < NEVER]
    return min((*ends, *turns), default=None)


def _pass_time(board: Board) -> None:
    for active in sorted(board.actives.values(), key=lambda one: (one.until, one.id)):
        if active.until <= board.now:
            board.end(active.id, active.reserved)
    board.turn_windows()
