"""Deliveries of webhooks: `python -m benchmarks.webhooks [--postgres]`.

The real step `notify` on a real database, in a process with nothing else to do; the receiver is a process of its own
(`benchmarks.receiver`). First how many signed letters a second reach a fast receiver, out of a backlog. Then how long
after its event a letter arrives, at a steady rate: with every endpoint well, and with a fifth of them dead, half of
those refusing connections and half taking them without ever answering, each with a backlog. The two are measured in
turn, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any

import httpx2
from sqlmodel import Session, col, func, select
from standardwebhooks import Webhook

from benchmarks.databases import database
from benchmarks.processes import until_answered
from benchmarks.report import Report, percentile
from service.cli.demo_parts import free_port
from service.flow import notify
from service.flow.gate import Gate, Limits
from service.hub.client import HubClient
from service.log import configure
from service.migrate import migrate
from service.store import events
from service.store.db import Database
from service.store.ids import new_id
from service.store.sealed_address import Address, seal
from service.store.tables import Delivery, Endpoint, Event, Team
from service.store.vault import Vault

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TYPES = ("run.queued", "run.submitted", "run.started", "run.succeeded")
# About as much as an event tells of a run.
TOLD = {
    "object": "run",
    "state": "running",
    "recipe": {"kind": "trl_sft", "args": {f"argument_{number}": "a value" for number in range(30)}},
    "cost": {"reserved_usd": 1.0, "metered_usd": None},
}
TICK_SECONDS = 0.05
SETTLE_SECONDS = 2


@dataclass
class Place:
    """An installation with an endpoint for each of its teams, and its receiver."""

    gate: Gate
    port: int
    hanging_port: int
    teams: list[str]
    made: int = 0
    bell: threading.Event = field(default_factory=threading.Event)

    def letters(self) -> dict[str, Any]:
        """What arrived since the last time."""
        answer = httpx2.get(f"http://127.0.0.1:{self.port}/letters", trust_env=False)
        found: dict[str, Any] = answer.json()
        return found

    def tell(self, teams: list[str], runs: int) -> int:
        """The whole story of so many runs of each of these teams; how many events."""
        now = datetime.now(UTC)
        new = [
            events.made(f"run_{self._next():026}", team, 1, TYPES[0], TOLD, now) for team in teams for _ in range(runs)
        ]
        told = [
            new_one
            for event in new
            for new_one in (event, *(_later(event, number, kind) for number, kind in enumerate(TYPES[1:], 2)))
        ]
        self.gate.db.write(lambda session: events.add(session, told))
        self.bell.set()
        return len(told)

    def _next(self) -> int:
        self.made += 1
        return self.made


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--endpoints", type=int, default=50)
    parser.add_argument("--letters", type=int, default=4_000, help="of the backlog whose sending is timed")
    parser.add_argument("--rate", type=int, default=80, help="letters a second, for the latencies")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement of latencies")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--backlog", type=int, default=200, help="runs that each dead endpoint has not been told of")
    given = parser.parse_args()
    report = Report("webhooks", " ".join(["python -m benchmarks.webhooks", *sys.argv[1:]]))
    with ExitStack() as stack:
        place = stack.enter_context(_place(given.postgres, given.endpoints))
        _throughput(report, place, given.letters)
        stack.enter_context(_sending(place))
        dead = place.teams[::5]
        healthy = [team for team in place.teams if team not in dead]
        latencies: dict[bool, list[list[float]]] = {False: [], True: []}
        for number in range(given.rounds * 2):
            is_ill = number % 2 == 1
            for team, kind in zip(dead, ["refusing", "hanging"] * len(dead), strict=False):
                _point(place, team, kind if is_ill else "well")
            if is_ill:
                _pile_up(place, dead, given.backlog)
            time.sleep(SETTLE_SECONDS)
            latencies[is_ill].append(_latencies(place, given.rate, given.seconds, set(healthy)))
            if is_ill:
                place.gate.db.write(partial(_forget, teams=dead))
    for is_ill, name in ((False, "every endpoint well"), (True, "a fifth dead")):
        for percent in (50, 99):
            of_rounds = [percentile(one, percent) for one in latencies[is_ill]]
            report.figure(f"{name}: p{percent}, median of the rounds", median(of_rounds) * 1000, "ms")
    pairs = zip(latencies[False], latencies[True], strict=True)
    growth = median(percentile(ill, 99) / percentile(well, 99) for well, ill in pairs)
    report.goal("p99 of those that are well, with a fifth dead to without", growth, at_most=1.2)
    report.write()


@contextmanager
def _place(is_postgres: bool, endpoints: int) -> Iterator[Place]:
    port, hanging_port = free_port(), free_port()
    with ExitStack() as stack:
        folder, url = stack.enter_context(database(is_postgres))
        configure("INFO", stack.enter_context((folder / "log").open("w")))  # written as the service does
        migrate(url)
        db = Database(url)
        stack.callback(db.close)
        hub = HubClient("http://127.0.0.1:1", "hf_none", "hf_none", clock=_now)
        stack.callback(hub.close)
        receiver = subprocess.Popen([sys.executable, "-m", "benchmarks.receiver", str(port), str(hanging_port)])
        stack.callback(receiver.wait)
        stack.callback(receiver.terminate)
        until_answered(f"http://127.0.0.1:{port}/")
        limits = Limits(webhook_allowed_targets=("127.0.0.1",))
        gate = Gate(db, hub, Vault("a secret key"), limits, "ins_bench", "boot", _now, time.monotonic)
        place = Place(gate, port, hanging_port, [f"team-{number}" for number in range(endpoints)])
        db.write(partial(_fill, place=place))
        yield place


def _throughput(report: Report, place: Place, letters: int) -> None:
    runs = max(1, letters // len(place.teams) // len(TYPES))
    expected = place.tell(place.teams, runs)
    started, cpu = time.perf_counter(), time.process_time()
    while notify.run_once(place.gate):
        pass
    seconds = time.perf_counter() - started
    found = place.letters()
    assert len({(letter, path) for letter, path, _ in found["letters"]}) == len(found["letters"]) == expected
    _check(place, found)
    report.figure("letters", expected)
    report.goal("signed deliveries to a fast receiver", expected / seconds, "/s", at_least=500)
    report.figure("CPU time of the sending process", (time.process_time() - cpu) / expected * 1000, "ms a letter")


def _check(place: Place, found: dict[str, Any]) -> None:
    """Signatures of some are right; per run the letters came in order."""
    for whole in found["whole"]:
        Webhook(SECRET).verify(whole["body"], whole["headers"])
    with place.gate.db.read() as session:
        of = {event.id: (event.subject, event.sequence) for event in session.exec(select(Event))}
    last: dict[str, int] = {}
    for letter, _, _ in found["letters"]:
        subject, sequence = of[letter]
        assert sequence == last.get(subject, 0) + 1
        last[subject] = sequence


@contextmanager
def _sending(place: Place) -> Iterator[None]:
    """The step in a thread of its own, as in the service: woken by what is told, and again after a pass that moved
    something."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.is_set():
            if not notify.run_once(place.gate):
                place.bell.wait(1)
                place.bell.clear()

    thread = threading.Thread(target=run, name="step-notify", daemon=True)  # hanging letters are not waited for
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        place.bell.set()
        thread.join()


def _latencies(place: Place, rate: int, seconds: float, counted: set[str]) -> list[float]:
    """Seconds from an event to its letter's arrival, of these teams. Each tick tells one event of some runs."""
    place.letters()
    told: dict[str, tuple[str, float]] = {}
    turn = 0
    started = time.perf_counter()
    for tick in range(int(seconds / TICK_SECONDS)):
        time.sleep(max(0.0, started + tick * TICK_SECONDS - time.perf_counter()))
        new = []
        for _ in range(max(1, int(rate * TICK_SECONDS))):
            team = place.teams[turn % len(place.teams)]
            turn += 1
            new.append(events.made(f"run_{place._next():026}", team, 1, TYPES[0], TOLD, datetime.now(UTC)))
        place.gate.db.write(partial(events.add, new=new))
        place.bell.set()
        told |= {event.id: (str(event.team), event.timestamp.timestamp()) for event in new}
    wanted = {letter for letter, (team, _) in told.items() if team in counted}
    arrived: dict[str, float] = {}
    stops_at = time.monotonic() + 20
    while not wanted <= arrived.keys():
        assert time.monotonic() < stops_at, f"{len(wanted - arrived.keys())} of {len(wanted)} letters did not arrive"
        time.sleep(0.2)
        for letter, _, at in place.letters()["letters"]:
            arrived.setdefault(letter, at)
    return [arrived[letter] - told[letter][1] for letter in wanted]


def _pile_up(place: Place, dead: list[str], runs: int) -> None:
    """What the dead have not been told yet; and they are known to fail."""
    place.tell(dead, runs)
    stops_at = time.monotonic() + 60
    while time.monotonic() < stops_at:
        with place.gate.db.read() as session:
            failing = session.exec(
                select(func.count()).select_from(Endpoint).where(col(Endpoint.failing_since).is_not(None))
            ).one()
            if failing == len(dead) and not events.are_unstamped(session):
                return
        time.sleep(0.5)
    raise TimeoutError("the dead endpoints are not known to fail")


def _point(place: Place, team: str, kind: str) -> None:
    """Where a team's endpoint is; it begins anew."""
    port = {"well": place.port, "refusing": free_port(), "hanging": place.hanging_port}[kind]

    def work(session: Session) -> None:
        [endpoint] = session.exec(select(Endpoint).where(Endpoint.team == team))
        endpoint.sealed_address = seal(place.gate.vault, Address(f"http://127.0.0.1:{port}/hook/{team}", SECRET))
        endpoint.failing_since = endpoint.resting_until = None
        session.add(endpoint)

    place.gate.db.write(work)


def _forget(session: Session, teams: list[str]) -> None:
    """Give up what is still to come for these."""
    mine = select(Endpoint.id).where(col(Endpoint.team).in_(teams))
    for delivery in session.exec(
        select(Delivery).where(col(Delivery.endpoint_id).in_(mine), Delivery.state == "pending")
    ):
        delivery.state = "failed"


def _fill(session: Session, place: Place) -> None:
    now = _now()
    session.add_all(Team(name=team, created_at=now) for team in place.teams)
    session.flush()
    session.add_all(
        Endpoint(
            id=new_id("ep", now),
            team=team,
            url="http://127.0.0.1/hook",
            events=["run.*"],
            sealed_address=seal(place.gate.vault, Address(f"http://127.0.0.1:{place.port}/hook/{team}", SECRET)),
            created_at=now,
        )
        for team in place.teams
    )


def _later(event: Event, sequence: int, kind: str) -> Event:
    return events.made(event.subject, event.team, sequence, kind, TOLD, event.timestamp)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
