"""Logs in chunks: whatever portions they came in, they are read as written, and let go when too old or too long."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from service.domain.log_line import LogLine
from service.domain.moment import iso
from service.domain.progress.point import Point
from service.store import logs, metrics
from service.store.db import Database
from service.store.ids import new_id
from service.store.logs import Wanted
from service.store.tables import Attempt
from tests.conftest import Clock
from tests.factories import make_run, make_team

PLENTY = 10**9


def line(number: int, at: datetime, text: str = "") -> LogLine:
    return LogLine(iso(at + timedelta(seconds=number)), text or f"line {number} \N{WHITE HEAVY CHECK MARK}")


def attempt_of(db: Database, clock: Clock, name: str = "research") -> tuple[str, int]:
    def work(session: Session) -> str:
        make_team(session, clock.now, name)
        run = make_run(session, clock.now, team=name)
        session.add(
            Attempt(
                run_id=run.id,
                attempt=1,
                submission=new_id("sub", clock.now),
                flavor="cpu-basic",
                timeout_seconds=600,
                price_per_minute_micro_usd=167,
                ceiling_micro_usd=1837,
                admitted_at=clock.now,
            )
        )
        return run.id

    return db.write(work), 1


def add(db: Database, key: tuple[str, int], base: int, lines: list[LogLine], most: int = PLENTY) -> bool:
    def work(session: Session) -> bool:
        at = lines[0].at
        assert at is not None
        return logs.append(session, session.get_one(Attempt, key), base, lines, at, most)

    return db.write(work)


def read(db: Database, key: tuple[str, int], **wanted: object) -> list[str]:
    with db.read() as session:
        return [line.text for _, line in logs.read(session, *key, Wanted(**wanted))]  # type: ignore[arg-type]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(portions=st.lists(st.integers(1, 40), min_size=1, max_size=8), size=st.sampled_from([1, 3000, 70_000]))
def test_a_log_is_read_as_it_was_written(db: Database, clock: Clock, portions: list[int], size: int) -> None:
    key = attempt_of(db, clock, new_id("team", clock.turn(seconds=1)).lower().replace("_", "-"))
    whole = [line(n, clock.now, f"{n} " + "x" * size) for n in range(sum(portions))]
    done = 0
    for count in portions:
        assert add(db, key, done, whole[done : done + count])
        assert not add(db, key, done, whole[done : done + count]), "twice is once"
        done += count
    with db.read() as session:
        assert logs.read(session, *key, Wanted()) == list(enumerate(whole))
        assert logs.last_line(session, session.get_one(Attempt, key)) == whole[-1]
        for tail in (1, done // 2 + 1, done + 5):
            assert logs.read(session, *key, Wanted(tail=tail)) == list(enumerate(whole))[-tail:]
        middle = done // 2
        assert (
            logs.read(session, *key, Wanted(from_line=middle, limit=3)) == list(enumerate(whole))[middle : middle + 3]
        )
        assert session.get_one(Attempt, key).log_bytes == logs.size(session, *key)


def test_lines_by_time_and_by_text(db: Database, clock: Clock) -> None:
    key = attempt_of(db, clock)
    add(db, key, 0, [line(n, clock.now, text) for n, text in enumerate(["Loading", "Loss 1", "loss 2", "Done"])])
    assert read(db, key, contains="loss") == ["Loss 1", "loss 2"]
    assert read(db, key, contains="loss", tail=1) == ["loss 2"]
    assert read(db, key, since=clock.now + timedelta(seconds=2)) == ["loss 2", "Done"]
    assert read(db, key, since=clock.now + timedelta(hours=1)) == []


def test_of_a_log_that_is_too_long_the_middle_goes(db: Database, clock: Clock) -> None:
    key = attempt_of(db, clock)
    most = 1_000_000
    for base in range(0, 4000, 100):
        assert add(db, key, base, [line(n, clock.now, f"{n} " + "x" * 1000) for n in range(base, base + 100)], most)
    with db.read() as session:
        attempt = session.get_one(Attempt, key)
        numbers = [number for number, _ in logs.read(session, *key, Wanted())]
    assert attempt.log_state == "shortened"
    assert attempt.log_bytes <= most
    assert (numbers[0], numbers[-1], attempt.log_lines) == (0, 3999, 4000)
    gaps = [b for a, b in pairwise(numbers) if b != a + 1]
    assert len(gaps) == 1
    assert 100 < numbers.index(gaps[0]) < 300, "about a quarter is the beginning"


@pytest.mark.parametrize(("age", "most", "gone"), [(3, PLENTY, 1), (99, 1500, 1), (99, 0, 2), (99, PLENTY, 0)])
def test_old_logs_go_and_the_oldest_if_there_are_too_many(
    db: Database, clock: Clock, age: int, most: int, gone: int
) -> None:
    keys = [attempt_of(db, clock, name) for name in ("one", "two", "open")]
    for key in keys:
        add(db, key, 0, [line(0, clock.now, "x" * 700)])

    def end(session: Session) -> None:
        for key, days in zip(keys, (5, 1), strict=False):
            attempt = session.get_one(Attempt, key)
            attempt.finished_at = clock.now - timedelta(days=days)
            session.add(attempt)

    db.write(end)
    assert db.write(lambda session: logs.drop_old(session, clock.now - timedelta(days=age), most)) == gone
    assert [bool(read(db, key)) for key in keys] == [gone < 1, gone < 2, True], "a job that runs keeps its log"
    with db.read() as session:
        assert [session.get_one(Attempt, key).log_state for key in keys[:gone]] == ["dropped"] * gone


def test_a_series_is_thinned_evenly_and_keeps_its_end(db: Database, clock: Clock) -> None:
    key = attempt_of(db, clock)
    points = [Point("train", {"loss": 1 / (n + 1)}, step=n) for n in range(100)]
    odd = Point("train", {"grad_norm": 1.0}, ("loss",), step=100)

    def work(session: Session) -> None:
        attempt = session.get_one(Attempt, key)
        metrics.add(session, attempt, points[:60])
        metrics.add(session, attempt, [*points[60:], odd])
        metrics.add_machine(session, attempt, {"gpu_memory_bytes": 5.0}, clock.now)

    db.write(work)
    with db.read() as session:
        whole = metrics.read(session, *key, ["train"], 1000)
        few = metrics.read(session, *key, ["train"], 10)
        machine = metrics.read(session, *key, ["machine"], 10)
    assert [point.step for point in whole] == list(range(101))
    assert whole[-1].numbers == {"grad_norm": 1.0, "not_finite": ["loss"]}
    assert len(few) <= 10
    assert few[-1].step == 100
    assert [point.numbers for point in machine] == [{"gpu_memory_bytes": 5.0}]
