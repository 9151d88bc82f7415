"""One installation in its world: processes on one database, the sandbox, a clock, and whatever the seed lets happen."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import ulid

from service.flow.gate import Gate
from service.sandbox import jobs_api
from service.sandbox.accounts import REPO_RIGHTS, SANDBOX, Accounts, Token
from service.sandbox.core import Sandbox
from service.sandbox.faults import Faults
from service.sandbox.hardware import HARDWARE
from service.sandbox.jobs import Job
from tests.simulation.clock import SimulatedClock
from tests.simulation.mood import draw_mood
from tests.simulation.process import (
    CONTROL_TOKEN,
    ENDPOINT,
    JOB_TOKEN,
    TEAM_CONTROL_TOKEN,
    TEAM_JOB_TOKEN,
    Process,
    Surroundings,
)
from tests.simulation.secrets_kept import Secrets
from tests.simulation.threads import Threads
from tests.simulation.trace import Trace
from tests.simulation.truth import Truth
from tests.simulation.weather import Weather
from tests.simulation.wire import SimulatedWire
from tests.simulation.witness import Witness

FLAVORS = ("cpu-basic", "cpu-upgrade", "t4-small", "a10g-large")
OUTPUT_REPO = "TUNEGATE_OUTPUT_REPO"
SOMEBODY = "hf_token_of_somebody_else"
TOKENS = (
    Token(CONTROL_TOKEN, SANDBOX, "fineGrained", "control", ("job.write", "user.billing.read", *REPO_RIGHTS)),
    Token(JOB_TOKEN, SANDBOX, "fineGrained", "job", REPO_RIGHTS),
    Token(TEAM_CONTROL_TOKEN, SANDBOX, "fineGrained", "team control", ("job.write", *REPO_RIGHTS)),
    Token(TEAM_JOB_TOKEN, SANDBOX, "fineGrained", "team job", REPO_RIGHTS),
    Token(SOMEBODY, SANDBOX, "write", "somebody"),
)


class World:
    """Everything that one seed makes."""

    def __init__(self, seed: int, path: Path, replicas: int = 1) -> None:
        self.seed = seed
        self.chance = Random(seed)
        # two sources more, so that ids and sandbox do not shift what is drawn for the story
        ids = Random(seed + 1)
        ulid.default_generator = ulid.ULIDGenerator(randomness=lambda _timestamp: ids.randbytes(10))
        self.path = path
        self.clock = SimulatedClock()
        self.trace = Trace(self.clock)
        self.mood = draw_mood(self.chance)
        self.threads = Threads(self.trace)
        self.weather = Weather(self.chance, self.mood, self.threads, self.trace, self.turn, replicas)
        self.core = Sandbox(accounts=Accounts(TOKENS), execute=False, page_size=5, seed=seed)
        # prices change here, and only in this world
        self.hardware = copy.deepcopy([row for row in HARDWARE if row["name"] in FLAVORS])
        jobs_api.HARDWARE = self.hardware
        self.prices: dict[str, set[int]] = defaultdict(set)
        self.note_prices()
        self.wire = SimulatedWire(self.core, self.clock, self.weather)
        self.truth = Truth(self.core)
        self._has_published: set[str] = set()
        self.secrets = Secrets()
        self.witness = Witness(path, self.trace, self.mood.limits.max_concurrent_runs, self.truth, self.prices)
        surroundings = Surroundings(
            path=path,
            wire=self.wire,
            limits=self.mood.limits,
            wall=self.clock.wall,
            monotonic=self.clock.monotonic,
            cut=self.weather.cut_process,
            committed=lambda: self.witness.look(self.threads.stepping),
            pause=self.weather.pause,
        )
        self.processes = [Process(name, surroundings, replicas == 1) for name in ("one", "two")[:replicas]]

    def close(self) -> None:
        """Let go of files and connections."""
        for process in self.processes:
            process.stop()
        self.witness.database.close()

    @property
    def gate(self) -> Gate:
        """The gate of the first process: the one that answers requests."""
        return self.processes[0].gate

    def request(self, act: Any) -> bool:
        """Answer a request in the first process; False: that was killed at it."""
        return self.threads.within(self.processes[0], act)

    def turn(self, milliseconds: int) -> None:
        """Let time pass: late requests arrive, jobs move."""
        until = self.clock.true + timedelta(milliseconds=milliseconds)
        self.wire.deliver(until)
        self.clock.advance_to(until)
        self.core.tick(until)

    def look(self) -> None:
        """Compare with the truth, after the jobs have done their work."""
        for job in self.truth.live():
            self._publish(job)
        self.truth.look(self.witness.runs, self.clock.true)
        self.secrets.check_log()

    def _publish(self, job: Job) -> None:
        """A job that has begun publishes, once, what it was to publish; every third one does not."""
        repo = job.spec.environment.get(OUTPUT_REPO)
        if repo is None or job.started_at is None or job.id in self._has_published:
            return
        self._has_published.add(job.id)
        if job.sequence % 3:
            content = {"model.safetensors": job.id.encode()}
            self.core.hub.publish("model", repo, content, self.clock.true, author=SANDBOX.name)
            self.note(f"job {job.id[-6:]} publishes to {repo}")

    def faults(self, **faults: float | str) -> None:
        """Switch the sandbox's faults; those not named are off."""
        self.core.faults.set(replace(Faults.parse(faults), seed=self.chance.getrandbits(30)))

    def note_prices(self) -> None:
        """Remember what Hugging Face asks now: no other price may ever be frozen on an attempt."""
        for row in self.hardware:
            self.prices[row["name"]].add(row["unitCostMicroUSD"])

    def outside(self, path: str, body: dict[str, object]) -> str:
        """Somebody else talks to Hugging Face; what came of it."""
        self.weather.is_calm, calm = True, self.weather.is_calm
        with httpx2.Client(transport=self.wire) as client:
            url, key = f"{ENDPOINT}{path}", {"authorization": f"Bearer {SOMEBODY}"}
            try:
                return str(client.post(url, json=body, headers=key).status_code)
            except httpx2.HTTPError as error:
                return repr(error)  # it has its troubles with everyone
            finally:
                self.weather.is_calm = calm

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.note(text)
