"""Many who follow events over SSE at one process: what they cost while nothing happens, and how soon they hear.

A thousand by default, of four users, every other one of the feed and the rest of fifty runs: `python -m
benchmarks.followers [--postgres]`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop

from benchmarks.databases import database
from benchmarks.load import request
from benchmarks.processes import cpu_seconds, rss_mib
from benchmarks.report import Report
from service.sandbox.serve import Options, SandboxServer
from tests.processes import Service

FOLLOWERS = 1_000
USERS = 4
RUNS = 50
AT_ONCE = 50
IDLE_SECONDS = 15.0
CHANGES = 20
PAUSE_SECONDS = 0.5
WAIT_SECONDS = 20.0


class Reader(asyncio.Protocol):
    """One follower: when each piece of its stream came."""

    def __init__(self, asked: bytes) -> None:
        self._asked = asked
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.came: list[tuple[float, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._asked)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.came.append((time.perf_counter(), data))
        if not self.opened.done():
            assert data.startswith(b"HTTP/1.1 200"), data
            self.opened.set_result(None)

    def heard_at(self, what: bytes, since: int) -> float | None:
        """When a text came in what was read since a piece."""
        return next((at for at, data in self.came[since:] if what in data), None)


class Place:
    """The service, the runs that are followed, and those who follow."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.port = int(service.url.rpartition(":")[2])
        service("POST", "/teams", {"name": "research"})
        keys = [
            service("POST", "/teams/research/keys", {"name": f"reader-{number}", "role": "viewer"}).json()["key"]
            for number in range(USERS)
        ]
        self.run_ids = [self.post() for _ in range(RUNS)]
        self._keys = keys

    def post(self) -> str:
        """A run that waits for money."""
        body = {
            "team": "research",
            "recipe": {"kind": "script", "source": "print(1)"},
            "flavor": "cpu-basic",
            "timeout": "10m",
        }
        run_id: str = self.service("POST", "/runs", body).json()["id"]
        return run_id

    async def open(self, number: int) -> Reader:
        """Begin to follow, the feed or a run."""
        path = f"/runs/{self.run_ids[number // 2 % RUNS]}/events" if number % 2 else "/events?latest=true"
        headers = {"authorization": f"Bearer {self._keys[number % USERS]}", "accept": "text/event-stream"}
        asked = request("GET", path, **headers)
        loop = asyncio.get_running_loop()
        _, reader = await loop.create_connection(lambda: Reader(asked), "127.0.0.1", self.port)
        await asyncio.wait_for(reader.opened, WAIT_SECONDS)
        return reader


async def measure(place: Place, report: Report) -> None:
    pid = place.service.pid
    report.figure("memory before anybody follows", rss_mib(pid), "MiB")
    report.figure("CPU while nothing happens, nobody follows", await idle(pid), "% of a core")
    readers: list[Reader] = []
    started = time.perf_counter()
    for first in range(0, FOLLOWERS, AT_ONCE):
        readers += await asyncio.gather(*(place.open(number) for number in range(first, first + AT_ONCE)))
    report.figure(f"{FOLLOWERS} streams opened within", time.perf_counter() - started, "s")
    await asyncio.sleep(2)
    report.goal(f"memory with {FOLLOWERS} followers", rss_mib(pid), "MiB", at_most=300)
    report.figure(f"CPU while nothing happens, {FOLLOWERS} follow", await idle(pid), "% of a core")

    of_feed, of_runs = readers[0::2], readers[1::2]
    before = cpu_seconds(pid)
    found = [await change(of_feed, place.post) for _ in range(CHANGES)]
    tell(report, f"from a 201 to all {len(of_feed)} of the feed", [one for some in found for one in some])
    report.figure("the service's CPU per change told to them", (cpu_seconds(pid) - before) / CHANGES * 1e3, "ms")
    found = []
    for number in range(CHANGES):
        run_id = place.run_ids[number]
        mine = [reader for index, reader in enumerate(of_runs) if index % RUNS == number]
        found.append(await change(mine, lambda run_id=run_id: paused(place, run_id)))  # type: ignore[misc]
    tell(report, f"from a 200 to the {FOLLOWERS // 2 // RUNS} of a run", [one for some in found for one in some])
    report.figure("memory afterwards", rss_mib(pid), "MiB")


def paused(place: Place, run_id: str) -> str:
    answer = place.service("POST", f"/runs/{run_id}/pause")
    assert answer.is_success, answer.text
    return "run.paused"


async def change(readers: list[Reader], make: Any) -> list[float]:
    """Seconds from the answer to a change until each has heard the text that the change returns; below 0 where the
    answer came last."""
    seen = [len(reader.came) for reader in readers]
    text = (await asyncio.to_thread(make)).encode()
    answered = time.perf_counter()
    stops_at = answered + WAIT_SECONDS
    while time.perf_counter() < stops_at:
        await asyncio.sleep(PAUSE_SECONDS)
        heard = [reader.heard_at(text, since) for reader, since in zip(readers, seen, strict=True)]
        if None not in heard:
            return [at - answered for at in heard if at is not None]
    raise TimeoutError(f"{heard.count(None)} of {len(heard)} have not heard of {text!r}")


def tell(report: Report, what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    for name, place in (("p50", 0.5), ("p99", 0.99)):
        report.figure(f"{what}, {name}", ordered[int(len(ordered) * place)] * 1e3, "ms")


async def idle(pid: int) -> float:
    """Percent of a core that a process takes."""
    before, started = cpu_seconds(pid), time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    return (cpu_seconds(pid) - before) / (time.perf_counter() - started) * 100


def main() -> None:
    on_postgres = "--postgres" in sys.argv
    name = "followers-postgres" if on_postgres else "followers"
    report = Report(name, " ".join(["python -m benchmarks.followers", *sys.argv[1:]]))
    with (
        database(on_postgres) as (folder, url),
        SandboxServer(Options(execute=False)) as sandbox,
        Service(
            folder,
            sandbox.url,
            TUNEGATE_DATABASE_URL=url,
            TUNEGATE_DATA_DIR=str(folder),
            TUNEGATE_POLL_SECONDS="5",
            TUNEGATE_MAX_STREAMS=str(FOLLOWERS),
        ) as service,
    ):
        uvloop.run(measure(Place(service), report))
    report.write()


if __name__ == "__main__":
    main()
