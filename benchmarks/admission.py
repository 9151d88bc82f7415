"""What one admission pass costs as the queue grows: `python -m benchmarks.admission [--postgres]`.

For each length the same teams, each with a budget and its share of the queue. Measured is `flow.admit.admit` in its
transaction, committed: with ten slots that just became free, and with no team that has money left. Before measuring,
one pass tells every head why it waits, as a service that has been running would have; its cost is shown too. The CPU
time is this process's alone: with SQLite that is all of it, with PostgreSQL the server's comes on top.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from sqlmodel import Session, text

from benchmarks.databases import databases
from benchmarks.filling import fill, spend_all
from benchmarks.statements import recorded
from service.domain.run import RunState
from service.flow.admit import Pass, admit
from service.store import ledger, runs
from service.store.db import Database

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SLOTS = 10


@dataclass
class Passes:
    """Several passes: seconds all told, inside the driver and on this process's cores; statements; runs admitted."""

    seconds: list[float] = field(default_factory=list)
    driver: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    statements: list[int] = field(default_factory=list)
    admitted: list[int] = field(default_factory=list)


@dataclass
class Size:
    """One length of the queue, and what was measured: the first look at it, ten slots free, no money."""

    queued: int
    db: Database
    first: Passes = field(default_factory=Passes)
    ten: Passes = field(default_factory=Passes)
    none: Passes = field(default_factory=Passes)


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admission", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--teams", type=int, default=1_000)
    parser.add_argument("--queued", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="show where the time of the longest queue's passes goes")
    given = parser.parse_args()
    with databases(given.postgres) as url_for:
        sizes = [Size(queued, Database(url_for(f"queue_{queued}"))) for queued in given.queued]
        try:
            for size in sizes:
                fill(size.db, NOW, given.teams, size.queued)
            profile = cProfile.Profile() if given.profile else None
            _measure(sizes, given.repetitions, profile)
        finally:
            for size in sizes:
                size.db.close()
    if profile is not None:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    print(f"\n{'PostgreSQL' if given.postgres else 'SQLite'}, {given.teams} teams, medians of {given.repetitions}\n")
    for title, of in (
        (f"{SLOTS} slots free: {SLOTS} admitted", lambda size: size.ten),
        ("no team has money: none admitted", lambda size: size.none),
        ("first look, once: every head is told why it waits", lambda size: size.first),
    ):
        _print(title, sizes, of)


def _measure(sizes: list[Size], repetitions: int, profile: cProfile.Profile | None) -> None:
    """Each round measures every length once, so that what else the machine does falls on all of them alike."""
    for size in sizes:
        if not size.db.is_sqlite:  # as its autovacuum does by and by
            size.db.write(lambda session: session.execute(text("ANALYZE")) and None)
        _pass(size.db, size.first, None)
    for _ in range(repetitions):
        for size in sizes:
            size.db.write(_free_slots)
            _pass(size.db, size.ten, profile if size is sizes[-1] else None)
    for size in sizes:
        size.db.write(_free_slots)
        size.db.write(spend_all)
        _pass(size.db, Passes(), None)  # tells every head
    for _ in range(repetitions):
        for size in sizes:
            _pass(size.db, size.none, profile if size is sizes[-1] else None)
    for size in sizes:
        assert {*size.first.admitted, *size.ten.admitted} == {SLOTS}
        assert {*size.none.admitted} == {0}


def _free_slots(session: Session) -> None:
    """Every active run ends without a job: its slot and its money are free again."""
    for run, attempt in runs.in_states(session, [RunState.SUBMITTING], SLOTS):
        ledger.release(session, attempt, NOW)
        runs.advance(session, run, RunState.CANCELLED, now=NOW)


def _pass(db: Database, found: Passes, profile: cProfile.Profile | None) -> None:
    work = partial(admit, given=Pass(SLOTS, {}, NOW))
    if profile is not None:
        work = partial(profile.runcall, work)
    with recorded(db.engine) as sent:
        start, cores = time.perf_counter(), time.process_time()
        decided = db.write(work)
        found.seconds.append(time.perf_counter() - start)
        found.cores.append(time.process_time() - cores)
    found.driver.append(sent.seconds)
    found.statements.append(sent.count)
    found.admitted.append(sum(one.has_moved for one in decided))


def _print(title: str, sizes: list[Size], of: Callable[[Size], Passes]) -> None:
    print(title)
    print(
        f"{'queued':>10} {'pass ms':>9} {'ratio':>7} {'CPU ms':>9} {'ratio':>7} "
        f"{'in driver':>10} {'elsewhere':>10} {'statements':>11}"
    )
    middle = statistics.median
    base = of(sizes[0])
    for size in sizes:
        one = of(size)
        share = middle(one.driver) / middle(one.seconds)
        print(
            f"{size.queued:>10} {middle(one.seconds) * 1000:>9.1f} "
            f"{middle(one.seconds) / middle(base.seconds):>7.2f} {middle(one.cores) * 1000:>9.1f} "
            f"{middle(one.cores) / middle(base.cores):>7.2f} {share:>10.0%} {1 - share:>10.0%} "
            f"{middle(one.statements):>11.0f}"
        )
    print()


if __name__ == "__main__":
    main()
