"""What committed works tell: here at once, on PostgreSQL at other replicas too, and nothing that was not committed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from benchmarks.statements import recorded
from service.store import events, keys, teams, topics
from service.store.db import Database
from service.store.tables import Event
from service.store.topics import EVERYTHING, Topics
from tests.conftest import Clock
from tests.store.test_db import hold_writer

SECONDS = 10


class Ears:
    """What a process was told, group by group."""

    def __init__(self, db: Database) -> None:
        self._heard: SimpleQueue[Topics] = SimpleQueue()
        db.news.hear(self._heard.put)

    def next(self, seconds: float = SECONDS) -> Topics:
        return self._heard.get(timeout=seconds)

    def until(self, wanted: Topics) -> None:
        while not self.next() >= wanted:
            pass

    def hears_nothing(self, seconds: float = 0.3) -> bool:
        try:
            self.next(seconds)
        except Empty:
            return True
        return False


@pytest.fixture
def replica(db: Database, database_url: str) -> Iterator[Database]:
    """Another process on the same database; it listens."""
    if db.is_sqlite:
        pytest.skip("one process has a SQLite file")
    other = Database(database_url)
    ears = Ears(other)
    other.news.listen()
    ears.until(EVERYTHING)
    yield other
    other.close()


def tells(*told: str) -> Callable[[Session], None]:
    return lambda session: topics.tell(session, *told)


def happens(subject: str, sequence: int, clock: Clock) -> Callable[[Session], None]:
    return lambda session: events.append(session, subject, None, sequence, "run.queued", {}, clock.now)


def test_a_group_is_told_once_without_the_works_that_failed(db: Database, clock: Clock) -> None:
    ears = Ears(db)
    release, held = hold_writer(db)

    def fails(session: Session) -> None:
        topics.tell(session, "run_lost")
        raise LookupError

    works: list[Future[None]] = [db.submit(work) for work in (tells("run_a", "feed"), fails, tells("run_b"))]
    release.set()
    held.result(SECONDS)
    with pytest.raises(LookupError):
        works[1].result(SECONDS)
    assert ears.next() == {"run_a", "run_b", "feed"}
    db.write(lambda session: teams.insert(session, "quiet", clock.now))
    assert ears.hears_nothing()


def test_what_the_store_does_is_told_by_itself(db: Database, clock: Clock) -> None:
    ears = Ears(db)
    db.write(happens("run_a", 1, clock))
    assert ears.next() == {"run_a", "step/notify"}
    db.write(lambda session: events.stamp(session) and None)
    assert ears.next() == {"feed"}
    db.write(lambda session: events.stamp(session) and None)
    terms = keys.Terms("ci", "ci", keys.Role.VIEWER)
    key, _ = db.write(lambda session: keys.insert(session, None, terms, "admin", clock.now))
    db.write(lambda session: keys.revoke(session, session.merge(key), "admin", clock.now))
    assert ears.next() == {topics.entry(None)}, "nothing was told in between"


def test_another_replica_hears_of_each_group_once_and_the_own_words_do_not_come_back(
    db: Database, replica: Database, clock: Clock
) -> None:
    here, there = Ears(db), Ears(replica)
    with recorded(db.engine) as statements:
        db.write(happens("run_a", 1, clock))
    assert len([one for one in statements.sent if "pg_notify" in one.text]) == 1
    assert there.next() == here.next() == {"run_a", "step/notify"}
    replica.write(tells("run_b"))
    assert there.next() == {"run_b"}
    assert there.hears_nothing()
    assert here.hears_nothing(), "it does not listen"


def test_of_more_than_a_message_holds_everything_is_told(db: Database, replica: Database) -> None:
    there = Ears(replica)
    db.write(tells(*(f"run_{number:026}" for number in range(300))))
    assert there.next() == EVERYTHING


def test_a_listener_that_is_cut_off_comes_back_and_looks_at_everything(db: Database, replica: Database) -> None:
    there = Ears(replica)
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    with db.engine.connect() as connection:
        assert connection.execute(cut).all() == [(True,)]
    db.write(tells("run_meanwhile"))
    there.until(EVERYTHING)
    db.write(tells("run_later"))
    there.until(frozenset({"run_later"}))


def test_no_reader_of_the_feed_misses_an_event_that_committed_late(
    db: Database, database_url: str, clock: Clock
) -> None:
    """Two replicas write at the same time; the one whose event has the lower id commits last."""
    if db.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    other = Database(database_url)
    written, released = threading.Event(), threading.Event()

    def late(session: Session) -> None:
        happens("run_late", 1, clock)(session)
        written.set()
        assert released.wait(SECONDS)

    slow = db.submit(late)
    assert written.wait(SECONDS)
    clock.turn(seconds=1)
    other.write(happens("run_early", 1, clock))
    assert stamped(other) == ["run_early"]
    seen = read(other, 0)
    assert [event.subject for event in seen] == ["run_early"]
    released.set()
    slow.result(SECONDS)
    assert stamped(other) == ["run_late"]
    follows = read(other, seen[-1].position or 0)
    assert [event.subject for event in follows] == ["run_late"]
    with other.read() as session:
        by_id = session.exec(select(Event.subject).order_by(col(Event.id))).all()
    assert by_id == ["run_late", "run_early"], "the lower id was the later one"
    other.close()


def stamped(db: Database) -> list[str]:
    return [event.subject for event in db.write(events.stamp)]


def read(db: Database, after: int) -> list[Event]:
    with db.read() as session:
        return events.feed(session, after, None, ["*"], 10)
