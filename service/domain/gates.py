"""Every gate that a run has to pass on the board, in order, with what there is and what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service.domain.admission import (
    cap_refusal,
    effective_timeout,
    fits_at,
    price_change,
    shortage,
    slot_message,
    unpriced,
)
from service.domain.board import Board, Candidate
from service.domain.money import ceiling, dollars, to_usd
from service.domain.run import Reason
from service.domain.slots import slots_of


@dataclass(frozen=True)
class Check:
    """One gate. `have` and `need` are slots or dollars; None where the gate has no numbers. `fits_at`: when money that
    is short will be there at the latest, None where that is up to the end of a run or to people. `opens`: what somebody
    does, or waits for, of a gate that is closed before the board."""

    gate: str
    passed: bool
    reason: Reason | None = None
    message: str = ""
    have: float | None = None
    need: float | None = None
    fits_at: datetime | None = None
    opens: str = ""


def checks(run: Candidate, board: Board) -> list[Check]:
    """What `decide` looks at, all of it: it stops at the first gate that is closed."""
    writer = board.writer_of(run)
    found = [
        Check(
            "output",
            writer is None,
            None if writer is None else Reason.WAITING_FOR_OUTPUT,
            _writes(run.output_repo, writer),
        )
    ]
    price = board.prices.get(run.flavor)
    if price is None:
        return [*found, Check("price", False, Reason.PRICE_UNKNOWN, unpriced(run.flavor))]
    news = price_change(run, price)
    message = f"{run.flavor} costs {dollars(price)} a minute" + ("" if news is None else f": {news}")
    found.append(Check("price", True, message=message))
    if (refusal := cap_refusal(run.timeout_seconds, run.cap, price)) is not None:
        return [*found, Check("own_cap", False, Reason.EXCEEDS_LIMIT, refusal)]
    need = ceiling(price, effective_timeout(run.timeout_seconds, run.cap, price))
    found.append(Check("own_cap", True, message=f"it costs {dollars(need)} at the most", need=to_usd(need)))
    return [*found, *_slot_checks(run, board), *_budget_checks(run, need, board)]


def _writes(repo: str | None, writer: str | None) -> str:
    if repo is None:
        return "it publishes nothing"
    return f"no other run writes to {repo}" if writer is None else f"{writer} writes to {repo}, and goes first"


def _slot_checks(run: Candidate, board: Board) -> list[Check]:
    found = []
    for slot in slots_of(run):
        if (limit := board.limits.of(slot)) is None:
            continue
        is_free = board.has_room(slot)
        found.append(
            Check(
                f"slots_of_{slot.kind}",
                is_free,
                None if is_free else Reason.WAITING_FOR_SLOT,
                slot_message(board, slot),
                have=max(0, limit - board.used[slot]),
                need=1,
            )
        )
    return found


def _budget_checks(run: Candidate, need: int, board: Board) -> list[Check]:
    purses = board.purses_of(run)
    found = []
    if not any(purse.is_of_team for purse in purses):
        found.append(
            Check("budget", False, Reason.WAITING_FOR_BUDGET, "the team has no budget yet: an admin grants one", 0.0)
        )
    for purse in purses:
        fits = not purse.hard or need <= purse.balance.remaining
        free = f"{dollars(max(0, purse.balance.remaining))} of {dollars(purse.balance.limit)} is free in {purse.name}"
        found.append(
            Check(
                f"budget_{purse.name}",
                fits,
                None if fits else Reason.WAITING_FOR_BUDGET,
                free if fits else shortage(need, purse),
                have=to_usd(purse.balance.remaining),
                need=to_usd(need),
                fits_at=None if fits else fits_at(need, purse),
            )
        )
    return found
