"""What is kept for a time goes, and what is kept for ever stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from service.domain.access import Role
from service.flow import retain
from service.store import idempotency, metrics, sign_ins
from service.store.sign_ins import Who
from service.store.tables import (
    Attempt,
    AuditEntry,
    Event,
    IdempotencyKey,
    LedgerEntry,
    LogChunk,
    MetricPoint,
    Run,
    SignIn,
)
from tests.flow.conftest import World, world

__all__ = ["world"]

FOR_EVER = (Run, Attempt, LedgerEntry, Event, AuditEntry)
FOR_A_TIME = (LogChunk, MetricPoint, IdempotencyKey, SignIn)


def count(world: World, tables: tuple[Any, ...]) -> dict[str, int]:
    with world.db.read() as session:
        return {table.__tablename__: len(session.exec(select(table)).all()) for table in tables}


def ended(world: World) -> str:
    """A run that has left a line and a number, under a key, by somebody who is signed in."""
    run_id = world.enqueue(seconds=60, log="{'loss': 2.5, 'epoch': 0.1}")
    world.until_end(run_id, seconds=60)

    def work(session: Session) -> None:
        attempt = session.get_one(Attempt, (run_id, 1))
        metrics.add_machine(session, attempt, {"gpu": 1.0}, world.clock.now)
        session.add(attempt)
        idempotency.claim(session, "research", run_id, "hmac", run_id, world.clock.now)
        who = Who("ana", "research", Role.MEMBER, "key")
        sign_ins.begin(session, who, world.clock.now, timedelta(hours=12))

    world.db.write(work)
    return run_id


def retain_after(world: World, days: float) -> None:
    """What is there after so many days; the clock is back where it was, in the month of the money."""
    world.clock.turn(days=days)
    while retain.run_once(world.gate):
        pass
    world.clock.turn(days=-days)


def test_what_is_old_goes_and_runs_money_and_events_stay(world: World) -> None:
    run_id = ended(world)
    before, told, entries = count(world, FOR_EVER), world.told(run_id), world.entries(run_id)
    assert all(count(world, FOR_A_TIME).values())
    retain_after(world, 100)
    assert count(world, FOR_A_TIME) == dict.fromkeys(count(world, FOR_A_TIME), 0)
    assert count(world, FOR_EVER) == before
    assert (world.told(run_id), world.entries(run_id)) == (told, entries)


@pytest.mark.parametrize(
    ("days", "left"), [(0.4, ("LogChunk", "MetricPoint", "IdempotencyKey", "SignIn")), (29, ("LogChunk", "MetricPoint",
     "IdempotencyKey")), (31, ("LogChunk", "MetricPoint")), (91, ())]
)  # fmt: skip
def test_each_is_kept_for_its_own_time(world: World, days: float, left: tuple[str, ...]) -> None:
    ended(world)
    retain_after(world, days)
    assert tuple(table.__name__ for table in FOR_A_TIME if count(world, (table,))[str(table.__tablename__)]) == left


def test_a_pass_takes_a_bounded_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "AT_ONCE", 2)
    world.db.write(
        lambda session: [
            idempotency.claim(session, "research", f"key {number}", "hmac", "run_1", world.clock.now)
            for number in range(5)
        ]
    )
    world.clock.turn(days=31)
    assert [retain.run_once(world.gate) for _ in range(4)] == [2, 2, 1, 0]
    with world.db.read() as session:
        assert session.exec(select(IdempotencyKey).where(col(IdempotencyKey.team) == "research")).all() == []
