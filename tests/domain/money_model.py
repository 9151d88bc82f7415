"""A ledger and a count of slots kept apart from the rules, and the boards that a machine may begin with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from service.domain.board import Board, Candidate, Purse
from service.domain.budget import Balance, Period, window
from service.domain.slots import SlotLimits

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TEAMS = ("a", "b", "c")
USERS = ("ana", "ben")
FLAVORS = ("cpu", "gpu")
NAMESPACES = ("acme", "lab")


@dataclass
class Posted:
    """One submission's entries in micro-dollars, and the windows that they belong to."""

    run: Candidate
    price: int
    at: datetime
    purses: tuple[str, ...]
    reserve: int
    charge: int = 0
    release: int = 0
    overrun: int = 0
    is_open: bool = True


@dataclass
class Ledger:
    """Every submission ever made; nothing is taken out again."""

    posted: list[Posted] = field(default_factory=list)
    open: dict[str, Posted] = field(default_factory=dict)
    usage: dict[str, float] = field(default_factory=dict)

    def reserve(self, one: Posted) -> None:
        """A submission is made."""
        self.posted.append(one)
        self.open[one.run.id] = one
        self.usage[one.run.team] = self.usage.get(one.run.team, 0.0) + one.reserve

    def close(self, run_id: str, cost: int) -> Posted:
        """It has ended at this cost."""
        one = self.open.pop(run_id)
        one.is_open, one.charge = False, cost
        one.release, one.overrun = max(0, one.reserve - cost), max(0, cost - one.reserve)
        self.usage[one.run.team] = max(0.0, self.usage[one.run.team] - one.reserve + cost)
        return one

    def balance(self, purse_id: str) -> tuple[int, int]:
        """Reserved and charged in a window, summed anew from all entries."""
        mine = [one for one in self.posted if purse_id in one.purses]
        return sum(one.reserve for one in mine if one.is_open), sum(one.charge for one in mine)

    def check(self) -> None:
        """What was reserved is where it must be."""
        reserved = sum(one.reserve for one in self.posted)
        closed = sum(one.charge + one.release - one.overrun for one in self.posted)
        assert reserved == closed + sum(one.reserve for one in self.open.values())

    def slots(self) -> Counter[tuple[str, str]]:
        """How many are active in every dimension."""
        taken: Counter[tuple[str, str]] = Counter()
        for one in self.open.values():
            run = one.run
            taken["organisation", ""] += 1
            taken["namespace", run.namespace] += 1
            taken["flavor", run.flavor] += 1
            taken["team", run.team] += 1
            taken["user", f"{run.team}/{run.user}"] += 1
        return taken


def limit_of(limits: SlotLimits, kind: str, name: str) -> int | None:
    """A slot's limit, looked up without the rules."""
    if kind == "organisation":
        return limits.organisation
    if kind == "user":
        return limits.per_user.get(name.split("/")[0])
    return {"namespace": limits.namespaces, "flavor": limits.flavors, "team": limits.teams}[kind].get(name)


def above(board: Board, run: Candidate) -> list[Purse]:
    """The budgets above a run, looked up without the rules."""
    return [
        purse
        for purse in board.purses.values()
        if purse.team in (None, run.team) and (purse.user is None or (purse.team, purse.user) == (run.team, run.user))
    ]


def looked_at(queue: Iterable[Candidate], depth: int) -> list[Candidate]:
    """The part of a queue that one pass is given, by rank: the first few of each lane, and its shortest."""
    lanes: dict[tuple[str, ...], list[Candidate]] = {}
    for run in sorted(queue, key=lambda run: (run.rank, run.id)):
        lanes.setdefault((run.team, run.user, run.flavor, run.namespace), []).append(run)
    found = {run.id: run for lane in lanes.values() for run in (*lane[:depth], min(lane, key=_length))}
    return sorted(found.values(), key=lambda run: (run.rank, run.id))


def _length(run: Candidate) -> tuple[int, int, str]:
    return run.timeout_seconds or 0, run.rank, run.id


def copy_of(board: Board) -> Board:
    """The board as it stands: its slots are counted anew."""
    return Board(
        now=board.now,
        limits=board.limits,
        prices=dict(board.prices),
        scheduling=board.scheduling,
        purses=dict(board.purses),
        actives=dict(board.actives),
        usage=dict(board.usage),
        weights=board.weights,
    )


def _purse(number: int, owner: tuple[str | None, str | None], period: Period, limit: int, hard: bool) -> Purse:
    _, ends_at = window(period, NOW)
    team, user = owner
    return Purse(
        id=f"win_{number}",
        name=f"{team}/{user}/{period}",
        team=team,
        user=user,
        balance=Balance(limit, 0, 0),
        hard=hard,
        ends_at=ends_at,
        next_limit=None if period is Period.TOTAL else limit,
        period=period,
    )


def _board(purses: list[tuple[Any, ...]], weights: dict[str, float], slots: dict[str, Any]) -> Board:
    made = [_purse(number, *one) for number, one in enumerate(purses)]
    return Board(
        now=NOW,
        limits=SlotLimits(**slots),
        prices={"cpu": 100, "gpu": 1000},
        scheduling={"cpu": timedelta(minutes=1)},
        purses={one.id: one for one in made},
        actives={},
        usage={},
        weights=weights,
    )


LIMITS = st.integers(0, 60_000)
PERIODS = st.sampled_from(list(Period))
# Mostly hard; each team has a budget of its own, else nothing of it ever starts.
HARD = st.sampled_from([True, True, True, False])
OWNERS = st.sampled_from([(None, None), *[(team, None) for team in TEAMS], *[(team, "ana") for team in TEAMS]])
GRANTED = st.tuples(*[st.tuples(st.just((team, None)), PERIODS, LIMITS, HARD) for team in TEAMS])
PURSES = st.builds(
    lambda granted, more: [*granted, *more],
    GRANTED,
    st.lists(st.tuples(OWNERS, PERIODS, LIMITS, HARD), max_size=4),
)
FEW = st.integers(0, 3)
SLOTS = st.fixed_dictionaries(
    {
        "organisation": st.integers(1, 5),
        "namespaces": st.dictionaries(st.sampled_from(NAMESPACES), FEW, max_size=1),
        "flavors": st.dictionaries(st.sampled_from(FLAVORS), FEW, max_size=1),
        "teams": st.dictionaries(st.sampled_from(TEAMS), FEW, max_size=1),
        "per_user": st.dictionaries(st.sampled_from(TEAMS), FEW, max_size=1),
    }
)
WEIGHTS = st.dictionaries(st.sampled_from(TEAMS), st.sampled_from([0.5, 1.0, 2.0, 4.0]))
BOARDS = st.builds(_board, PURSES, WEIGHTS, SLOTS)
ARRIVALS = st.lists(
    st.fixed_dictionaries(
        {
            "team": st.sampled_from([*TEAMS, "a", "a"]),
            "user": st.sampled_from(USERS),
            "flavor": st.sampled_from(FLAVORS),
            "namespace": st.sampled_from(NAMESPACES),
            "rank": st.sampled_from([0, 0, 0, 5]),
            "timeout_seconds": st.sampled_from([1, 2, 5, 10, 20, 30, 60, 200]).map(lambda length: length * 60),
            "cap": st.sampled_from([None, None, None, None, 1_000, 30_000]),
            "output_repo": st.sampled_from([None, None, None, None, "acme/one", "Acme/One"]),
        }
    ),
    min_size=1,
    max_size=8,
)
