"""One holder at a time; a new holder gets a new fence."""

from __future__ import annotations

from datetime import timedelta

from service.store import lease
from service.store.db import Database
from tests.conftest import Clock

TTL = timedelta(seconds=12)


def test_a_lease_is_renewed_by_its_holder_and_taken_over_when_it_has_run_out(db: Database, clock: Clock) -> None:
    def hold(holder: str) -> int | None:
        return db.write(lambda session: lease.hold(session, "steps", holder, clock.now, TTL))

    assert hold("a") == 1
    assert hold("b") is None
    clock.turn(seconds=11)
    assert hold("a") == 1
    clock.turn(seconds=11)
    assert hold("b") is None
    clock.turn(seconds=2)
    assert hold("b") == 2
    assert hold("a") is None


def test_what_is_given_up_is_free_at_once(db: Database, clock: Clock) -> None:
    db.write(lambda session: lease.hold(session, "steps", "a", clock.now, TTL))
    db.write(lambda session: lease.give_up(session, "steps", "b", clock.now))
    assert db.write(lambda session: lease.hold(session, "steps", "b", clock.now, TTL)) is None
    db.write(lambda session: lease.give_up(session, "steps", "a", clock.now))
    assert db.write(lambda session: lease.hold(session, "steps", "b", clock.now, TTL)) == 2
