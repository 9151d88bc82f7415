"""The writer: durable, grouped, and one work's fault is its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress

import pytest
from psycopg.errors import DeadlockDetected, SerializationFailure
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session, select

from service.domain.errors import Busy
from service.store import teams
from service.store.db import MAX_TRIES, Database
from service.store.tables import Team
from tests.conftest import Clock


def names(db: Database) -> set[str]:
    with db.read() as session:
        return set(session.exec(select(Team.name)))


def pages(db: Database) -> int:
    """The database file's size in pages, asked past the engine."""
    path = db.engine.url.database
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("PRAGMA page_count").fetchone()[0]
        return count


def hold_writer(db: Database) -> tuple[threading.Event, Future[None]]:
    """Keep the writer busy, so that what follows is committed as one group."""
    release = threading.Event()
    held = threading.Event()

    def wait(_session: Session) -> None:
        held.set()
        assert release.wait(10)

    future = db.submit(wait)
    assert held.wait(10)
    return release, future


def test_a_written_row_is_read_by_another_connection(db: Database, clock: Clock) -> None:
    db.write(lambda session: teams.insert(session, "a", clock.now))
    assert names(db) == {"a"}


def test_waiting_works_are_one_group_and_a_failing_one_takes_only_itself(db: Database, clock: Clock) -> None:
    release, held = hold_writer(db)

    def half_done(session: Session) -> None:
        teams.insert(session, "half", clock.now)
        session.flush()
        raise LookupError("after its first statement")

    before = db.submit(lambda session: teams.insert(session, "before", clock.now) is not None)
    failing = db.submit(half_done)
    twice = db.submit(lambda session: session.execute(text("INSERT INTO team (name) VALUES (NULL)")))
    behind = db.submit(lambda session: teams.insert(session, "behind", clock.now) is not None)
    release.set()
    held.result(10)

    assert before.result(10)
    assert behind.result(10)
    with pytest.raises(LookupError):
        failing.result(10)
    with pytest.raises(IntegrityError):
        twice.result(10)
    assert names(db) == {"before", "behind"}


def test_a_full_disk_loses_no_answered_write(db: Database, clock: Clock) -> None:
    """SQLITE_FULL rolls the whole transaction back, not the savepoint: the group is run again, one by one."""
    if not db.is_sqlite:
        pytest.skip("PostgreSQL's errors never end more than their savepoint")
    db.write(lambda session: teams.insert(session, "first", clock.now))
    # every connection from here on may use the pages that exist, and two more
    event.listen(
        db.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA max_page_count={pages(db) + 2}")
    )
    db.engine.dispose()
    release, held = hold_writer(db)

    def big(session: Session) -> None:
        teams.insert(session, "b" * 2_000_000, clock.now)
        session.flush()

    works = [db.submit(lambda session: teams.insert(session, "small-1", clock.now) is not None)]
    too_big = db.submit(big)
    works.append(db.submit(lambda session: teams.insert(session, "small-2", clock.now) is not None))
    release.set()
    held.result(10)
    with pytest.raises(DBAPIError, match="full"):
        too_big.result(10)
    answered = {name for name, work in zip(("small-1", "small-2"), works, strict=True) if _succeeded(work)}
    assert answered
    assert names(db) == {"first"} | answered


def test_a_work_that_loses_a_deadlock_is_run_again_and_both_are_written(
    db: Database, database_url: str, clock: Clock
) -> None:
    """Two replicas take two rows in opposite order; each group holds its first row before it asks for the second."""
    db.write(lambda session: [teams.insert(session, name, clock.now) for name in "ab"] and None)
    other = Database(database_url)
    met = threading.Barrier(2)

    def take(first: str, second: str) -> Callable[[Session], None]:
        def work(session: Session) -> None:
            for name in (first, second):
                session.connection().execute(
                    text("UPDATE team SET weight = weight + 1 WHERE name = :name"), {"name": name}
                )
                if name == first:
                    with suppress(threading.BrokenBarrierError):  # the second try comes alone
                        met.wait(0.5)

        return work

    works = [db.submit(take("a", "b")), other.submit(take("b", "a"))]
    for work in works:
        work.result(20)
    other.close()
    with db.read() as session:
        assert set(session.exec(select(Team.weight))) == {3.0}


@pytest.mark.parametrize("conflict", [DeadlockDetected, SerializationFailure])
def test_a_work_that_loses_again_and_again_says_so_and_holds_up_no_other(
    db: Database, clock: Clock, conflict: type[Exception]
) -> None:
    tries = []

    def loses(_session: Session) -> None:
        tries.append(1)
        raise DBAPIError("UPDATE", {}, conflict())

    release, held = hold_writer(db)
    before = db.submit(lambda session: teams.insert(session, "before", clock.now) is not None)
    losing = db.submit(loses)
    behind = db.submit(lambda session: teams.insert(session, "behind", clock.now) is not None)
    release.set()
    held.result(10)
    assert before.result(10)
    assert behind.result(10)
    with pytest.raises(Busy):
        losing.result(10)
    assert len(tries) == MAX_TRIES
    assert names(db) == {"before", "behind"}


def test_a_read_sees_one_state_though_others_write_meanwhile(db: Database, clock: Clock) -> None:
    db.write(lambda session: teams.insert(session, "a", clock.now))
    with db.read() as session:
        assert set(session.exec(select(Team.name))) == {"a"}
        db.write(lambda session: teams.insert(session, "b", clock.now))
        assert set(session.exec(select(Team.name))) == {"a"}
    assert names(db) == {"a", "b"}


def test_a_caller_that_goes_away_neither_writes_nor_stops_the_writer(db: Database, clock: Clock) -> None:
    release, held = hold_writer(db)
    gone = db.submit(lambda session: teams.insert(session, "gone", clock.now) is not None)
    assert gone.cancel()
    assert not held.cancel()
    release.set()
    held.result(10)
    db.write(lambda session: teams.insert(session, "after", clock.now))
    assert names(db) == {"after"}


def test_what_waits_is_written_before_the_database_closes(database_url: str, clock: Clock) -> None:
    database = Database(database_url)
    release, _ = hold_writer(database)
    future = database.submit(lambda session: teams.insert(session, "late", clock.now) is not None)
    closing = threading.Thread(target=database.close)
    closing.start()
    release.set()
    closing.join(10)
    assert future.result(0)
    with pytest.raises(RuntimeError, match="closed"):
        database.submit(lambda _session: None)


def test_many_writers_at_once_all_win(db: Database, clock: Clock) -> None:
    def insert_some(number: int) -> None:
        for index in range(20):
            db.write(lambda session, n=f"t{number}-{index}": teams.insert(session, n, clock.now))  # type: ignore[misc]

    threads = [threading.Thread(target=insert_some, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(db)) == 160


def _succeeded(work: Future[bool]) -> bool:
    try:
        return work.result(10)
    except DBAPIError:
        return False


def test_a_commit_that_fails_leaves_nothing_locked(db: Database, clock: Clock) -> None:
    def fail(_connection: object) -> None:
        event.remove(db.engine, "commit", fail)
        raise MemoryError

    event.listen(db.engine, "commit", fail)
    with pytest.raises(MemoryError):
        db.write(lambda session: teams.insert(session, "lost", clock.now))
    db.write(lambda session: teams.insert(session, "kept", clock.now))
    assert names(db) == {"kept"}
