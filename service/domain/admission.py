"""Whether a queued run may start on the board as it stands, and if not, why: pure rules, first failure first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.board import Board, Candidate, Purse
from service.domain.budget import NEVER
from service.domain.duration import MAX_SECONDS
from service.domain.moment import minute
from service.domain.money import MIN_CAPPED_TIMEOUT_SECONDS, ceiling, dollars, timeout_for_cap
from service.domain.run import Reason
from service.domain.slots import Slot, slots_of

PARKED = {Reason.WAITING_FOR_OUTPUT: "output", Reason.PRICE_UNKNOWN: "price"}


@dataclass(frozen=True)
class Admit:
    """Start it, with this much reserved in these windows."""

    price_per_minute: int
    timeout_seconds: int
    reserve: int
    purses: tuple[str, ...]


@dataclass(frozen=True)
class Wait:
    """Not now. `holds`: the runs behind must not take what it waits for, or it would wait for ever; `lacks_slots` and
    `lacks_money` (window ids) say what that is. `fits_never`: nothing that ends or begins anew brings it, only a larger
    limit or another price; it holds nobody up meanwhile."""

    reason: Reason
    message: str
    holds: bool = False
    lacks_slots: tuple[Slot, ...] = ()
    lacks_money: tuple[str, ...] = ()
    need: int = 0
    fits_never: bool = False

    @property
    def parked(self) -> str | None:
        """What it is put out of the way for: it holds nobody up, and is looked at again when that has come. None: it
        stays where it is."""
        return "money" if self.fits_never else PARKED.get(self.reason)


@dataclass(frozen=True)
class Reject:
    """Never: waiting does not help, as the price has risen above what the caller allowed."""

    reason: Reason
    message: str


Decision = Admit | Wait | Reject


def decide(run: Candidate, board: Board) -> Decision:
    """Answer for one run, whoever else waits."""
    if (writer := board.writer_of(run)) is not None:
        return Wait(Reason.WAITING_FOR_OUTPUT, f"{run.output_repo} is being written by {writer}; that goes first")
    if (price := board.prices.get(run.flavor)) is None:
        return Wait(Reason.PRICE_UNKNOWN, unpriced(run.flavor))
    if (refusal := cap_refusal(run.timeout_seconds, run.cap, price)) is not None:
        return Reject(Reason.EXCEEDS_LIMIT, refusal)
    timeout = effective_timeout(run.timeout_seconds, run.cap, price)
    need = ceiling(price, timeout)
    if full := [slot for slot in slots_of(run) if not board.has_room(slot)]:
        return Wait(
            Reason.WAITING_FOR_SLOT, slot_message(board, full[0]), holds=True, lacks_slots=tuple(full), need=need
        )
    purses = board.purses_of(run)
    if not any(purse.is_of_team for purse in purses):
        return Wait(
            Reason.WAITING_FOR_BUDGET, f"needs {dollars(need)}, and the team has no budget yet: an admin grants one"
        )
    short = [purse for purse in purses if purse.hard and need > purse.balance.remaining]
    if short:
        news = price_change(run, price)
        last = max(short, key=lambda purse: _fits_last(need, purse))
        return Wait(
            Reason.WAITING_FOR_BUDGET,
            shortage(need, last) + _also(short, last) + ("" if news is None else f" ({news})"),
            holds=need <= last.most,
            lacks_money=tuple(purse.id for purse in short),
            need=need,
            fits_never=need > last.most,
        )
    return Admit(price, timeout, need, tuple(purse.id for purse in purses))


def has_money(run: Candidate, board: Board) -> bool:
    """Whether the hard budgets above a run hold it as they stand: the part of `decide` that says no most often, without
    its words."""
    if (price := board.prices.get(run.flavor)) is None:
        return False
    need = ceiling(price, effective_timeout(run.timeout_seconds, run.cap, price))
    return all(not purse.hard or need <= purse.balance.remaining for purse in board.purses_of(run))


def unpriced(flavor: str) -> str:
    """That nobody knows what a flavor costs now."""
    return f"Hugging Face has not told the price of {flavor} for a day: it is asked for again every 30 s"


def slot_message(board: Board, slot: Slot) -> str:
    """How a slot stands that has no room."""
    whose = {
        "organisation": "runs of this service",
        "namespace": f"runs in namespace {slot.name}",
        "flavor": f"runs on {slot.name}",
        "team": "the team's runs",
        "user": "the user's runs",
        "origin": f"runs of {slot.name}",
    }[slot.kind]
    if (limit := board.limits.of(slot)) == 0:
        return f"{whose} are limited to 0: none may start"
    used = board.used[slot]
    if limit is not None and used > limit:
        return f"{whose} are limited to {limit}, and {used} are active"
    return f"{used} of {limit} {whose} are active"


def shortage(need: int, purse: Purse) -> str:
    """What is missing in a window, and when it would fit."""
    balance = purse.balance
    if need > purse.most:  # what moves meanwhile is left out: nobody looks at such a run again before that counts
        most = dollars(max(0, purse.most))
        return f"needs {dollars(need)}, and {purse.name} has no more than {most} left: it fits once that is raised"
    outside = f", {dollars(balance.outside)} spent outside the gate" if balance.outside else ""
    return (
        f"needs {dollars(need)}, {dollars(max(0, balance.remaining))} of {dollars(balance.limit)} is free in "
        f"{purse.name} ({dollars(balance.reserved)} reserved, {dollars(balance.charged)} spent{outside}): "
        f"{dollars(need - balance.remaining)} is missing; {_fits_when(need, purse)}"
    )


def fits_at(need: int, purse: Purse) -> datetime | None:
    """When a need fits that is more than a window has left, at the latest; None where that is up to the end of a run or
    to people."""
    return None if purse.next_limit is None or need > purse.next_limit else purse.ends_at


def price_change(run: Candidate, price: int) -> str | None:
    """A price that is another one than when the run was submitted is said, not hidden; None where it is the same."""
    if run.quoted_price is None or run.quoted_price == price:
        return None
    return f"the price of {run.flavor} went from {dollars(run.quoted_price)} to {dollars(price)} a minute meanwhile"


def effective_timeout(timeout_seconds: int | None, cap_micro_usd: int | None, price_per_minute: int) -> int:
    """The timeout HF is sent: the caller's, or the longest whose ceiling fits the cap. One of the two is given."""
    if timeout_seconds is not None:
        return timeout_seconds
    assert cap_micro_usd is not None, "a run has a timeout or a cost cap"
    if price_per_minute <= 0:
        return MAX_SECONDS
    return min(timeout_for_cap(price_per_minute, cap_micro_usd), MAX_SECONDS)


def cap_refusal(timeout_seconds: int | None, cap_micro_usd: int | None, price_per_minute: int) -> str | None:
    """Why a run cannot be held under its own cap at this price, or None where it can."""
    if cap_micro_usd is None:
        return None
    timeout = effective_timeout(timeout_seconds, cap_micro_usd, price_per_minute)
    if timeout_seconds is None and timeout < MIN_CAPPED_TIMEOUT_SECONDS:
        least = ceiling(price_per_minute, MIN_CAPPED_TIMEOUT_SECONDS)
        return (
            f"max_cost_usd {dollars(cap_micro_usd)} buys less than {MIN_CAPPED_TIMEOUT_SECONDS // 60} minutes at "
            f"{dollars(price_per_minute)} a minute; {dollars(least)} is the least"
        )
    if (most := ceiling(price_per_minute, timeout)) > cap_micro_usd:
        return (
            f"a timeout of {timeout} s can cost {dollars(most)} at {dollars(price_per_minute)} a minute, "
            f"more than max_cost_usd {dollars(cap_micro_usd)}"
        )
    return None


def _fits_last(need: int, purse: Purse) -> tuple[bool, bool, datetime]:
    """Orders windows that are short by when they fit: by a date, by something that ends, never as they are."""
    at = fits_at(need, purse)
    return need > purse.most, at is None, at or NEVER


def _also(short: Sequence[Purse], last: Purse) -> str:
    others = [purse.name for purse in short if purse is not last]
    return f"; short of money, too: {', '.join(others)}" if others else ""


def _fits_when(need: int, purse: Purse) -> str:
    latest = fits_at(need, purse)
    if latest is None:
        return "it fits once a run gives money back, or the budget is raised"
    at = minute(latest)
    if need <= purse.balance.limit - purse.balance.spent:
        return f"it fits at {at} at the latest, sooner once running ones give money back"
    return f"it fits at {at}, when the next window begins"
