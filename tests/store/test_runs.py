"""Runs: the one writer of state, its events, and pages."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select, update

from service.domain.run import Reason, RunState
from service.store import events, run_list, runs
from service.store.db import Database
from service.store.run_list import RunFilter
from service.store.tables import Event, Run
from tests.conftest import Clock
from tests.factories import make_run, make_team


@pytest.fixture
def run(db: Database, clock: Clock) -> Run:
    def make(session: Session) -> Run:
        make_team(session, clock.now)
        return make_run(session, clock.now, labels={"project": "a.b", "x": "1"})

    return db.write(make)


def test_a_run_that_is_locked_is_as_it_stands_then_though_it_was_read_before(db: Database, clock: Clock) -> None:
    """What another process committed between the read and the lock is seen, not overwritten."""

    def work(session: Session) -> str | None:
        run = make_run(session, clock.now)
        session.connection().execute(text("UPDATE run SET message = 'changed by another'"))
        assert run.message != "changed by another"
        locked = runs.lock(session, run.id)
        assert locked is run
        return locked.message

    db.write(lambda session: make_team(session, clock.now) is not None)
    assert db.write(work) == "changed by another"


def test_each_told_move_is_one_event_and_sequences_have_no_gap(db: Database, clock: Clock, run: Run) -> None:
    def walk(session: Session) -> None:
        mine = runs.lock(session, run.id)
        assert mine is not None
        for state in (RunState.SUBMITTING, RunState.QUEUED, RunState.SUBMITTING, RunState.STARTING, RunState.RUNNING):
            assert runs.advance(session, mine, state, now=clock.now)
        assert runs.advance(session, mine, RunState.FAILED, now=clock.now, reason=Reason.UNKNOWN, message="m")

    db.write(walk)
    with db.read() as session:
        told = events.of(session, run.id, 0, 100)
    assert [(event.sequence, event.type) for event in told] == [
        (1, "run.queued"),
        (2, "run.queued"),
        (3, "run.submitted"),
        (4, "run.started"),
        (5, "run.failed"),
    ]
    assert told[-1].data["reason"] == "unknown"
    assert told[-1].data["is_terminal"] is True


def test_an_end_wipes_secrets_and_stamps_its_time(db: Database, clock: Clock, run: Run) -> None:
    db.write(lambda session: session.exec(update(Run).values(sealed_secrets=b"sealed")) and None)

    def cancel(session: Session) -> Run:
        mine = runs.lock(session, run.id)
        assert mine is not None
        assert mine.sealed_secrets == b"sealed"
        runs.advance(session, mine, RunState.CANCELLED, now=clock.now)
        return mine

    ended = db.write(cancel)
    assert ended.sealed_secrets is None
    assert ended.finished_at == clock.now


def test_a_move_that_the_machine_does_not_have_is_refused(db: Database, clock: Clock, run: Run) -> None:
    with pytest.raises(ValueError, match="no move from queued to running"):
        db.write(lambda session: runs.advance(session, session.merge(run), RunState.RUNNING, now=clock.now))


def test_of_racing_movers_one_wins_and_one_event_tells(db: Database, clock: Clock, run: Run) -> None:
    wins: list[bool] = []

    def move() -> None:
        def work(session: Session) -> bool:
            stale = session.get(Run, run.id)
            assert stale is not None
            if stale.state != RunState.QUEUED:
                return False
            return runs.advance(session, stale, RunState.CANCELLED, now=clock.now)

        wins.append(db.write(work))

    threads = [threading.Thread(target=move) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == [False] * 7 + [True]
    with db.read() as session:
        assert len(events.of(session, run.id, 0, 100)) == 2


def test_a_stale_copy_moves_nothing(db: Database, clock: Clock, run: Run) -> None:
    def work(session: Session) -> bool:
        mine = runs.lock(session, run.id)
        assert mine is not None
        session.exec(update(Run).values(state="submitting").execution_options(synchronize_session=False))
        return runs.advance(session, mine, RunState.CANCELLED, now=clock.now)

    assert db.write(work) is False


def test_the_database_itself_refuses_an_unknown_state_and_an_end_without_time(db: Database, run: Run) -> None:
    for values in ({"state": "done"}, {"state": "failed"}, {"requested_timeout_seconds": None}):
        with pytest.raises(IntegrityError):
            db.write(lambda session, v=values: session.exec(update(Run).values(**v)) and None)  # type: ignore[misc]


def test_pages_are_newest_first_and_stable_under_inserts(db: Database, clock: Clock, run: Run) -> None:
    made = [run.id]
    for _ in range(5):
        clock.turn(seconds=1)
        made.append(db.write(lambda session: make_run(session, clock.now).id))
    with db.read() as session:
        first = [one.id for one in run_list.page(session, RunFilter(), None, 3)]
    clock.turn(seconds=1)
    db.write(lambda session: make_run(session, clock.now))
    with db.read() as session:
        second = [one.id for one in run_list.page(session, RunFilter(), first[-1], 3)]
    assert first + second == made[::-1]


def test_filters(db: Database, clock: Clock, run: Run) -> None:
    other = db.write(lambda session: make_run(session, clock.turn(minutes=1), priority=1))

    def found(narrowed: RunFilter) -> list[str]:
        with db.read() as session:
            return [one.id for one in run_list.page(session, narrowed, None, 10)]

    assert found(RunFilter(labels=(("project", "a.b"),))) == [run.id]
    assert found(RunFilter(labels=(("project", "a.b"), ("x", "2")))) == []
    assert found(RunFilter(states=["queued"], team="research")) == [other.id, run.id]
    assert found(RunFilter(states=["failed"])) == []
    assert found(RunFilter(team="nobody")) == []
    assert found(RunFilter(created_after=run.created_at)) == [other.id]
    assert found(RunFilter(created_before=run.created_at + timedelta(seconds=1))) == [run.id]


def test_positions_follow_what_was_committed_and_are_given_once(db: Database, clock: Clock, run: Run) -> None:
    db.write(lambda session: make_run(session, clock.now))
    stamped = db.write(events.stamp)
    assert [event.position for event in stamped] == [1, 2]
    assert db.write(events.stamp) == []
    db.write(lambda session: make_run(session, clock.now))
    assert [event.position for event in db.write(events.stamp)] == [3]
    with db.read() as session:
        assert sorted(session.exec(select(Event.position)).all(), key=lambda p: p or 0) == [1, 2, 3]
