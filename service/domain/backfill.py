"""Backfill: a later run may start while the head waits, if by the timeouts that does not delay the head.

The head has a *planned start*: the first moment at which, with every active run ended by its timeout at the latest and
its reservation given back except for what it has cost by now, the head fits. A later run may pass if it has ended by
then or leaves a slot free in each of the head's slots, and if the head's plan still holds with its whole ceiling spent,
and that of every run that passed before it. Together, all that pass can take no more than the slack of that plan, so a
stream of small runs never starves a large one. Where the head cannot fit its window even so, its plan is the window's
end, and what is left of the window is free to use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from service.domain.board import Active, Board, Candidate
from service.domain.budget import NEVER
from service.domain.run import Reason
from service.domain.slots import Slot, slots_of


@dataclass(frozen=True)
class Head:
    """A run that waits and must not be delayed: what it needs, and when it is planned to start."""

    run: Candidate
    need: int
    reason: Reason
    planned: datetime


def head_of(run: Candidate, need: int, reason: Reason, board: Board) -> Head:
    """Plan a waiting run's start."""
    return Head(run, need, reason, planned_start(run, need, board))


def planned_start(run: Candidate, need: int, board: Board) -> datetime:
    """The first moment at which the head fits; NEVER where only a larger limit would help."""
    rivals = sorted(_rivals(run, board), key=lambda active: active.until)
    window_ends = [purse.ends_at for purse in board.purses_of(run) if purse.ends_at < NEVER]
    moments = sorted({board.now, *(max(board.now, active.until) for active in rivals), *window_ends})
    for moment in moments:
        if _slots_fit(run, moment, rivals, board) and _money_fits(run, need, moment, rivals, board):
            return moment
    return NEVER


def may_pass(head: Head, run: Candidate, need: int, timeout_seconds: int, board: Board) -> bool:
    """Whether a run that fits now leaves the head's planned start as it is. A head that only a larger limit would help
    has none, and holds nobody up."""
    if head.planned >= NEVER:
        return True
    until = board.now + board.lasts(run.flavor, timeout_seconds)
    rivals = list(_rivals(head.run, board))
    earlier = [active for active in rivals if active.rank <= head.run.rank]  # what passed before may cost its ceiling
    shared = set(slots_of(run)) & set(slots_of(head.run))
    if until > head.planned and not _slots_fit(head.run, head.planned, rivals, board, taken=shared):
        return False
    own = {purse.id for purse in board.purses_of(run)}
    return _money_fits(head.run, head.need, head.planned, earlier, board, also=need, within=own)


def _rivals(run: Candidate, board: Board) -> Iterable[Active]:
    slots = set(slots_of(run))
    purses = {purse.id for purse in board.purses_of(run)}
    return (
        active
        for active in board.actives.values()
        if slots.intersection(slots_of(active)) or purses.intersection(active.purses)
    )


def _slots_fit(
    run: Candidate, at: datetime, rivals: Iterable[Active], board: Board, taken: Iterable[Slot] = ()
) -> bool:
    ended = [active for active in rivals if active.until <= at]
    for slot in slots_of(run):
        if (limit := board.limits.of(slot)) is None:
            continue
        left = board.used[slot] - sum(slot in slots_of(active) for active in ended)
        if left + (slot in taken) >= limit:
            return False
    return True


def _money_fits(
    run: Candidate,
    need: int,
    at: datetime,
    rivals: Iterable[Active],
    board: Board,
    also: int = 0,
    within: Iterable[str] = (),
) -> bool:
    """Whether the need fits every hard budget at a moment; `also` is spent before in the windows `within`."""
    for purse in board.purses_of(run):
        if not purse.hard:
            continue
        if at >= purse.ends_at:
            if purse.next_limit is None or need > purse.next_limit:
                return False
            continue
        back = sum(
            max(0, active.reserved - active.least)
            for active in rivals
            if active.until <= at and purse.id in active.purses
        )
        spent = also if purse.id in within else 0
        if need > purse.balance.remaining + back - spent:
            return False
    return True
