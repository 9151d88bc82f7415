"""Works that only add leave their rows to their group: it inserts them together, and none fails for another's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session, col, select

from benchmarks.statements import recorded
from service.store import idempotency, rows, runs, teams
from service.store.db import Database
from service.store.shared import once
from service.store.tables import IdempotencyKey, Run, Team, User
from tests.conftest import Clock
from tests.factories import make_run, make_team
from tests.store.test_db import hold_writer

Work = Callable[[Session], Any]


@pytest.fixture
def team(db: Database, clock: Clock) -> None:
    db.write(lambda session: make_team(session, clock.now))


def grouped(db: Database, *works: Work) -> list[Future[Any]]:
    """What became of works that only add, of one group."""
    release, held = hold_writer(db)
    futures = [db.submit(work, only_adds=True) for work in works]
    release.set()
    held.result(10)
    for future in futures:
        future.exception(10)
    return futures


def claiming(clock: Clock, run_id: str, key: str = "k") -> Callable[[Session], str]:
    """A work that makes a run under a key: the run that the key stands for."""

    def work(session: Session) -> str:
        claimed = idempotency.claim(session, "research", key, "hmac", run_id, clock.now)
        if claimed.run_id == run_id:
            make_run(session, clock.now, id=run_id)
        return claimed.run_id

    return work


def stored(db: Database) -> set[str]:
    with db.read() as session:
        keys = set(session.exec(select(IdempotencyKey.run_id)))
        assert keys == set(session.exec(select(Run.id))), "a key without its run, or a run without its key"
        return keys


@pytest.mark.usefixtures("team")
def test_a_group_inserts_into_each_table_once_however_many_it_has(db: Database, clock: Clock) -> None:
    sent = []
    for number in (2, 20):
        with recorded(db.engine) as statements:
            made = grouped(db, *(claiming(clock, f"run_{number}_{one}", f"k{number}-{one}") for one in range(number)))
        assert all(future.exception() is None for future in made)
        sent.append([one.text for one in statements.sent])
    assert len(stored(db)) == 22
    assert len(sent[1]) == len(sent[0])
    assert sum(one.startswith("INSERT INTO run ") for one in sent[1]) == 1
    assert not any("SAVEPOINT" in one for one in sent[1])


@pytest.mark.usefixtures("team")
def test_of_one_group_with_one_key_the_first_wins_and_all_learn_which(db: Database, clock: Clock) -> None:
    db.submit(claiming(clock, "run_before", "other"), only_adds=True).result(10)
    found = grouped(db, *(claiming(clock, f"run_{number}") for number in range(5)))
    assert {future.result() for future in found} == {"run_0"}
    assert stored(db) == {"run_before", "run_0"}


@pytest.mark.usefixtures("team")
def test_a_key_that_was_used_before_is_found_and_the_others_are_written(db: Database, clock: Clock) -> None:
    db.submit(claiming(clock, "run_before"), only_adds=True).result(10)
    found = grouped(db, claiming(clock, "run_a", "a"), claiming(clock, "run_again"), claiming(clock, "run_b", "b"))
    assert [future.result() for future in found] == ["run_a", "run_before", "run_b"]
    assert stored(db) == {"run_before", "run_a", "run_b"}


@pytest.mark.usefixtures("team")
def test_a_row_that_is_not_to_be_fails_its_own_work_alone(db: Database, clock: Clock) -> None:
    def nobody(session: Session) -> None:
        rows.insert(session, [rows.new(User, team="no such team", name="eve", created_at=clock.now)])

    before, failing, behind = grouped(db, claiming(clock, "run_a", "a"), nobody, claiming(clock, "run_b", "b"))
    assert (before.result(), behind.result()) == ("run_a", "run_b")
    with pytest.raises(IntegrityError):
        failing.result()
    assert stored(db) == {"run_a", "run_b"}


@pytest.mark.usefixtures("team")
def test_a_work_that_fails_leaves_nothing(db: Database, clock: Clock) -> None:
    def half_done(session: Session) -> None:
        claiming(clock, "run_half", "half")(session)
        raise LookupError("after its rows")

    before, failing, behind = grouped(db, claiming(clock, "run_a", "a"), half_done, claiming(clock, "run_b", "b"))
    assert (before.result(), behind.result()) == ("run_a", "run_b")
    with pytest.raises(LookupError):
        failing.result()
    assert stored(db) == {"run_a", "run_b"}


@pytest.mark.usefixtures("team")
def test_whoever_asks_for_the_database_finds_what_was_added_before(db: Database, clock: Clock) -> None:
    def look(session: Session) -> list[str]:
        claiming(clock, "run_own", "own")(session)
        return list(session.exec(select(Run.id).order_by(col(Run.id))))

    def change(session: Session) -> None:
        run = make_run(session, clock.now, id="run_changed")
        idempotency.claim(session, "research", "changed", "hmac", run.id, clock.now)
        runs.tell(session, run, "run.awaiting_approval", clock.now)

    grouped(db, claiming(clock, "run_a", "a"))
    _, found, _, changed = grouped(db, claiming(clock, "run_b", "b"), look, claiming(clock, "run_c", "c"), change)
    assert found.result() == ["run_a", "run_b", "run_own"]
    assert changed.exception() is None
    assert stored(db) == {"run_a", "run_b", "run_c", "run_own", "run_changed"}
    with db.read() as session:
        assert session.get_one(Run, "run_changed").sequence == 2


@pytest.mark.usefixtures("team")
def test_what_was_read_in_a_transaction_that_is_lost_is_read_again(db: Database, clock: Clock) -> None:
    def fail(_connection: object) -> None:
        event.remove(db.engine, "commit", fail)
        raise MemoryError

    event.listen(db.engine, "commit", fail)  # the lane of these runs goes with it
    with pytest.raises(MemoryError):
        db.submit(claiming(clock, "run_lost"), only_adds=True).result(10)
    assert db.submit(claiming(clock, "run_kept"), only_adds=True).result(10) == "run_kept"
    assert stored(db) == {"run_kept"}


@pytest.mark.usefixtures("team")
def test_trouble_of_what_all_read_is_told_to_each_that_meets_it(db: Database, clock: Clock) -> None:
    def misread(session: Session) -> None:
        claiming(clock, "run_never", "never")(session)
        once(session, "nothing", lambda reader: reader.execute(text("SELECT nothing FROM nowhere")))

    before, failing, behind = grouped(db, claiming(clock, "run_a", "a"), misread, claiming(clock, "run_b", "b"))
    assert (before.result(), behind.result()) == ("run_a", "run_b")
    with pytest.raises(DBAPIError, match="nowhere"):
        failing.result()
    assert stored(db) == {"run_a", "run_b"}


@pytest.mark.usefixtures("team")
def test_what_a_work_of_the_group_has_changed_is_read_anew(db: Database, clock: Clock) -> None:
    seen: list[Team | None] = []

    def look(session: Session) -> float:
        seen.append(teams.get(session, "research"))  # kept, so that a session could find it again
        found = seen[-1]
        assert found is not None
        return found.weight

    def change(session: Session) -> None:
        session.get_one(Team, "research").weight = 3.0

    release, held = hold_writer(db)
    before, changed, after = db.submit(look, only_adds=True), db.submit(change), db.submit(look, only_adds=True)
    release.set()
    held.result(10)
    assert changed.result(10) is None
    assert (before.result(10), after.result(10)) == (1.0, 3.0)
