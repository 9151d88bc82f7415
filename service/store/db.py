"""The database: reads as they come, writes in groups.

All writes go through `Database.write`: a function from a session to a value. One thread takes whatever is waiting,
gives each work its own savepoint, commits the group once, and only then resolves the works' futures: an answered
write is on disk (SQLite WAL with synchronous=FULL), and sixteen waiting writers cost one fsync.

Works that only add share what they read as well (`store/shared.py`). One that asks for nothing else needs no connection
and no savepoint: it leaves its rows to the group, which inserts those of all of them together (`store/rows.py`). That
counts only where nothing goes wrong; else each is given its savepoint, and finds out by itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, SQLModel

from service.domain.errors import Busy, OutcomeUnknown
from service.store import rows, shared
from service.store.away import is_away
from service.store.engine import open_engine
from service.store.news import News
from service.store.topics import TOLD, Topics

T = TypeVar("T")
Work = Callable[[Session], T]

MAX_GROUP = 128
READS_SECONDS = 1.0

# PostgreSQL's serialization_failure and deadlock_detected: nothing of the work is in the database.
CONFLICTS = frozenset({"40001", "40P01"})
MAX_TRIES = 5
CLOSE_SECONDS = 2
ONE_STATE = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


@dataclass
class _Waiting:
    """A work, where its value goes, and what it came to inside the group; `told` are its topics."""

    work: Work[Any]
    future: Future[Any]
    only_adds: bool = False
    value: Any = None
    error: BaseException | None = None
    told: set[str] = field(default_factory=set)
    tries: int = 0

    def is_to_be_tried_again(self) -> bool:
        """Whether it lost against a work of another process, and not too often."""
        return is_conflict(self.error) and self.tries < MAX_TRIES


class NotTogether(Exception):
    """Works cannot do without savepoints: one of them has a row that is not to be, or met trouble of its own."""


class GroupLost(Exception):
    """An error inside one work ended the transaction of the whole group (SQLite does so for SQLITE_FULL and others)."""


class Database:
    """Opened once by `app` or `worker`, closed by them."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # On SQLite every transaction sees one state, on PostgreSQL only one that asks for it.
        self._reading = self.engine if self.is_sqlite else self.engine.execution_options(**ONE_STATE)
        self.news = News(None if self.is_sqlite else url)
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._is_closed = False
        # How often anything was changed that was there before: what was read stands as long as this does.
        self.changes = 0
        # What works that only add have read, and until when it may be gone by (`time.monotonic`).
        self._reads: shared.Reads = {}
        self._reads_end_at = 0.0
        self._writer = threading.Thread(target=self._write_groups, name="writer", daemon=True)
        self._writer.start()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one committed state and writes nothing."""
        with Session(self._reading, autoflush=False, expire_on_commit=False) as session:
            yield session

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return its value once it is durable. What it raises is raised here; Busy
        where it lost against other processes too often. It may be run several times, of which one counts."""
        return self.submit(work).result()

    def submit(self, work: Work[T], *, only_adds: bool = False) -> Future[T]:
        """The same without waiting: for callers on an event loop. A work that `only_adds` changes no row that was there
        before, so that those of a group need not each read what they all read."""
        waiting = _Waiting(work, Future(), only_adds)
        with self._closing:
            if self._is_closed:
                raise RuntimeError("the database is closed")
            self._waiting.put(waiting)
        return waiting.future

    def close(self) -> None:
        """Finish what waits, then close every connection."""
        with self._closing:
            self._is_closed = True
            self._waiting.put(None)
        # A file's writer always ends. A database that does not answer is left: nobody waits for what it would say.
        self._writer.join(None if self.is_sqlite else CLOSE_SECONDS)
        self.news.close()
        self.engine.dispose()

    def _write_groups(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first]
            while len(group) < MAX_GROUP and not self._waiting.empty():
                if (following := self._waiting.get()) is None:
                    self._waiting.put(None)
                    break
                group.append(following)
            # From here on a work cannot be cancelled; one whose caller has gone away before is not begun.
            begun = [waiting for waiting in group if waiting.future.set_running_or_notify_cancel()]
            if begun:
                self._write_group(begun)

    def _write_group(self, group: list[_Waiting], *, may_leave: bool = True) -> None:
        told: Topics = frozenset()
        try:
            told = self._commit(group, may_leave)
        except BaseException as error:
            self._forget_reads()  # what was found or made within may be gone with the transaction
            if isinstance(error, NotTogether):
                self._write_group(group, may_leave=False)
                return
            if len(group) > 1 and (isinstance(error, GroupLost) or is_conflict(error) or self.is_sqlite):
                # Nothing of the group is in the database. Each work is run again alone, so that one cannot fail others.
                self._write_each(group)
                return
            for waiting in group:
                waiting.error = (error.__cause__ if isinstance(error, GroupLost) else error) or error
        lost = [waiting for waiting in group if waiting.is_to_be_tried_again()]
        for waiting in group:
            if waiting not in lost:
                _resolve(waiting)
        self.news.spread(told)
        for waiting in lost:
            self._write_group([waiting])

    def _write_each(self, group: list[_Waiting]) -> None:
        away: BaseException | None = None
        for waiting in group:
            if away is None:
                self._write_group([waiting])
                away = waiting.error if is_away(waiting.error) else None
            else:  # nor would the others find it; they have waited long enough
                waiting.error = away
                _resolve(waiting)

    def _commit(self, group: list[_Waiting], may_leave: bool) -> Topics:
        """What the works told that succeeded. `may_leave`: those that can, leave their rows to the group."""
        left: list[SQLModel] = []
        if not self.is_sqlite or time.monotonic() >= self._reads_end_at:
            self._forget_reads()
        with self.engine.connect().execution_options(is_writer=True) as connection, _committed(connection):
            for waiting in group:
                waiting.value, waiting.error, waiting.told = None, None, set()
                waiting.tries += 1
                if not waiting.only_adds:
                    self._forget_reads()
                try:
                    if may_leave and waiting.only_adds and self._has_left(waiting, connection, left):
                        continue
                    self._insert(connection, left)  # the next work may ask for what those before it have added
                    waiting.value = self._run(waiting, connection)
                except (GroupLost, NotTogether):
                    raise
                except BaseException as error:
                    waiting.error = error
                    self._forget_reads()  # what it read may have gone with its savepoint, locks with it
            self._insert(connection, left)
            told = frozenset().union(*(waiting.told for waiting in group if waiting.error is None))
            self.news.send(connection, told)
        self.changes += not all(waiting.only_adds for waiting in group)
        return told

    def _forget_reads(self) -> None:
        """A new transaction of PostgreSQL reads anew, as other replicas write there, too. A SQLite file has this one
        writer, but for an operator's command beside it: what was read there stands for a moment."""
        self._reads = {}
        self._reads_end_at = time.monotonic() + READS_SECONDS

    def _has_left(self, waiting: _Waiting, connection: Connection, left: list[SQLModel]) -> bool:
        """Run a work that only adds with a session that has no connection, and take its rows. False, and nothing
        counts, where it asks for more than what all read alike, or fails."""
        rows_of_work: list[SQLModel] = []
        with Session(expire_on_commit=False) as session:
            shared.give(session, self._reads, connection)
            rows.let_leave(session, rows_of_work)
            told: set[str] = set()
            session.info[TOLD] = told
            try:
                waiting.value = waiting.work(session)
                session.flush()  # raises where there is more to write than was left
            except DBAPIError as error:
                raise NotTogether from error  # what is read for all has no savepoint
            except Exception:
                return False
        waiting.told = told
        left += rows_of_work
        return True

    def _insert(self, connection: Connection, left: list[SQLModel]) -> None:
        try:
            rows.put(connection, left)
        except Exception as error:
            if is_away(error):
                raise
            raise NotTogether from error
        left.clear()

    def _run(self, waiting: _Waiting, connection: Connection) -> Any:
        session = Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
        if waiting.only_adds:
            shared.give(session, self._reads, connection)
        session.info[TOLD] = waiting.told
        try:
            value = waiting.work(session)
            session.commit()
        except BaseException as error:
            if self._has_lost_transaction(connection):
                session.invalidate()  # there is no savepoint left to roll back to
                raise GroupLost from _first_fault(error)
            session.close()
            raise
        session.close()
        return value

    def _has_lost_transaction(self, connection: Connection) -> bool:
        if connection.invalidated:
            return True
        return self.is_sqlite and not connection.connection.dbapi_connection.in_transaction  # type: ignore[union-attr]


@contextmanager
def _committed(connection: Connection) -> Iterator[None]:
    """A transaction. Raises OutcomeUnknown where the answer to its COMMIT was lost: it may have been carried out."""
    transaction = connection.begin()
    try:
        yield
    except BaseException:
        transaction.rollback()
        raise
    try:
        transaction.commit()
    except BaseException as error:
        # SQLAlchemy takes the transaction for over, and would hand the connection on with it: a file stayed locked.
        connection.invalidate()
        if not is_away(error):
            raise
        raise OutcomeUnknown("the database was cut off while this was written") from error


def is_conflict(error: BaseException | None) -> bool:
    """Whether PostgreSQL took a transaction back because of what another one did at the same time."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in CONFLICTS


def _resolve(waiting: _Waiting) -> None:
    if is_conflict(waiting.error):
        busy = Busy("others changed the same at the same time", remedy="Send it again in a moment.")
        busy.__cause__ = waiting.error
        waiting.future.set_exception(busy)
    elif waiting.error is not None:
        waiting.future.set_exception(waiting.error)
    else:
        waiting.future.set_result(waiting.value)


def _first_fault(error: BaseException) -> BaseException:
    """The fault that ended the transaction; rolling back to a savepoint that went with it only adds another."""
    while isinstance(error.__context__, DBAPIError):
        error = error.__context__
    return error
