"""How many runs a minute go the whole way: `python -m benchmarks.throughput [--postgres] [--runs 1000]`.

Runs whose jobs take a second are sent by sixteen clients at once, to a service with slots for all of them, over a
sandbox that executes nothing. Measured are the create calls and the settled runs per second while they come, what the
service's process uses of the cores for each, and for how long the oldest run waited.
"""

from __future__ import annotations

import argparse
import itertools
import time
from urllib.parse import urlsplit

from benchmarks.installation import TEAM, Installation, installation
from benchmarks.load import Driven, drive, request
from benchmarks.processes import cpu_seconds, rss_mib
from benchmarks.report import Report
from tests.processes import ADMIN_KEY

CLIENTS = 16
MOST_SECONDS = 400


def main() -> None:
    """Send, wait until all has ended, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--runs", type=int, default=1_000)
    given = parser.parse_args()
    report = Report("throughput", f"python -m benchmarks.throughput{' --postgres' if given.postgres else ''}")
    settings = {"TUNEGATE_POLL_SECONDS": "1", "TUNEGATE_MAX_CONCURRENT_RUNS": "100000"}
    with installation(on_postgres=given.postgres, **settings) as place:
        before, started = cpu_seconds(place.service.pid), time.time()
        sent = _send(place, given.runs)
        settled, oldest = _settled(place)
        cpu = cpu_seconds(place.service.pid) - before
        created = sorted(call.at for call in place.sandbox.calls if call.kind == "create")
        calls = place.sandbox.count(started)
        memory = rss_mib(place.service.pid)
    assert len(created) == given.runs, "each run has one job"
    report.figure("accepted", sent.per_second, "runs/s")
    report.figure("submitted (create calls)", given.runs / (created[-1] - started), "runs/s")
    report.figure("settled", given.runs / (settled - started), "runs/s")
    report.figure("CPU of the service per run", cpu / given.runs * 1000, "ms")
    report.figure("oldest queued run", oldest, "s")
    report.figure("memory of the service", memory, "MiB")
    report.figure("calls to Hugging Face per run", calls.total() / given.runs)
    for kind, number in sorted(calls.items()):
        report.figure(f"  of these: {kind}", number / given.runs)
    report.write()


def _send(place: Installation, runs: int) -> Driven:
    body = {
        "team": TEAM,
        "recipe": {"kind": "script", "source": "print(1)"},
        "flavor": "cpu-basic",
        "timeout": "10m",
    }
    one = request("POST", "/runs", body, authorization=f"Bearer {ADMIN_KEY}")
    port = urlsplit(place.service.url).port
    assert port is not None
    driven = drive(port, itertools.repeat(one, runs), CLIENTS, MOST_SECONDS)
    assert driven.statuses == {201: runs}, driven.statuses
    return driven


def _settled(place: Installation) -> tuple[float, float]:
    """When the last run had succeeded, and the greatest age of the queue's head that was seen meanwhile."""
    oldest = 0.0
    stops_at = time.monotonic() + MOST_SECONDS
    while time.monotonic() < stops_at:
        checks = place.service("GET", "/readyz").json()["checks"]
        oldest = max(oldest, checks["oldest_queued_seconds"] or 0)
        if checks["queued_runs"] == 0:
            left = place.service("GET", "/runs?state=submitting&state=starting&state=running&limit=1").json()["data"]
            if not left:
                return time.time(), oldest
        time.sleep(0.2)
    raise TimeoutError("the runs have not ended")


if __name__ == "__main__":
    main()
