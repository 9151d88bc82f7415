"""What one admission pass costs as the queue grows: `python -m benchmarks.admission [--postgres]`.

For each length the same teams, each with a budget and its share of the queue. Measured is `flow.admit.admit` in its
transaction, committed: with ten slots that just became free, and with no team that has money left. Before measuring,
one pass tells every head why it waits, as a service that has been running would have; its cost is a column too.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlmodel import Session, text

from benchmarks.filling import fill, spend_all
from benchmarks.statements import recorded
from service.domain.run import RunState
from service.flow.admit import Pass, admit
from service.migrate import migrate
from service.store import board, ledger, runs
from service.store.db import Database
from tests.postgres import Cluster

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SLOTS = 10


@dataclass(frozen=True)
class Measured:
    """Medians of several passes: milliseconds all told and inside the driver, statements sent, runs admitted."""

    milliseconds: float
    database: float
    statements: float
    admitted: int


@dataclass(frozen=True)
class Size:
    """One length of the queue, how many runs of it a pass looks at (the first few of each lane), and what was
    measured: the first look at it, ten slots free, no money."""

    queued: int
    heads: int
    first: Measured
    ten: Measured
    none: Measured


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admission", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--teams", type=int, default=1_000)
    parser.add_argument("--queued", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="show where the time of the longest queue's passes goes")
    given = parser.parse_args()
    with _urls(given.postgres) as url_for:
        sizes = [
            _measure(
                url_for(queued), given.teams, queued, given.repetitions, given.profile and queued == given.queued[-1]
            )
            for queued in given.queued
        ]
    print(f"\n{'PostgreSQL' if given.postgres else 'SQLite'}, {given.teams} teams, medians of {given.repetitions}\n")
    for title, of in (
        (f"{SLOTS} slots free: {SLOTS} admitted", lambda size: size.ten),
        ("no team has money: none admitted", lambda size: size.none),
        ("first look, once: every head is told why it waits", lambda size: size.first),
    ):
        _print(title, sizes, of)


@contextmanager
def _urls(is_postgres: bool) -> Iterator[Callable[[int], str]]:
    """Names a fresh, migrated database for each length; all are gone afterwards."""
    if is_postgres:
        with Cluster() as cluster:
            yield lambda queued: _migrated(cluster.create(f"queue_{queued}"))
    else:
        with tempfile.TemporaryDirectory(prefix="tunegate-benchmark-") as folder:
            yield lambda queued: _migrated(f"sqlite:///{Path(folder) / f'queue_{queued}.db'}")


def _migrated(url: str) -> str:
    migrate(url)
    return url


def _measure(url: str, teams: int, queued: int, repetitions: int, is_profiled: bool) -> Size:
    db = Database(url)
    try:
        fill(db, NOW, teams, queued)
        if not db.is_sqlite:  # as its autovacuum does by and by
            db.write(lambda session: session.execute(text("ANALYZE")) and None)
        first = _passes(db, 1, prepare=None)
        profile = cProfile.Profile() if is_profiled else None
        ten = _passes(db, repetitions, prepare=_free_slots, profile=profile)
        db.write(_free_slots)
        db.write(spend_all)
        _passes(db, 1, prepare=None)
        none = _passes(db, repetitions, prepare=None, profile=profile)
    finally:
        db.close()
    assert (first.admitted, ten.admitted, none.admitted) == (SLOTS, SLOTS, 0)
    if profile is not None:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
    return Size(queued, min(queued, teams * board.DEPTH), first, ten, none)


def _free_slots(session: Session) -> None:
    """Every active run ends without a job: its slot and its money are free again."""
    for run, attempt in runs.in_states(session, [RunState.SUBMITTING], SLOTS):
        ledger.release(session, attempt, NOW)
        runs.advance(session, run, RunState.CANCELLED, now=NOW)


def _passes(
    db: Database,
    repetitions: int,
    prepare: Callable[[Session], None] | None,
    profile: cProfile.Profile | None = None,
) -> Measured:
    seconds, database, statements, admitted = [], [], [], 0
    work = partial(admit, given=Pass(SLOTS, {}, NOW))
    if profile is not None:
        work = partial(profile.runcall, work)
    for _ in range(repetitions):
        if prepare is not None:
            db.write(prepare)
        with recorded(db.engine) as sent:
            start = time.perf_counter()
            moved = db.write(work)
            seconds.append(time.perf_counter() - start)
        database.append(sent.seconds)
        statements.append(sent.count)
        admitted = len(moved)
    return Measured(
        statistics.median(seconds) * 1000, statistics.median(database) * 1000, statistics.median(statements), admitted
    )


def _print(title: str, sizes: list[Size], of: Callable[[Size], Measured]) -> None:
    print(title)
    print(
        f"{'queued':>10} {'heads':>7} {'pass ms':>10} {'ratio':>8} {'in driver':>10} {'elsewhere':>10} "
        f"{'statements':>11}"
    )
    base = of(sizes[0]).milliseconds
    for size in sizes:
        one = of(size)
        share = one.database / one.milliseconds
        print(
            f"{size.queued:>10} {size.heads:>7} {one.milliseconds:>10.1f} {one.milliseconds / base:>8.2f} "
            f"{share:>10.0%} {1 - share:>10.0%} {one.statements:>11.0f}"
        )
    print()


if __name__ == "__main__":
    main()
