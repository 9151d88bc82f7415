"""A steady load for as long as you like, with faults: `python -m benchmarks.soak [--minutes 5] [--postgres]`.

A real service over the sandbox, which loses replies, answers 500 and 429 and breaks logs off; three teams submit,
repeat themselves, cancel and fail, a receiver takes webhooks, somebody follows the events. All the while memory, open
files, threads, the queue's age and what is still to be delivered are read; once it has drained, the books are read. The
exit code says whether it held.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import mean

import httpx2

from benchmarks.crowd import TEAMS, Crowd
from benchmarks.databases import database
from benchmarks.ends import wrongs
from benchmarks.processes import cpu_seconds, rss_mib, until_answered
from benchmarks.report import Report
from service.cli.demo_parts import free_port
from service.sandbox.faults import Faults
from service.sandbox.serve import Options, SandboxServer
from tests.processes import Service

FAULTS = Faults(
    create_500_before_accept=0.03,
    create_500_after_accept=0.03,
    create_lost_reply=0.03,
    next_429=0.005,
    listing_lag_seconds=0.5,
    log_cut_after_lines=2,
)
DRAIN_SECONDS = 240
# What the second half may add, by the means of its two halves.
MOST_GROWTH = 1.1
MOST_MORE_FILES = 8


@dataclass(frozen=True)
class Sample:
    """The service's process, and what waits in it, at one moment."""

    at: float
    rss: float
    files: int
    threads: int
    queued: float
    oldest: float
    pending: float


def main() -> int:
    """Soak, look, print, write; 0 where it held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--rate", type=float, default=2, help="runs a second")
    parser.add_argument("--every", type=float, default=5, help="seconds between two looks")
    given = parser.parse_args()
    report = Report("soak", " ".join(["python -m benchmarks.soak", *sys.argv[1:]]))
    with ExitStack() as stack:
        folder, url = stack.enter_context(database(given.postgres))
        sandbox = stack.enter_context(SandboxServer(Options(execute=False)))
        port = _receiver(stack)
        settings = {
            "TUNEGATE_DATABASE_URL": url,
            "TUNEGATE_DATA_DIR": str(folder),
            "TUNEGATE_MAX_CONCURRENT_RUNS": "100",  # so that a busy machine lengthens runs, and not the queue
        }
        with Service(folder, sandbox.url, **settings) as service:
            _prepare(service, port)
            sandbox.core.faults.set(FAULTS)
            crowd = Crowd(service.url, given.rate)
            crowd.start()
            samples = _watch(service, given.minutes * 60, given.every)
            crowd.stop_submitting()
            sandbox.core.faults.set(Faults())
            drained = _drain(service)
            cpu = cpu_seconds(service.pid)
        letters = httpx2.get(f"http://127.0.0.1:{port}/letters", trust_env=False).json()["letters"]
        jobs = [job.labels for job in sandbox.core.jobs.newest_first()]
        wrong = [*crowd.wrong, *wrongs(url, crowd.run_ids, jobs, {letter for letter, _, _ in letters})]
        if log := Counter(re.findall(r'"event": "(step_failed|request_failed|thread_ended)"', service.log)):
            wrong.append(f"logged: {dict(log)}")
    _tell(report, samples, drained, wrong)
    report.figure("runs", len(crowd.run_ids))
    report.figure("letters that arrived", len(letters))
    report.figure("events that were followed", crowd.seen["followed"])
    report.figure("CPU time of the service", cpu / (given.minutes * 60), "cores")
    report.write()
    return 0 if all(goal.is_met for goal in report.goals) else 1


def _receiver(stack: ExitStack) -> int:
    port = free_port()
    receiver = subprocess.Popen([sys.executable, "-m", "benchmarks.receiver", str(port), str(free_port())])
    stack.callback(receiver.wait)
    stack.callback(receiver.terminate)
    until_answered(f"http://127.0.0.1:{port}/")
    return port


def _prepare(service: Service, port: int) -> None:
    for team in TEAMS:
        service("POST", "/teams", {"name": team}).raise_for_status()
        service("PUT", f"/teams/{team}/budget", {"limit_usd": 100_000}).raise_for_status()
        hook = {"url": f"http://127.0.0.1:{port}/{team}", "team": team, "events": ["run.*"]}
        service("POST", "/webhooks", hook).raise_for_status()


def _watch(service: Service, seconds: float, every: float) -> list[Sample]:
    began = time.monotonic()
    samples = []
    print("   minutes  RSS MiB  files  threads  queued  oldest s  letters to come")
    while (at := time.monotonic() - began) < seconds:
        samples.append(one := _look(service, at))
        print(
            f"  {at / 60:8.1f} {one.rss:8.1f} {one.files:6} {one.threads:8} {one.queued:7.0f} {one.oldest:9.1f} "
            f"{one.pending:16.0f}",
            flush=True,
        )
        time.sleep(max(0.0, every - (time.monotonic() - began - at)))
    return samples


def _look(service: Service, at: float) -> Sample:
    scraped = service("GET", "/metrics").text

    def total(name: str) -> float:
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", scraped, re.M))

    return Sample(
        at,
        rss_mib(service.pid),
        len(os.listdir(f"/proc/{service.pid}/fd")),
        len(os.listdir(f"/proc/{service.pid}/task")),
        total("tunegate_queued_runs"),
        total("tunegate_oldest_queued_seconds"),
        total("tunegate_pending_deliveries"),
    )


def _drain(service: Service) -> float:
    """Seconds until nothing waits, nothing runs and nothing is to be delivered."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < DRAIN_SECONDS:
        scraped = service("GET", "/metrics").text
        left = re.findall(r"^tunegate_(?:queued_runs|active_runs|pending_deliveries)(?:{.*})? (\S+)$", scraped, re.M)
        if not any(map(float, left)):
            return waited
        time.sleep(0.5)
    return waited


def _tell(report: Report, samples: list[Sample], drained: float, wrong: list[str]) -> None:
    half = samples[len(samples) // 2 :]
    third, fourth = half[: len(half) // 2], half[len(half) // 2 :]
    growth = mean(one.rss for one in fourth) / mean(one.rss for one in third)
    report.goal("memory: last quarter to the one before", growth, at_most=MOST_GROWTH)
    more = max(one.files for one in fourth) - max(one.files for one in third)
    report.goal("open files: last quarter less the one before", more, at_most=MOST_MORE_FILES)
    more = max(one.threads for one in fourth) - max(one.threads for one in third)
    report.goal("threads: last quarter less the one before", more, at_most=MOST_MORE_FILES)
    report.figure("oldest queued run, at most", max(one.oldest for one in samples), "s")
    report.goal("drained after", drained, "s", at_most=DRAIN_SECONDS - 1)
    report.goal("what is wrong with runs, jobs, money and letters", len(wrong), at_most=0)
    for one in wrong[:20]:
        print(f"    {one}")


if __name__ == "__main__":
    sys.exit(main())
