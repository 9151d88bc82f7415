"""However it is grouped, what was spent adds up to the ledger, and what is held to the windows."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session, col, select, update

from service.domain.budget import Period
from service.domain.run import Reason, RunState
from service.domain.usage import DIMENSIONS, Spending, grouped, total, waste
from service.store import billing, budgets, gauges, ledger, usage, windows
from service.store.budgets import Owner
from service.store.db import Database
from service.store.ids import new_id
from service.store.ledger import StrayJob
from service.store.tables import Attempt, BudgetWindow, Event, LedgerEntry, ReservationWindow, Run
from tests.conftest import Clock
from tests.factories import make_run, make_team

TEAMS = ("research", "search", "support")
FLAVORS = {"cpu-basic": 167, "a10g-large": 25_000, "t4-small": 6_667}
ENDS: tuple[tuple[RunState, Reason | None], ...] = (
    (RunState.SUCCEEDED, None),
    (RunState.FAILED, Reason.CUDA_OOM),
    (RunState.FAILED, Reason.JOB_TIMEOUT),
    (RunState.FAILED, Reason.PUSH_FAILED),
    (RunState.CANCELLED, None),
)


def attempt_of(session: Session, run: Run, number: int, clock: Clock, dice: random.Random) -> Attempt:
    flavor, price = dice.choice(sorted(FLAVORS.items()))
    budget = budgets.find(session, Owner(run.team), Period.MONTH)
    assert budget is not None
    attempt = Attempt(
        run_id=run.id,
        attempt=number,
        submission=new_id("sub", clock.now),
        flavor=flavor,
        timeout_seconds=600,
        price_per_minute_micro_usd=price,
        ceiling_micro_usd=price * 11,
        admitted_at=clock.now,
        hub_job_id=f"job{run.id[-8:]}{number}",
    )
    session.add(attempt)
    session.flush()
    ledger.reserve(session, attempt, [windows.ensure(session, budget, clock.now).id], clock.now)
    return attempt


def one_run(session: Session, clock: Clock, dice: random.Random, strays: float) -> None:
    """A run of one to three attempts on some team, the last of them perhaps still going, some with a stray."""
    labels = {"project": dice.choice("abc")} if dice.random() < 0.7 else {}
    fields = {"team": dice.choice(TEAMS), "requested_by": f"key_{dice.randrange(3)}", "labels": labels}
    run = make_run(session, clock.turn(minutes=dice.randrange(1, 600)), **fields)
    attempts = dice.randrange(1, 4)
    for number in range(1, attempts + 1):
        attempt = attempt_of(session, run, number, clock, dice)
        state, cause = dice.choice(ENDS) if number == attempts else (RunState.QUEUED, Reason.INFRASTRUCTURE)
        if number == attempts and dice.random() < 0.2:
            state = RunState.RUNNING
        else:
            clock.turn(minutes=dice.randrange(1, 90))
            attempt.minutes = dice.randrange(1, 14)
            attempt.cost_micro_usd = ledger.settle(session, attempt, attempt.minutes, clock.now)
            attempt.cause = cause
        session.add(attempt)
        ended = clock.now if state.is_terminal else None
        if dice.random() < strays:  # a second job under this attempt, found later
            stray = StrayJob(run.id, number, f"stray/{attempt.hub_job_id}", attempt.price_per_minute_micro_usd)
            linked = select(ReservationWindow.window_id).where(ReservationWindow.submission == attempt.submission)
            ledger.charge_stray(session, stray, dice.randrange(1, 5), list(session.exec(linked)), clock.now)
        values = {"state": state.value, "attempt": number, "finished_at": ended}
        session.exec(update(Run).where(col(Run.id) == run.id).values(**values))


def fill(db: Database, clock: Clock, dice: random.Random, runs: int, strays: float = 0) -> None:
    for name in TEAMS:
        db.write(lambda session, name=name: make_team(session, clock.now, name, 10**9))  # type: ignore[misc]
    for _ in range(runs):
        db.write(lambda session: one_run(session, clock, dice, strays))


def everything(db: Database, clock: Clock) -> list[Spending]:
    with db.read() as session:
        since, until = clock.now - timedelta(days=365), clock.now + timedelta(seconds=1)
        return [*usage.charges(session, since, until, None), *usage.held(session, None, clock.now)]


@pytest.mark.parametrize("seed", range(4))
def test_the_sums_of_all_groups_are_the_ledgers(db: Database, clock: Clock, seed: int) -> None:
    fill(db, clock, random.Random(seed), 25, strays=0.2)
    spendings = everything(db, clock)
    with db.read() as session:
        entries = list(session.exec(select(LedgerEntry)))
        windows = list(session.exec(select(BudgetWindow)))
    charges = [entry for entry in entries if entry.kind in ("charge", "stray")]
    assert {entry.kind for entry in charges} == {"charge", "stray"}
    charged = sum(entry.amount_micro_usd for entry in charges)
    reserved = sum(window.reserved_micro_usd for window in windows)
    everyone = total(spendings)
    assert (everyone.metered, everyone.held) == (charged, reserved)
    assert sum(window.charged_micro_usd for window in windows) == charged
    assert everyone.minutes == sum(entry.minutes for entry in charges)
    every = (*DIMENSIONS, "label:project")
    for by in (dimensions for size in range(len(every) + 1) for dimensions in combinations(every, size)):
        groups = grouped(spendings, by, ZoneInfo("Asia/Kolkata"))
        assert sum(added.metered for _, added in groups) == charged, by
        assert sum(added.held for _, added in groups) == reserved, by
        assert sum(added.attempts for _, added in groups) == everyone.attempts, by
    found = waste(spendings)
    assert sum(added.metered for _, added in found.outcomes) == found.spent == charged


def test_periods_that_meet_add_up_and_teams_see_their_own(db: Database, clock: Clock) -> None:
    start = clock.now
    fill(db, clock, random.Random(9), 25)
    whole = total(spending for spending in everything(db, clock) if spending.metered is not None)
    with db.read() as session:
        cuts = [start, start + timedelta(days=1), start + timedelta(days=2), start + timedelta(days=365)]
        parts = [usage.charges(session, *pair, None) for pair in pairwise(cuts)]
        own = [usage.charges(session, cuts[0], cuts[-1], name) for name in TEAMS]
    assert all(parts[:2])
    assert sum(total(part).metered for part in parts) == whole.metered
    assert sum(total(part).metered for part in own) == whole.metered
    assert {spending.team for spending in own[0]} == {TEAMS[0]}


def test_bills_stand_beside_charges_and_a_drift_is_told_once(db: Database, clock: Clock) -> None:
    fill(db, clock, random.Random(3), 15)
    with db.read() as session:
        attempts = list(session.exec(select(Attempt)))
    settled = [attempt for attempt in attempts if attempt.cost_micro_usd is not None]
    bills = {str(attempt.hub_job_id): attempt.cost_micro_usd or 0 for attempt in attempts}
    bills |= {str(settled[0].hub_job_id): (settled[0].cost_micro_usd or 0) + 5, "elsewhere": 7}

    first = db.write(lambda session: billing.record(session, bills, "hub", clock.now))
    assert (first.matched, first.changed, first.unknown) == (len(settled), len(settled), 1)
    assert first.unsettled == len(attempts) - len(settled) > 0
    assert first.drifted == [settled[0].hub_job_id]
    again = db.write(lambda session: billing.record(session, bills, "import", clock.turn(hours=1)))
    assert (again.matched, again.changed, again.drifted) == (len(settled), 0, [])

    added = total(everything(db, clock))
    assert (added.unbilled, added.drift) == (0, 5)
    with db.read() as session:
        told = session.exec(select(Event).where(Event.type == "billing.drift")).all()
        totals = gauges.billed_totals(session)
        counts = gauges.open_runs(session, clock.now).by_team
    assert [(event.subject, event.sequence, event.data["drift_usd"]) for event in told] == [
        (settled[0].hub_job_id, 1, 0.000005)
    ]
    assert (totals.metered, totals.billed, totals.drift, totals.unbilled, totals.drifted) == (
        added.metered,
        added.metered + 5,
        5,
        0,
        1,
    )
    assert sum(active for _, active in counts.values()) == len(attempts) - len(settled)
    corrected = {str(settled[0].hub_job_id): 1, str(settled[1].hub_job_id): (settled[1].cost_micro_usd or 0) - 1}
    db.write(lambda session: billing.record(session, corrected, "import", clock.now))
    added = total(everything(db, clock))
    with db.read() as session:
        assert gauges.billed_totals(session) == gauges.BilledTotals(added.metered, added.billed, added.drift, 0, 2)


def test_a_bill_for_what_never_started_is_a_drift(db: Database, clock: Clock) -> None:
    def work(session: Session) -> Attempt:
        run = make_run(session, clock.now)
        attempt = attempt_of(session, run, 1, clock, random.Random(1))
        attempt.minutes = attempt.cost_micro_usd = 0
        ledger.release(session, attempt, clock.now)
        run.state, run.attempt, run.finished_at = "cancelled", 1, clock.now
        session.add(run)
        return attempt

    db.write(lambda session: make_team(session, clock.now, "research", 10**9))
    attempt = db.write(work)
    assert everything(db, clock) == [], "what never started is no spending"
    db.write(lambda session: billing.record(session, {str(attempt.hub_job_id): 9}, "hub", clock.now))
    [spending] = everything(db, clock)
    added = total([spending])
    assert (spending.outcome, added.metered, added.billed, added.drift) == ("cancelled", 0, 9, 9)


def test_a_charge_without_its_attempt_is_stray(db: Database, clock: Clock) -> None:
    def work(session: Session) -> None:
        attempt = attempt_of(session, make_run(session, clock.now), 1, clock, random.Random(1))
        attempt.minutes, attempt.cost_micro_usd = 2, ledger.settle(session, attempt, 2, clock.now)
        session.delete(attempt)

    db.write(lambda session: make_team(session, clock.now, "research", 10**9))
    db.write(work)
    [spending] = everything(db, clock)
    assert (spending.outcome, spending.flavor, spending.minutes) == ("stray", "cpu-basic", 2)


def test_where_no_bill_is_known_there_is_none(db: Database, clock: Clock) -> None:
    with db.read() as session:
        assert gauges.billed_totals(session) == gauges.BilledTotals(0, None, None, 0, 0)
    fill(db, clock, random.Random(5), 4)
    with db.read() as session:
        totals = gauges.billed_totals(session)
    assert (totals.billed, totals.drift) == (None, None)
    assert totals.unbilled == total(everything(db, clock)).attempts > 0
