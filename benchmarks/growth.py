"""What pages and passes cost as the past grows: `python -m benchmarks.growth [--postgres] [--runs 1000000]`.

Two databases with the same teams, the same queue and the same runs of this month; in one of them so many more have
ended in the three years before. Asked of the whole application within this process: each list's first page, a deep one,
its filters, single objects, the scrape of the metrics. And a pass of each step, with nothing to do.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks import past
from benchmarks.databases import databases
from benchmarks.filling import fill, team_name
from benchmarks.report import Report
from benchmarks.within import Service, clock_of, timed
from service.api.pages import encode
from service.flow.gate import Gate, Start
from service.hub.client import HubClient
from service.sandbox.core import Sandbox
from service.sandbox.transport import SandboxTransport
from service.worker import steps

AT_MOST = 1.5
# Below this a median says more of the machine than of the work.
FLOOR = 0.002
TEAMS, MONTH, QUEUED = 50, 1_000, 200
Asked = dict[str, Callable[[], object]]


def main() -> None:
    """Fill, ask, compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--runs", type=int, default=50_000, help="how many more have ended, in thousands")
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args()
    command = f"python -m benchmarks.growth --runs {given.runs}" + (" --postgres" if given.postgres else "")
    report = Report("growth", command)
    with databases(given.postgres) as url_for, tempfile.TemporaryDirectory(prefix="tunegate-benchmark-") as folder:
        services = {name: Service(url_for(name), Path(folder) / name) for name in ("young", "old")}
        try:
            taken = timed(lambda: _fill(services, given.runs // MONTH))
            report.figure("filling", taken, "s")
            _compare(
                report,
                {name: _asked(one) for name, one in services.items()},
                given.repetitions,
                clock_of(given.postgres),
            )
        finally:
            for one in services.values():
                one.close()
    report.write()


def _fill(services: dict[str, Service], copies: int) -> None:
    now = datetime.now(UTC)
    for name, service in services.items():
        fill(service.db, now, TEAMS, QUEUED)
        past.month(service.db, now, [team_name(number) for number in range(TEAMS)], MONTH)
        if name == "old":
            past.before(service.db, now, MONTH, copies)
        past.settle_down(service.db)


def _asked(service: Service) -> Asked:
    now = datetime.now(UTC)
    team, run = team_name(7), f"run_{past.NEWEST}{7:07}"
    month_ago = (now - timedelta(days=40)).strftime("%Y-%m-%dT%H:%M:%SZ")
    deep = {"/runs": encode(f"run_{past.NEWEST}{MONTH - 900:07}"), "/events": encode(past.FIRST_POSITION + 2_000)}
    paths = [
        "/runs", f"/runs?after={deep['/runs']}", "/runs?state=failed", "/runs?state=queued", "/runs?state=running",
        "/runs?state=failed&state=cancelled",
        f"/runs?team={team}&limit=20", f"/runs?team={team}&state=failed&limit=2", "/runs?label=project=project-3",
        "/runs?label=project=none", "/runs?output_repo=acme/model-7&limit=1", "/runs?output_repo=model-7&limit=1",
        "/runs?output_repo=acme/none", f"/runs?created_after={month_ago}", "/queue", "/usage",
        "/usage?group_by=team,day", f"/usage?team={team}", "/events?latest=true", f"/events?after={deep['/events']}",
        f"/events?team={team}&latest=true", f"/runs/{run}", f"/runs/{run}/events", f"/runs/{run}/ledger",
        f"/runs/{run}/deliveries", f"/runs/{run}/metrics", f"/runs/{run}/logs", "/metrics", "/teams", f"/teams/{team}",
        f"/teams/{team}/budget", "/audit", f"/audit?team={team}", "/readyz", "/budgets",
        f"/teams/{team}/budget/burn-down", "/organisation/budget/burn-down", "/strays", "/webhooks", "/flavors",
    ]  # fmt: skip
    asked: Asked = {f"GET {path}": partial(service.get, path) for path in paths}
    member = service.key_of(team)
    for path in ("/runs", "/runs?state=failed", "/queue", "/usage", "/events?latest=true"):
        asked[f"GET {path}, member"] = partial(service.get, path, member)
    gate = _with_sandbox(service.parts.gate)
    for step in steps(5, 180):
        asked[f"step {step.name}"] = partial(step.run_once, gate)
    return asked


def _with_sandbox(gate: Gate) -> Gate:
    """Hugging Face as the sandbox has it, in this process; no slot is free."""
    transport = SandboxTransport(Sandbox(execute=False), gate.clock)
    hub = HubClient("http://hub.test", "hf_sandbox", "hf_sandbox_job", clock=gate.clock, transport=transport)
    limits = replace(gate.limits, max_concurrent_runs=0)
    return replace(gate, hub=hub, limits=limits, start=Start(unswept=set()), verify_lead=lambda _session: None)


def _compare(report: Report, asked: dict[str, Asked], repetitions: int, clock: Callable[[], float]) -> None:
    taken: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in asked}
    for count in range(repetitions + 1):
        for what in asked["young"]:
            for name, acts in asked.items():
                seconds = timed(acts[what], clock)
                if count:  # the first round compiles statements, and fills the caches
                    taken[name][what].append(seconds)
    for what in asked["young"]:
        young, old = (statistics.median(taken[name][what]) for name in ("young", "old"))
        report.figure(f"{what}: many", old * 1000, "ms")
        report.goal(f"{what}: many to few", max(old, FLOOR) / max(young, FLOOR), at_most=AT_MOST)


if __name__ == "__main__":
    main()
