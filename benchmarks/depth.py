"""What looking at the queue costs as it grows: `python -m benchmarks.depth [--postgres]`.

The same teams, each with a budget and its share of the queue, as long as `benchmarks.filling` makes it. Asked of the
whole application within this process, as an admin and as a member of one team: first pages of the queue and of the
runs, and explain for runs at the front, in the middle and at the end. Beside it an admission pass, as
`benchmarks.admission` has it. Each round asks both lengths in turn, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.databases import databases
from benchmarks.filling import fill, queue_of, run_id
from benchmarks.report import Report
from benchmarks.within import Service, analyzed, clock_of, timed
from service.flow.admit import Pass, admit

AT_MOST = 1.3
SLOTS = 10
MEMBERS, PAGE = "team-00000", 50
Asked = dict[str, Callable[[], object]]


def main() -> None:
    """Fill, ask, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.depth", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--teams", type=int, default=1_000)
    parser.add_argument("--queued", type=int, nargs=2, default=[1_000, 100_000])
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args()
    report = Report("depth", "python -m benchmarks.depth" + (" --postgres" if given.postgres else ""))
    with databases(given.postgres) as url_for, tempfile.TemporaryDirectory(prefix="tunegate-benchmark-") as folder:
        services = {queued: Service(url_for(f"queue_{queued}"), Path(folder) / str(queued)) for queued in given.queued}
        try:
            asked = {queued: _filled(one, given.teams, queued) for queued, one in services.items()}
            _compare(report, asked, given.repetitions, clock_of(given.postgres))
        finally:
            for one in services.values():
                one.close()
    report.write()


def _filled(service: Service, teams: int, queued: int) -> Asked:
    """A queue of this length, of which the first ten have started; and everything that is asked of it."""
    now = datetime.now(UTC)
    fill(service.db, now, teams, queued)
    queue_of(service.db, now, MEMBERS, range(queued, queued + PAGE))  # the same page of a team's runs for both
    analyzed(service.db)
    service.db.write(partial(admit, given=Pass(SLOTS, {}, now)))
    member = service.key_of(MEMBERS)
    asked: Asked = {}
    for who, key in (("admin", None), ("member", member)):
        for path in ("/queue", "/runs", "/runs?state=queued"):
            asked[f"GET {path}, {who}"] = partial(service.get, path, *filter(None, [key]))
    for where, number in (("front", SLOTS), ("middle", queued // 2), ("end", queued - 1)):
        asked[f"explain, {where}"] = partial(service.get, f"/runs/{run_id(number)}/explain")
    asked["admission pass, no slot free"] = lambda: service.db.write(
        partial(admit, given=Pass(SLOTS, {}, datetime.now(UTC)))
    )
    return asked


def _compare(report: Report, asked: dict[int, Asked], repetitions: int, clock: Callable[[], float]) -> None:
    taken: dict[int, dict[str, list[float]]] = {queued: defaultdict(list) for queued in asked}
    for count in range(repetitions + 1):
        for name in next(iter(asked.values())):
            for queued, acts in asked.items():
                seconds = timed(acts[name], clock)
                if count:  # the first round compiles statements, and fills the caches
                    taken[queued][name].append(seconds)
    few, many = asked
    for name in asked[few]:
        short, long = (statistics.median(taken[queued][name]) for queued in (few, many))
        report.figure(f"{name}: {few:,} queued", short * 1000, "ms")
        report.figure(f"{name}: {many:,} queued", long * 1000, "ms")
        report.goal(f"{name}: {many:,} to {few:,}", long / short, at_most=AT_MOST)


if __name__ == "__main__":
    main()
