"""What watching many jobs asks of Hugging Face: `python -m benchmarks.hub_calls [--postgres] [--jobs 10000]`.

So many runs have a running job each, in a service that has been up: their rows are inserted, and the jobs are put into
the sandbox, which tells a PRO account's limit of calls in every answer. For a whole window the service polls them;
meanwhile some jobs end, and runs are submitted and cancelled. Measured is how many calls of each kind that took, what
they would come to in a whole window, and how long a submission and a cancel had to wait.
"""

from __future__ import annotations

import argparse
import math
import time
from statistics import median

from benchmarks.filling import running
from benchmarks.installation import TEAM, Installation, installation, until
from benchmarks.report import Report
from service.sandbox.defaults import PAGE_SIZE
from service.sandbox.faults import Faults
from service.sandbox.shell import utc_now
from service.store.db import Database

PRO, WINDOW_SECONDS = 2_500, 300
ENDED, NEW = 20, 10


def main() -> None:
    """Fill, watch, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hub_calls", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=WINDOW_SECONDS, help="a whole window if left out")
    given = parser.parse_args()
    report = Report("hub_calls", f"python -m benchmarks.hub_calls{' --postgres' if given.postgres else ''}")
    settings = {"TUNEGATE_MAX_CONCURRENT_RUNS": "100000", "TUNEGATE_POLL_SECONDS": "5"}
    with installation(on_postgres=given.postgres, faults=Faults(rate_limit=PRO), **settings) as place:
        jobs = _fill(place, given.jobs)
        until(lambda: place.sandbox.count()["list"] >= 2 * math.ceil(given.jobs / PAGE_SIZE), 120)
        started = time.time()
        for job_id in jobs[:ENDED]:
            place.sandbox.end(job_id)
        submitted, cancelled = _act(place)
        time.sleep(max(0.0, started + given.seconds - time.time()))
        seconds = time.time() - started
        calls = place.sandbox.count(started)
        refused = sum(call.status == 429 for call in place.sandbox.calls)
    pages = math.ceil(given.jobs / PAGE_SIZE)
    report.figure("active jobs", given.jobs)
    for kind, number in sorted(calls.items()):
        report.figure(f"calls in {seconds:.0f} s: {kind}", number)
    report.figure("rounds of lists, of as many calls as the list has pages", calls["list"] / pages)
    report.goal("calls in a whole window, at this rate", calls.total() * WINDOW_SECONDS / seconds, at_most=PRO)
    report.goal("answers 429", refused, at_most=0)
    report.goal("calls by id, for each job that ended", calls["job"] / (ENDED + NEW), at_most=1)
    report.figure("201 to create call, meanwhile: median", median(submitted), "s")
    report.figure("cancel asked for to cancel call, meanwhile: median", median(cancelled), "s")
    report.write()


def _fill(place: Installation, jobs: int) -> list[str]:
    """Their jobs. The service is stopped while its runs are written."""
    name = (place.folder / "installation").read_text().strip()
    place.service.kill()
    database = Database(place.service.settings["TUNEGATE_DATABASE_URL"])
    try:
        made = running(database, utc_now(), TEAM, name, jobs, place.sandbox.start)
    finally:
        database.close()
    place.service.start()
    return made


def _act(place: Installation) -> tuple[list[float], list[float]]:
    """Runs submitted and cancelled: seconds until the create call, and until the cancel call."""
    submitted, cancelled = [], []
    for _ in range(NEW):
        run_id, at = place.submit(env={"SANDBOX_RUN_SECONDS": "100000"}, timeout="30h"), time.time()
        until(lambda run_id=run_id: any(call.run_id == run_id for call in place.sandbox.calls), 60)
        submitted.append(time.time() - at)
        before, at = place.sandbox.count()["cancel"], time.time()
        until(lambda run_id=run_id: place.service("GET", f"/runs/{run_id}").json()["hub_job"] is not None, 60)
        place.service("POST", f"/runs/{run_id}/cancel")
        until(lambda before=before: place.sandbox.count()["cancel"] > before, 60)
        cancelled.append(time.time() - at)
    return submitted, cancelled


if __name__ == "__main__":
    main()
