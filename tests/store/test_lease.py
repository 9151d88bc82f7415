"""One holder at a time; a new holder gets a new fence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from service.store import lease
from service.store.db import Database
from service.store.lease import LeadLost
from service.store.tables import Lease
from tests.conftest import Clock

TTL = timedelta(seconds=12)


def run_out(db: Database) -> None:
    """The holder has not renewed for long."""

    def work(session: Session) -> None:
        row = session.get(Lease, "steps")
        assert row is not None
        row.expires_at = datetime(2026, 1, 1, tzinfo=UTC)
        session.add(row)

    db.write(work)


def test_a_lease_is_renewed_by_its_holder_and_taken_over_when_it_has_run_out(db: Database, clock: Clock) -> None:
    def hold(holder: str) -> int | None:
        return db.write(lambda session: lease.hold(session, "steps", holder, clock.now, TTL))

    assert hold("a") == 1
    assert hold("b") is None
    assert hold("a") == 1
    run_out(db)
    assert hold("b") == 2
    assert hold("a") is None


@pytest.mark.parametrize(
    ("fence", "is_over"), [(1, False), (2, False), (None, False), (1, True)], ids=["ours", "other", "none", "run out"]
)
def test_what_is_written_depends_on_the_lease(db: Database, clock: Clock, fence: int | None, is_over: bool) -> None:
    now = datetime.now(UTC)
    db.write(lambda session: lease.hold(session, "steps", "a", now, TTL))
    if is_over:
        run_out(db)
    if (fence, is_over) == (1, False):
        db.write(lambda session: lease.verify(session, "steps", fence, now))
    else:
        with pytest.raises(LeadLost):
            db.write(lambda session: lease.verify(session, "steps", fence, now))


def test_what_is_given_up_is_free_at_once(db: Database, clock: Clock) -> None:
    db.write(lambda session: lease.hold(session, "steps", "a", clock.now, TTL))
    db.write(lambda session: lease.give_up(session, "steps", "b", clock.now))
    assert db.write(lambda session: lease.hold(session, "steps", "b", clock.now, TTL)) is None
    db.write(lambda session: lease.give_up(session, "steps", "a", clock.now))
    assert db.write(lambda session: lease.hold(session, "steps", "b", clock.now, TTL)) == 2
