"""What would let a waiting run start: each change is tried on the board by the rules themselves before it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from service.domain.admission import Admit, Decision, Wait, decide
from service.domain.board import Board, Candidate, named
from service.domain.moment import minute
from service.domain.money import MIN_CAPPED_TIMEOUT_SECONDS, dollars, timeout_for_cap
from service.domain.plan import plan

MOST_FLAVORS = 3
MOST_ENDS = 20
Queues = Mapping[str, Sequence[Candidate]]
May = Callable[[Mapping[str, str | int]], bool]


@dataclass(frozen=True)
class Help:
    """A change, and what it would bring."""

    change: str
    effect: str


def what_would_help(run: Candidate, queues: Queues, board: Board, may: May) -> list[Help]:
    """Changes that let the run start at once, each tried alone; empty where it starts now anyway or no single change
    of these is enough. `may` says whether the run can be changed so at all. The board is left as it is."""
    if isinstance(outcome(run, queues, board), Admit):
        return []
    return [
        *_other_flavors(run, queues, board, may),
        *_shorter_timeout(run, queues, board, may),
        *_more_money(run, queues, board),
        *_more_slots(run, queues, board),
        *_an_end(run, queues, board),
    ]


def outcome(run: Candidate, queues: Queues, board: Board) -> Decision:
    """What one pass would decide about a run, in the place of the one with its id."""
    if board.is_full():  # whoever goes first, it is told the same
        return decide(run, board)
    mine = sorted(
        [*(one for one in queues.get(run.team, ()) if one.id != run.id), run], key=lambda one: (one.rank, one.id)
    )
    tried = board.copy()
    if mine[0].id == run.id:  # its turn is its team's first: who comes after that team changes nothing for it
        turn = board.share(run.team), run.team
        queues = {team: queue for team, queue in queues.items() if (board.share(team), team) <= turn}
    for candidate, decision in plan({**queues, run.team: mine}, tried):
        if candidate.id == run.id:
            return decision
        if tried.is_full():
            return decide(run, tried)
    raise AssertionError("each candidate is told once")


def _other_flavors(run: Candidate, queues: Queues, board: Board, may: May) -> Iterator[Help]:
    cheapest = sorted((price, flavor) for flavor, price in board.prices.items() if flavor != run.flavor)
    found = 0
    for _, flavor in cheapest:
        decision = outcome(replace(run, flavor=flavor), queues, board)
        if isinstance(decision, Admit) and may({"flavor": flavor}):
            yield Help(f"flavor = {flavor}", f"starts now; it costs {dollars(decision.reserve)} at the most")
            found += 1
        if found == MOST_FLAVORS:
            return


def _shorter_timeout(run: Candidate, queues: Queues, board: Board, may: May) -> Iterator[Help]:
    price = board.prices.get(run.flavor)
    free = [purse.balance.remaining for purse in board.purses_of(run) if purse.hard]
    if not price or not free or run.timeout_seconds is None:
        return
    seconds = timeout_for_cap(price, max(0, min(free)))
    if MIN_CAPPED_TIMEOUT_SECONDS <= seconds < run.timeout_seconds:
        decision = outcome(replace(run, timeout_seconds=seconds), queues, board)
        if isinstance(decision, Admit) and may({"timeout": seconds // 60 * 60}):
            yield Help(f"timeout = {seconds // 60}m", f"starts now; it costs {dollars(decision.reserve)} at the most")


def _more_money(run: Candidate, queues: Queues, board: Board) -> Iterator[Help]:
    decision = decide(run, board)
    if not isinstance(decision, Wait) or not decision.lacks_money:
        return
    richer = board.copy()
    asked = []
    for purse_id in decision.lacks_money:
        purse = richer.purses[purse_id]
        missing = decision.need - purse.balance.remaining
        balance = replace(purse.balance, limit=purse.balance.limit + missing)
        richer.purses[purse_id] = replace(purse, balance=balance)
        asked.append(f"{dollars(missing)} more in {purse.name}")
    if isinstance(outcome(run, queues, richer), Admit):
        yield Help(" and ".join(asked), "starts now")


def _more_slots(run: Candidate, queues: Queues, board: Board) -> Iterator[Help]:
    decision = decide(run, board)
    if not isinstance(decision, Wait) or len(decision.lacks_slots) != 1:
        return
    wider = board.copy()
    slot = decision.lacks_slots[0]
    missing = board.used[slot] - (board.limits.of(slot) or 0) + 1
    wider.used[slot] -= missing
    if isinstance(outcome(run, queues, wider), Admit):
        yield Help(f"{'one more slot' if missing == 1 else f'{missing} more slots'} for {slot}", "starts now")


def _an_end(run: Candidate, queues: Queues, board: Board) -> Iterator[Help]:
    soonest = sorted(board.actives.values(), key=lambda active: (active.until, active.id))
    for active in soonest[:MOST_ENDS]:
        later = board.copy()
        later.end(active.id, active.least)
        if isinstance(outcome(run, queues, later), Admit):
            latest = f"; it ends at {minute(active.until)} at the latest" if active.team == run.team else ""
            yield Help(
                f"after {named(active, run.team)} ends", f"starts if that gives back what it has not used{latest}"
            )
            return
