"""When queued runs would start at the earliest: the rules of admission run forward over the known upper bounds.

Every active run is taken to last until its timeout and to cost its whole ceiling, nobody is taken to submit anything
new. What really happens is sooner in almost every case; it is later only where new runs of a higher priority or of a
team that has used less arrive.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from service.domain.admission import Admit, Wait
from service.domain.board import Board, Candidate
from service.domain.budget import NEVER
from service.domain.plan import plan

MOST_EVENTS = 400


def earliest_starts(
    queues: Mapping[str, Sequence[Candidate]], board: Board, wanted: Collection[str]
) -> dict[str, datetime]:
    """The starts of those of the `wanted` runs that are reached; the others are further off than is looked. Uses the
    board up."""
    waiting = {team: list(queue) for team, queue in queues.items()}
    missing = set(wanted)
    starts: dict[str, datetime] = {}
    for _ in range(MOST_EVENTS):
        for run, decision in plan(waiting, board):
            if isinstance(decision, Wait):
                continue
            waiting[run.team].remove(run)
            missing.discard(run.id)
            if isinstance(decision, Admit) and run.id in wanted:
                starts[run.id] = board.now
        moment = _next_event(board)
        if not missing or moment is None:
            break
        board.now = max(board.now, moment)
        _pass_time(board)
    return starts


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
