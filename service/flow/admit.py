"""admit: queued runs whose gates are open get their money reserved; the others are told why they wait.

One transaction reads the board, decides by the pure rules of `domain.plan`, and writes what came of it. It holds the
organisation's row, so no two admissions can both count the same slot or dollar as free, whoever runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import func
from sqlmodel import Session, col

from service.domain.admission import Admit, Reject, Wait, price_change
from service.domain.board import Board, Candidate, LaneKey
from service.domain.diagnosis import Failure, Retry
from service.domain.money import dollars
from service.domain.place import Place
from service.domain.plan import plan
from service.domain.run import Reason, RunState
from service.flow.gate import Gate
from service.flow.job_token import job_token_trouble
from service.store import alerts, board, heads, holds, ledger, organisation, runs, windows
from service.store.heads import Waiting
from service.store.ids import new_id
from service.store.tables import Attempt, Run

log = structlog.get_logger()
HOLD, WAIT = "hold", "wait"


@dataclass(frozen=True)
class Pass:
    """What one pass is given. `troubles`: why a place takes no jobs just now."""

    most_active: int
    troubles: Mapping[Place, str | None]
    now: datetime


@dataclass(frozen=True)
class Decided:
    """Of a run: `admit`, `reject`, `hold`, or `wait` where it is told a reason that it was not told before."""

    run_id: str
    outcome: str
    reason: str

    @property
    def has_moved(self) -> bool:
        """Whether it does not merely wait on."""
        return self.outcome != WAIT


def run_once(gate: Gate) -> int:
    """One pass over the heads of every team's queue; how many runs were admitted or refused."""
    now = gate.clock()
    with gate.db.read() as session:
        places = heads.queued_places(session)
        is_idle = not (places or runs.are_any_due(session, now) or windows.are_any_lacking(session, now))
    if is_idle:
        return 0  # most wakes find nothing, and need not take the writer for that
    troubles = {place: job_token_trouble(gate, place) for place in places}
    work = partial(admit, given=Pass(gate.limits.max_concurrent_runs, troubles, gate.clock()))
    decided = gate.write(work)
    for one in decided:
        gate.ears.decided(one.outcome, one.reason)
    moved = [one for one in decided if one.has_moved]
    for one in moved:
        log.info("run_decided", run_id=one.run_id, outcome=one.outcome)
    return len(moved)


def admit(session: Session, given: Pass) -> list[Decided]:
    """Decide and carry out, all in this transaction: each run that there is news of."""
    if organisation.lock(session).paused_at is not None:
        return []
    runs.wake_due(session, given.now)
    windows.ensure_all(session, given.now)
    queues = Queues(session, given)
    first = queues.first_of_each()
    decided = []
    free: set[str] = set()
    if first:
        stand = board.read(session, given.most_active, given.now)
        spent: set[str] = set()
        for candidate, decision in plan(first, stand, queues):
            one = queues.waiting[candidate.id]
            if isinstance(decision, Wait):
                queues.told += _news(one, decision.reason, decision.message, decision.parked)
                spent.update(_spent(decision, stand))
                continue
            if (outcome := _move(session, one, decision, given.now)) is not None:
                decided.append(Decided(candidate.id, outcome, _reason(decision, outcome)))
            if isinstance(decision, Admit) and outcome != "admit" and candidate.output_repo is not None:
                # on the board it was being written to, and others may be parked for that
                free.add(candidate.output_repo.lower())
        alerts.exhaust_all(session, spent, given.now)
    runs.explain_queued(session, queues.told)
    if free:
        runs.unpark(session, "output", func.lower(col(Run.output_repo)).in_(free))
    return decided + [Decided(one.run_id, WAIT, one.reason.value) for one in queues.told]


@dataclass
class Queues:
    """The runs that a pass looks at, by id, and what they are to be told. First the first of each lane; behind it,
    what `plan` asks for."""

    session: Session
    given: Pass
    waiting: dict[str, Waiting] = field(default_factory=dict)
    told: list[runs.Told] = field(default_factory=list)
    _shortest: Mapping[LaneKey, Candidate] | None = None

    def first_of_each(self) -> dict[str, list[Candidate]]:
        """The first of each lane, by team."""
        found = {team: self._let_in(queue) for team, queue in heads.heads(self.session, 1).items()}
        return {team: queue for team, queue in found.items() if queue}

    def shortest(self, lane: LaneKey) -> Candidate | None:
        """The shortest run of a lane."""
        if self._shortest is None:
            self._shortest = heads.shortest(self.session)
        return self._shortest.get(lane)

    def few(self, lane: LaneKey) -> list[Candidate]:
        """The first few of a lane, and its shortest."""
        return self._let_in(heads.of_lane(self.session, lane))

    def _let_in(self, queue: Sequence[Waiting]) -> list[Candidate]:
        """Those whose place takes jobs; the others are told why not."""
        let_in = []
        for one in queue:
            if (trouble := self.given.troubles.get(one.place)) is not None:
                self.told += _news(one, Reason.BACKING_OFF, trouble)
            elif one.candidate.id not in self.waiting:
                self.waiting[one.candidate.id] = one
                let_in.append(one.candidate)
        return let_in


def _reason(decision: Admit | Reject, outcome: str) -> str:
    if isinstance(decision, Reject):
        return decision.reason.value
    return Reason.AWAITING_APPROVAL.value if outcome == HOLD else ""


def _news(one: Waiting, reason: Reason, message: str, parked: str | None = None) -> list[runs.Told]:
    """What to write where a run waits: nothing if it was told so before, which is how most passes find most runs."""
    if (one.reason, one.message) == (reason, message) and parked is None:
        return []
    return [runs.Told(one.candidate.id, one.attempt, reason, message, parked)]


def _spent(wait: Wait, stand: Board) -> list[str]:
    """The windows in which not even every reservation given back would do."""
    purses = [stand.purses[window_id] for window_id in wait.lacks_money]
    return [purse.id for purse in purses if wait.need > purse.balance.limit - purse.balance.spent]


def _move(session: Session, one: Waiting, decision: Admit | Reject, now: datetime) -> str | None:
    """Carry out what was decided of a run, and say how; None where it is no longer what was decided on."""
    run = runs.claim(session, one.candidate.id)
    if run is None or not run.is_ready or heads.candidate(session, run) != one.candidate:
        return None  # cancelled, paused or changed meanwhile, or just now: the next pass sees it as it is
    if isinstance(decision, Reject):
        _reject(session, run, decision, now)
        return "reject"
    if _needs_approval_now(session, run, decision, now):
        return HOLD
    _admit(session, run, decision, price_change(one.candidate, decision.price_per_minute), now)
    return "admit"


def _needs_approval_now(session: Session, run: Run, decision: Admit, now: datetime) -> bool:
    """Whether a run has become dearer while it waited, so that its team's rules hold it (again). What it counted for on
    the board is free again in the next pass."""
    before = run.ceiling_micro_usd
    if before is None or decision.reserve <= before:
        return False
    run.ceiling_micro_usd = decision.reserve
    holds.hold_for_approval(session, run, now)
    if run.approval is None:
        return False
    holds.say(session, run)
    runs.tell(session, run, "run.awaiting_approval", now)
    return True


def _reject(session: Session, run: Run, decision: Reject, now: datetime) -> None:
    remedy = "Raise max_cost_usd or choose another flavor."
    failure = Failure(decision.reason, decision.message, None, remedy, Retry.CHANGED)
    runs.advance(
        session,
        run,
        RunState.FAILED,
        now=now,
        reason=decision.reason,
        message=decision.message,
        failure=failure.as_json(),
    )


def _admit(session: Session, run: Run, decision: Admit, news: str | None, now: datetime) -> None:
    attempt = _attempt(session, run, decision, now)
    attempt.change = news
    ledger.reserve(session, attempt, decision.purses, now)
    runs.advance(
        session,
        run,
        RunState.SUBMITTING,
        now=now,
        message=f"admitted with {dollars(decision.reserve)} reserved" + ("" if news is None else f"; {news}"),
        attempt=attempt.attempt,
        admitted_at=run.admitted_at or now,
        timeout_seconds=decision.timeout_seconds,
        ceiling_micro_usd=decision.reserve,
    )


def _attempt(session: Session, run: Run, decision: Admit, now: datetime) -> Attempt:
    """The next attempt; one that never had a job is taken up again under a fresh submission."""
    previous = runs.current_attempt(session, run)
    again = previous is not None and previous.hub_job_id is None
    attempt = Attempt(
        run_id=run.id,
        attempt=run.attempt if again else run.attempt + 1,
        submission=new_id("sub", now),
        flavor=run.flavor,
        timeout_seconds=decision.timeout_seconds,
        price_per_minute_micro_usd=decision.price_per_minute,
        ceiling_micro_usd=decision.reserve,
        admitted_at=now,
    )
    if again:
        session.delete(previous)
        session.flush()
    session.add(attempt)
    session.flush()
    return attempt
