"""What an idle service takes: `python -m benchmarks.footprint [--postgres]`.

A cold start is from the process's start to its first good answer of /readyz, on a database that is there already; the
bare FastAPI's, measured beside it, says what Python and its imports take on this machine.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.databases import database
from benchmarks.processes import bare, cpu_seconds, rss_mib
from benchmarks.report import Report
from service.sandbox.serve import Options, SandboxServer
from tests.processes import Service


def main() -> None:
    """Start again and again, then let it idle."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--idle-seconds", type=float, default=20.0)
    given = parser.parse_args()
    report = Report("footprint-postgres" if given.postgres else "footprint", "python -m benchmarks.footprint")
    with (
        database(given.postgres) as (folder, url),
        SandboxServer(Options(execute=False)) as sandbox,
    ):
        place = {"TUNEGATE_DATABASE_URL": url, "TUNEGATE_DATA_DIR": str(folder), "TUNEGATE_POLL_SECONDS": "5"}
        with Service(folder, sandbox.url, **place):
            pass
        starts, plain = [], []
        for _ in range(given.starts):
            began = time.perf_counter()
            with bare():
                plain.append(time.perf_counter() - began)
            service = Service(folder, sandbox.url, **place)
            began = time.perf_counter()
            with service:
                starts.append(time.perf_counter() - began)
        with Service(folder, sandbox.url, **place) as service:
            report.figure("bare FastAPI: cold start", statistics.median(plain), "s")
            report.goal("cold start to /readyz", statistics.median(starts), "s", at_most=1.5)
            report.figure("of it beside the bare one's", statistics.median(starts) / statistics.median(plain))
            time.sleep(10)  # what a start has to do is over
            used = cpu_seconds(service.pid)
            time.sleep(given.idle_seconds)
            share = (cpu_seconds(service.pid) - used) / given.idle_seconds
            report.goal("idle memory", rss_mib(service.pid), "MiB", at_most=120)
            report.goal("idle CPU, of one core", share * 100, "%", at_most=1.0)
    report.write()


if __name__ == "__main__":
    main()
