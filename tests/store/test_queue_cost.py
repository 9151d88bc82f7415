"""What an admission pass reads does not grow with the queue: by the database's plans, and by what it counts itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, col, select, text

from benchmarks.filling import fill, queue, spend_all
from benchmarks.statements import Sent, recorded
from service.flow import explain
from service.flow.admit import Pass, admit
from service.store import checking, heads, holds, run_list
from service.store import queue as queue_store
from service.store.db import Database
from service.store.run_list import RunFilter
from service.store.tables import Run
from tests.conftest import Clock, Templates, opened

TEAMS = 200
SHORT, LONG = TEAMS, 20_000
SLOTS = 10


class Undone(Exception):
    """Takes a measured pass back, so that the next one finds what it found."""


@dataclass
class Cost:
    """Of one pass: what it sent, how much the database did for it, and how many runs were admitted."""

    sent: list[Sent]
    work: int
    admitted: int


def one_pass(session: Session, now: datetime) -> int:
    heads.queued_places(session)
    return sum(one.has_moved for one in admit(session, Pass(SLOTS, {}, now)))


def look_for_what_is_due(session: Session, now: datetime) -> int:
    """What preflight and hold ask in every pass, when nothing is due."""
    checking.forget_old(session, now)
    return len(checking.due(session, now, SLOTS)) + holds.expire(session, now, ())


def measure(db: Database, now: datetime, act: Callable[[Session, datetime], int] = one_pass) -> Cost:
    """A pass that is taken back. Its work: instructions of SQLite's machine, or rows of `run` that PostgreSQL read."""
    found: list[int] = []

    def work(session: Session) -> None:
        before = _rows_read(session) if not db.is_sqlite else 0
        steps: list[None] = []
        if db.is_sqlite:
            _on_progress(session, lambda: steps.append(None))
        try:
            found.append(act(session, now))
        finally:
            if db.is_sqlite:
                _on_progress(session, None)
        found.append(len(steps) if db.is_sqlite else _rows_read(session) - before)
        raise Undone

    with recorded(db.engine) as statements, pytest.raises(Undone):
        db.write(work)
    return Cost([one for one in statements.sent if "pg_stat_xact" not in one.text], found[1], found[0])


def _on_progress(session: Session, handler: Any) -> None:
    session.connection().connection.dbapi_connection.set_progress_handler(handler, 100)  # type: ignore[union-attr]


def _rows_read(session: Session) -> int:
    query = "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_user_tables WHERE relname = 'run'"
    return int(session.connection().execute(text(query)).scalar_one())


def analyze(db: Database) -> None:
    """PostgreSQL plans by statistics, which its autovacuum brings up to date; SQLite is never given any."""
    if not db.is_sqlite:
        db.write(lambda session: session.connection().execute(text("ANALYZE")) and None)


def scans_of_run(db: Database, sent: list[Sent]) -> list[str]:
    """The statements that would read `run` otherwise than by looking values up in an index."""
    found = []
    with db.engine.connect() as connection:
        for one in sent:
            if not re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)\b", one.text):
                continue
            parameters = one.parameters[0] if one.is_many else one.parameters
            how = "EXPLAIN QUERY PLAN" if db.is_sqlite else "EXPLAIN (FORMAT JSON)"
            rows = connection.exec_driver_sql(f"{how} {one.text}", parameters).all()
            steps = [str(row[3]) for row in rows] if db.is_sqlite else list(_nodes(rows[0][0]))
            found += [f"{step}\n{one.text}" for step in steps if re.match(r"SCAN run\b", step)]
    return found


def _nodes(plan: Any) -> Iterator[str]:
    """PostgreSQL's plan in SQLite's words: a scan has no condition that an index answers."""
    for node in plan if isinstance(plan, list) else json.loads(plan):
        yield from _walk(node["Plan"])


def _walk(node: dict[str, Any]) -> Iterator[str]:
    # A bitmap's heap scan has its condition on the index scan below it, which names the index alone.
    name = node.get("Relation Name") or node.get("Index Name", "")
    is_of_run = name == "run" or name.startswith(("ix_run_", "pk_run", "run_pkey"))
    if is_of_run and node["Node Type"] not in ("Bitmap Heap Scan", "ModifyTable"):
        yield f"{'SEARCH' if 'Index Cond' in node else 'SCAN'} run ({node['Node Type']})"
    for below in node.get("Plans", ()):
        yield from _walk(below)


def fill_short(db: Database) -> None:
    fill(db, Clock().now, TEAMS, SHORT)
    analyze(db)


def grow(db: Database) -> None:
    queue(db, Clock().now, TEAMS, range(SHORT, LONG))
    analyze(db)


@pytest.fixture
def short(templates: Templates, tmp_path: Path) -> Iterator[Database]:
    """A short queue: a run for each team."""
    templates.make("short_queue", fill_short)
    with opened(templates.copy("short_queue", tmp_path / "short")) as db:
        yield db


@pytest.fixture
def long(templates: Templates, short: Database, tmp_path: Path) -> Iterator[Database]:
    """The same, grown to a long one."""
    templates.make("long_queue", grow, like="short_queue")
    with opened(templates.copy("long_queue", tmp_path / "long")) as db:
        yield db


def test_a_longer_queue_costs_no_statement_and_no_row_more(short: Database, long: Database, clock: Clock) -> None:
    before = measure(short, clock.now)
    after = measure(long, clock.now)
    assert before.admitted == after.admitted == SLOTS
    assert len(after.sent) == len(before.sent)
    assert before.work > 0
    assert after.work <= before.work * 1.3, "of the ten lanes that move a few more are read"


def test_no_statement_of_a_pass_scans_the_queue(long: Database, clock: Clock) -> None:
    first = measure(long, clock.now)
    assert not scans_of_run(long, first.sent), "ten are admitted, and every head is told why it waits"
    long.write(lambda session: one_pass(session, clock.now))
    analyze(long)
    assert not scans_of_run(long, measure(long, clock.now).sent), "beside ten that are active"
    long.write(spend_all)
    spent = measure(long, clock.now)
    assert spent.admitted == 0
    assert not scans_of_run(long, spent.sent), "no team has money"


def test_looking_for_what_is_due_costs_no_more_in_a_longer_queue(short: Database, long: Database, clock: Clock) -> None:
    before = measure(short, clock.now, look_for_what_is_due)
    after = measure(long, clock.now, look_for_what_is_due)
    assert before.admitted == after.admitted == 0, "nothing is due"
    assert after.work <= before.work * 1.05


def test_the_plans_are_read_right(short: Database, clock: Clock) -> None:
    with recorded(short.engine) as statements, short.read() as session:
        for query in ("SELECT count(*) FROM run WHERE priority = 1", "SELECT id FROM run ORDER BY id", "SELECT 1"):
            session.connection().exec_driver_sql(query)
    assert len(scans_of_run(short, statements.sent)) == 2


def test_all_heads_waiting_costs_a_fixed_number_of_statements(short: Database, clock: Clock) -> None:
    short.write(spend_all)
    short.write(lambda session: one_pass(session, clock.now))
    again = measure(short, clock.now)
    assert again.admitted == 0
    assert len(again.sent) < 25, "nothing for each team and nothing for each run"


def look_at_the_queue(session: Session, now: datetime) -> int:
    """What the first page of GET /queue and explain read of the queue: at its front, and at its end."""
    first = [run_id for run_id, _ in islice(queue_store.in_order(session, now), 50)]
    for run_id in (first[0], max(session.exec(select(col(Run.id)).order_by(col(Run.id).desc()).limit(1)))):
        run = session.get_one(Run, run_id)
        assert queue_store.positions(session, run.team, [run_id], now)
        explain.look(session, SLOTS, now)
    assert len(run_list.page(session, RunFilter(states=["queued", "running"]), None, 50)) == 50
    return len(first)


def test_looking_at_a_longer_queue_takes_no_more_statements(short: Database, long: Database, clock: Clock) -> None:
    queue(short, clock.now, TEAMS, range(TEAMS, 3 * TEAMS))
    analyze(short)
    before = measure(short, clock.now, look_at_the_queue)
    after = measure(long, clock.now, look_at_the_queue)
    assert before.admitted == after.admitted == 50
    assert len(after.sent) <= len(before.sent)
    if short.is_sqlite:  # as far as it goes with the queue, it is sums over an index
        assert after.work <= before.work * 4, "the queue is 33 times as long"
