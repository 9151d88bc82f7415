"""The board on which admission is decided: who waits, who is active, what is free. Built from one transaction's reads.

`admit` and `end` move it on, so that the same rules run forward: within one pass, and in forecasts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from service.domain.budget import UTC_ZONE, Balance, Period, following
from service.domain.fairness import share
from service.domain.money import GRACE_MINUTES
from service.domain.slots import ORGANISATION, Slot, SlotLimits, slots_of

# How long a flavor takes to start, where nothing has been seen of it yet.
UNSEEN_SCHEDULING = timedelta(minutes=10)

# Team, user, flavor, namespace, and what made the run ("": a person).
LaneKey = tuple[str, str, str, str, str]
# Team, user, and what makes runs.
OwnerKey = tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class Candidate:
    """A queued run. `cap` is what is left of its own cost cap, in micro-dollars; `timeout_seconds` None: it follows
    from that and the price. `quoted_price` is the price per minute that its submitter was told."""

    id: str
    team: str
    user: str
    flavor: str
    namespace: str
    rank: int
    timeout_seconds: int | None
    cap: int | None
    output_repo: str | None = None
    quoted_price: int | None = None
    origin: str | None = None

    @property
    def lane(self) -> LaneKey:
        """Runs of one lane take the same slots and the same money."""
        return self.team, self.user, self.flavor, self.namespace, self.origin or ""


@dataclass(frozen=True)
class Active:
    """A run that holds slots and money. `until` is when it has ended at the latest, `least` what it costs already;
    `rank` is where it stood in the queue. `counted` is what its reservation still counts for in its team's usage; None:
    all of it."""

    id: str
    team: str
    user: str
    flavor: str
    namespace: str
    until: datetime
    reserved: int
    purses: tuple[str, ...]
    rank: int = 0
    least: int = 0
    output_repo: str | None = None
    counted: float | None = None
    origin: str | None = None


def named(run: Candidate | Active, team: str) -> str:
    """How a run is spoken of to a team: others' runs are none of its business."""
    return run.id if run.team == team else "a run of another team"


@dataclass(frozen=True)
class Purse:
    """The present window of a budget. `user` and `team` None: it bounds everyone; `origin`: the runs that this makes.
    `next_limit` is what its next window will hold, None where there is none; that one's borders follow from `period`
    and `zone`."""

    id: str
    name: str
    team: str | None
    user: str | None
    balance: Balance
    hard: bool
    ends_at: datetime
    next_limit: int | None
    period: Period = Period.MONTH
    zone: ZoneInfo = UTC_ZONE
    origin: str | None = None

    @property
    def most(self) -> int:
        """The most that a run may ever find free in it, or in the next one: what is spent does not come back."""
        return max(self.balance.limit - self.balance.spent, self.next_limit or 0)

    @property
    def is_of_team(self) -> bool:
        """Whether this is what grants a team money at all."""
        return self.team is not None and self.user is None and self.origin is None


@dataclass
class Board:
    """Money in micro-dollars. `usage` is each team's decayed usage, reservations included; `prices` are per minute."""

    now: datetime
    limits: SlotLimits
    prices: Mapping[str, int]
    scheduling: Mapping[str, timedelta]
    purses: dict[str, Purse]
    actives: dict[str, Active]
    usage: dict[str, float]
    weights: Mapping[str, float]
    used: Counter[Slot] = field(default_factory=Counter)
    _writers: dict[str, str] = field(default_factory=dict)
    _by_owner: dict[OwnerKey, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for purse in self.purses.values():
            owner = purse.team, purse.user, purse.origin
            self._by_owner[owner] = (*self._by_owner.get(owner, ()), purse.id)
        for active in self.actives.values():
            self._take(active)

    def copy(self) -> Board:
        """Another board that stands as this one does, to try something on: what it holds is never changed in place."""
        other = copy(self)
        other.purses, other.actives = dict(self.purses), dict(self.actives)
        other.usage, other.used, other._writers = dict(self.usage), Counter(self.used), dict(self._writers)
        other._by_owner = dict(self._by_owner)
        return other

    def is_full(self) -> bool:
        """Whether nothing at all may start."""
        return not self.has_room(ORGANISATION)

    def has_room(self, slot: Slot) -> bool:
        """Whether one more run fits."""
        limit = self.limits.of(slot)
        return limit is None or self.used[slot] < limit

    def purses_of(self, run: Candidate) -> list[Purse]:
        """Every budget above a run, the nearest first."""
        owners: list[OwnerKey] = [(run.team, run.user, None), (run.team, None, None), (None, None, None)]
        if run.origin is not None:
            owners.insert(0, (run.team, None, run.origin))
        return [self.purses[purse_id] for owner in owners for purse_id in self._by_owner.get(owner, ())]

    def writer_of(self, run: Candidate) -> str | None:
        """The active run that writes to a run's repository, as its team may call it; names on the Hub differ in more
        than their letters' case."""
        writer = None if run.output_repo is None else self._writers.get(run.output_repo.lower())
        return None if writer is None else named(self.actives[writer], run.team)

    def share(self, team: str) -> float:
        """What orders the teams: dollars used, by weight. The lowest goes first."""
        return share(self.usage.get(team, 0.0), self.weights.get(team, 1.0))

    def lasts(self, flavor: str, timeout_seconds: int) -> timedelta:
        """How long a job holds its slot at the most: until it is scheduled (the flavor's p90, the one assumption), its
        timeout, and the moment that a kill takes."""
        grace = timedelta(minutes=GRACE_MINUTES)
        return self.scheduling.get(flavor, UNSEEN_SCHEDULING) + timedelta(seconds=timeout_seconds) + grace

    def admit(self, run: Candidate, timeout_seconds: int, reserve: int, purses: Iterable[str]) -> None:
        """A run starts: it takes its slots and holds its ceiling, which counts at once."""
        active = Active(
            id=run.id,
            team=run.team,
            user=run.user,
            flavor=run.flavor,
            namespace=run.namespace,
            until=self.now + self.lasts(run.flavor, timeout_seconds),
            reserved=reserve,
            purses=tuple(purses),
            rank=run.rank,
            output_repo=run.output_repo,
            origin=run.origin,
        )
        self.actives[run.id] = active
        self._take(active)
        self.usage[run.team] = self.usage.get(run.team, 0.0) + reserve
        for purse_id in active.purses:
            self._change(purse_id, reserved=reserve)

    def end(self, run_id: str, charge: int) -> None:
        """An active run has ended and cost this much; its team's usage now counts that instead of the ceiling."""
        active = self.actives.pop(run_id)
        counted = active.reserved if active.counted is None else active.counted
        self.usage[active.team] = max(0.0, self.usage.get(active.team, 0.0) - counted + charge)
        for slot in slots_of(active):
            self.used[slot] -= 1
        if active.output_repo is not None:
            self._writers.pop(active.output_repo.lower(), None)
        for purse_id in active.purses:
            if purse_id in self.purses:
                self._change(purse_id, reserved=-active.reserved, charged=charge)

    def turn_windows(self) -> None:
        """Windows that have ended by now begin anew, with their next limit."""
        for purse in list(self.purses.values()):
            if purse.ends_at <= self.now and purse.next_limit is not None:
                _, ends_at = following(purse.period, purse.ends_at, self.now, purse.zone)
                fresh = replace(purse, id=f"{purse.id}+", balance=Balance(purse.next_limit, 0, 0), ends_at=ends_at)
                del self.purses[purse.id]
                self.purses[fresh.id] = fresh
                owner = purse.team, purse.user, purse.origin
                ids = self._by_owner[owner]
                self._by_owner[owner] = tuple(fresh.id if one == purse.id else one for one in ids)

    def _take(self, active: Active) -> None:
        for slot in slots_of(active):
            self.used[slot] += 1
        if active.output_repo is not None:
            self._writers[active.output_repo.lower()] = active.id

    def _change(self, purse_id: str, *, reserved: int = 0, charged: int = 0) -> None:
        purse = self.purses[purse_id]
        balance = replace(
            purse.balance, reserved=purse.balance.reserved + reserved, charged=purse.balance.charged + charged
        )
        self.purses[purse_id] = replace(purse, balance=balance)
