"""The ledger conserves money, and the windows' sums are the sums of their entries."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session, select

from service.domain.budget import Period
from service.store import budgets, ledger, windows
from service.store.budgets import Owner
from service.store.db import Database
from service.store.ids import new_id
from service.store.run_money import money_of
from service.store.tables import Attempt, BudgetWindow, Event, LedgerEntry, Team
from tests.conftest import Clock, Templates, opened
from tests.factories import make_run, make_team


def admit(session: Session, clock: Clock, price: int, ceiling_minutes: int) -> Attempt:
    """An attempt with its reservation, as admission makes it."""
    budget = budgets.find(session, Owner("research"), Period.MONTH)
    assert budget is not None
    attempt = Attempt(
        run_id=make_run(session, clock.turn(milliseconds=1)).id,
        attempt=1,
        submission=new_id("sub", clock.now),
        flavor="cpu-basic",
        timeout_seconds=600,
        price_per_minute_micro_usd=price,
        ceiling_micro_usd=price * ceiling_minutes,
        admitted_at=clock.now,
    )
    session.add(attempt)
    session.flush()
    ledger.reserve(session, attempt, [windows.ensure(session, budget, clock.now).id], clock.now)
    return attempt


def window(session: Session) -> BudgetWindow:
    return session.exec(select(BudgetWindow)).one()


def kinds(session: Session, attempt: Attempt) -> dict[str, int]:
    entries = ledger.of_run(session, attempt.run_id)
    return {entry.kind: entry.amount_micro_usd for entry in entries}


@pytest.fixture
def team(db: Database, clock: Clock) -> None:
    db.write(lambda session: make_team(session, clock.now, budget_micro_usd=10_000_000))


@pytest.mark.usefixtures("team")
def test_what_was_not_used_comes_back(db: Database, clock: Clock) -> None:
    def work(session: Session) -> tuple[dict[str, int], int, int]:
        attempt = admit(session, clock, 25_000, 121)
        assert window(session).reserved_micro_usd == 3_025_000
        ledger.settle(session, attempt, 2, clock.now)
        after = window(session)
        session.refresh(after)
        return kinds(session, attempt), after.reserved_micro_usd, after.charged_micro_usd

    entries, reserved, charged = db.write(work)
    assert entries == {"reserve": 3_025_000, "charge": 50_000, "release": 2_975_000}
    assert (reserved, charged) == (0, 50_000)


@pytest.mark.usefixtures("team")
def test_an_overrun_is_an_entry_of_its_own_never_clamped(db: Database, clock: Clock) -> None:
    def work(session: Session) -> tuple[dict[str, int], int]:
        attempt = admit(session, clock, 1_000, 11)
        ledger.settle(session, attempt, 13, clock.now)
        session.refresh(window(session))
        return kinds(session, attempt), window(session).charged_micro_usd

    entries, charged = db.write(work)
    assert entries == {"reserve": 11_000, "charge": 13_000, "overrun": 2_000}
    assert charged == 13_000
    with db.read() as session:
        [event] = session.exec(select(Event).where(Event.type == "budget.overrun")).all()
    assert event.team == "research"
    assert (event.data["overrun_usd"], event.data["charged_usd"], event.data["attempt"]) == (0.002, 0.013, 1)


@pytest.mark.usefixtures("team")
def test_a_reservation_is_closed_once(db: Database, clock: Clock) -> None:
    attempt = db.write(lambda session: admit(session, clock, 1_000, 11))
    db.write(lambda session: ledger.release(session, attempt, clock.now))
    with pytest.raises(IntegrityError):
        db.write(lambda session: ledger.release(session, attempt, clock.now))


@pytest.mark.usefixtures("team")
def test_an_old_reservation_that_comes_back_takes_no_other_usage_with_it(db: Database, clock: Clock) -> None:
    """A week later it counts for half, and so does all else that the team used before."""

    def use(session: Session) -> Attempt:
        team = session.get_one(Team, "research")
        team.usage_micro_usd, team.usage_at = 50_000.0, clock.now
        session.add(team)
        return admit(session, clock, 1_000, 100)

    attempt = db.write(use)
    clock.turn(days=7)
    db.write(lambda session: ledger.release(session, attempt, clock.now))
    with db.read() as session:
        assert session.get_one(Team, "research").usage_micro_usd == pytest.approx(25_000, rel=1e-6)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(1, 500), st.one_of(st.none(), st.integers(0, 700))), max_size=12
    )
)
def test_conservation(templates: Templates, tmp_path: Path, steps: list[tuple[int, int, int | None]]) -> None:
    """Whatever is reserved, charged and given back: the sums hold. None leaves a reservation open."""
    clock = Clock()
    with opened(templates.copy("migrated", Path(tempfile.mkdtemp(dir=tmp_path)))) as database:
        database.write(lambda session: make_team(session, clock.now, budget_micro_usd=1))
        attempts = [
            database.write(lambda session, s=step: _one(session, clock, *s))  # type: ignore[misc]
            for step in steps
        ]
        with database.read() as session:
            entries = list(session.exec(select(LedgerEntry)))
            assert len({(entry.submission, entry.kind) for entry in entries}) == len(entries)
            for attempt, (price, ceiling_minutes, used) in zip(attempts, steps, strict=True):
                mine = [entry for entry in entries if entry.submission == attempt.submission]
                money = money_of(mine)
                assert money.reserved == (price * ceiling_minutes if used is None else 0)
                assert money.charged == (price * used if used else None)
            if steps:
                total = money_of(entries)
                assert window(session).reserved_micro_usd == total.reserved
                assert window(session).charged_micro_usd == (total.charged or 0)


def _one(session: Session, clock: Clock, price: int, ceiling_minutes: int, used: int | None) -> Attempt:
    attempt = admit(session, clock, price, ceiling_minutes)
    if used == 0:
        ledger.release(session, attempt, clock.now)
    elif used is not None:
        ledger.settle(session, attempt, used, clock.now)
    return attempt


@pytest.mark.parametrize("statement", ["UPDATE ledger_entry SET amount_micro_usd = 0", "DELETE FROM ledger_entry"])
def test_the_database_refuses_to_change_an_entry(db: Database, clock: Clock, statement: str) -> None:
    def spend(session: Session) -> None:
        make_team(session, clock.now, budget_micro_usd=1_000_000)
        admit(session, clock, 167, 11)

    db.write(spend)
    with pytest.raises(DBAPIError, match="append-only"):
        db.write(lambda session: session.execute(text(statement)))
