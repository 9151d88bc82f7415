"""What an accepted run costs, beside a bare POST: `python -m benchmarks.post [--postgres] [--clients 1 16 64 256]`.

Each request is complete: a member's key, an Idempotency-Key of its own, a recipe with flags, the ceiling by the price
that was read, the first event, and durable before its 201. The service is a process of its own that runs no steps
(TUNEGATE_ROLE=api). Bare POST and service are measured in turn, round by round. Afterwards every answered run is
looked for in the database: none may be lost, none doubled.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
from collections import Counter
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path

from sqlmodel import Session, text

from benchmarks.bare import BODY
from benchmarks.databases import database
from benchmarks.load import Driven, drive, request
from benchmarks.processes import bare, cpu_seconds
from benchmarks.report import Report
from service.api.examples import RUN_EXAMPLES
from service.sandbox.serve import Options, SandboxServer
from service.store.engine import open_engine
from tests.processes import Service

RUN = RUN_EXAMPLES["trl_sft"]["value"]
# At least so much of the bare POST's rate, and at most so many times its p99, at so many clients.
LEAST = {False: {16: 0.40, 64: 0.35}, True: {16: 0.45}}
MOST_P99 = {16: 3.0}


def main() -> None:
    """Measure in turn, then look for every run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.post", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL, fsync on")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    report = Report("post-postgres" if given.postgres else "post", "python -m benchmarks.post")
    answered: list[str] = []
    with database(given.postgres, durable=True) as (folder, url):
        with _service(folder, url) as service, bare() as echo:
            key, requests = _requests(service)
            for clients in given.clients:
                _measure(report, given, clients, echo, service, requests, answered)
            print(f"  (as {key[:8]}…)")
        _look_for(report, url, answered)
    report.write()


def _measure(
    report: Report,
    given: argparse.Namespace,
    clients: int,
    echo: int,
    service: Service,
    requests: Iterator[bytes],
    answered: list[str],
) -> None:
    bodies: list[bytes] = []
    statuses: Counter[int] = Counter()
    plain: list[Driven] = []
    runs: list[Driven] = []
    used = cpu_seconds(service.pid)
    for _ in range(given.rounds):
        plain.append(drive(echo, repeat(request("POST", "/echo", BODY)), clients, given.seconds))
        runs.append(drive(service.port, requests, clients, given.seconds, lambda _status, body: bodies.append(body)))
        statuses += runs[-1].statuses
    used = cpu_seconds(service.pid) - used
    answered += [json.loads(body)["id"] for body in bodies]
    ratio = statistics.median(b.per_second / a.per_second for a, b in zip(plain, runs, strict=True))
    tails = statistics.median(b.percentile(99) / a.percentile(99) for a, b in zip(plain, runs, strict=True))
    at = f"at {clients} clients"
    report.figure(f"bare POST {at}", statistics.median(one.per_second for one in plain), "requests/s")
    report.figure(f"POST /runs {at}", statistics.median(one.per_second for one in runs), "requests/s")
    report.figure(f"POST /runs {at}: p99", statistics.median(one.percentile(99) for one in runs) * 1000, "ms")
    report.figure(f"POST /runs {at}: CPU time of a run", used / statuses.total() * 1000, "ms")
    report.goal(f"to the bare POST's rate {at}", ratio, at_least=LEAST[given.postgres].get(clients, 0.0))
    report.goal(f"p99, to the bare POST's {at}", tails, at_most=MOST_P99.get(clients, float("inf")))
    report.goal(f"answers other than 201 {at}", statuses.total() - statuses[201], at_most=0)


def _requests(service: Service) -> tuple[str, Iterator[bytes]]:
    """A member's key, and requests without end, each with an Idempotency-Key of its own."""
    service("POST", "/teams", {"name": "research"})
    service("PUT", "/teams/research/budget", {"limit_usd": 1_000})
    key = service("POST", "/teams/research/keys", {"name": "load", "role": "member"}).json()["key"]
    head, _, body = request("POST", "/runs", RUN, authorization=f"Bearer {key}").partition(b"\r\n\r\n")

    def numbered() -> Iterator[bytes]:
        for number in count():
            yield head + f"\r\nidempotency-key: load-{number}\r\n\r\n".encode() + body

    return key, numbered()


def _look_for(report: Report, url: str, answered: list[str]) -> None:
    with Session(open_engine(url)) as session:
        stored = {one for (one,) in session.execute(text("SELECT id FROM run"))}
        told = session.execute(text("SELECT count(*) FROM event WHERE type = 'run.queued'")).scalar_one()
    report.figure("runs answered", len(answered))
    report.goal("answered runs that are not stored", len(set(answered) - stored), at_most=0)
    report.goal("runs that were answered twice", len(answered) - len(set(answered)), at_most=0)
    report.goal("stored runs without their event", len(stored) - told, at_most=0)


@contextlib.contextmanager
def _service(folder: Path, url: str) -> Iterator[Service]:
    """A service that answers requests only, after one with steps has read the prices."""
    with SandboxServer(Options(execute=False)) as sandbox:
        place = {"TUNEGATE_DATABASE_URL": url, "TUNEGATE_DATA_DIR": str(folder)}
        with Service(folder, sandbox.url, **place) as first:
            while not first("GET", "/flavors").json()["data"]:
                pass
        with Service(folder, sandbox.url, **place, TUNEGATE_ROLE="api") as service:
            yield service


if __name__ == "__main__":
    main()
