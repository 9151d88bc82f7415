"""One installation in its world: processes on one database, the sandbox, a clock, and whatever the seed lets happen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from types import ModuleType

import httpx2
import ulid

from service.flow import admit, billing, cancel, hold, logs, notify, prices, recover, submit, sweep, watch
from service.flow.gate import Gate
from service.sandbox import jobs_api
from service.sandbox.accounts import REPO_RIGHTS, SANDBOX, Accounts, Token
from service.sandbox.core import Sandbox
from service.sandbox.faults import Faults
from service.sandbox.hardware import HARDWARE
from tests.simulation.clock import SimulatedClock
from tests.simulation.mood import draw_mood
from tests.simulation.process import CONTROL_TOKEN, JOB_TOKEN, Killed, Process, Surroundings
from tests.simulation.secrets_kept import Secrets
from tests.simulation.trace import Trace, Violation
from tests.simulation.truth import Truth
from tests.simulation.wire import SimulatedWire, is_create
from tests.simulation.witness import Witness

FLAVORS = ("cpu-basic", "cpu-upgrade", "t4-small", "a10g-large")
DEEPEST = 3
PAUSES = 0.3
LONG_PAUSES = 0.02
LONGEST_PAUSE_MS = 300_000
TOKENS = (
    Token(CONTROL_TOKEN, SANDBOX, "fineGrained", "control", ("job.write", *REPO_RIGHTS)),
    Token(JOB_TOKEN, SANDBOX, "fineGrained", "job", REPO_RIGHTS),
)
STEPS: dict[str, ModuleType] = {
    "prices": prices,
    "recover": recover,
    "sweep": sweep,
    "cancel": cancel,
    "hold": hold,
    "admit": admit,
    "submit": submit,
    "watch": watch,
    "logs": logs,
    "billing": billing,
    "notify": notify,
}


class World:
    """Everything that one seed makes. `aside` is what may happen while a request is under way."""

    def __init__(self, seed: int, path: Path, replicas: int = 1) -> None:
        self.chance = Random(seed)
        # two sources more, so that ids and sandbox do not shift what is drawn for the story
        ids = Random(seed + 1)
        ulid.default_generator = ulid.ULIDGenerator(randomness=lambda _timestamp: ids.randbytes(10))
        self.clock = SimulatedClock()
        self.trace = Trace(self.clock)
        self.mood = draw_mood(self.chance)
        self.is_calm = False
        self.aside: Callable[[World], None] = lambda _world: None
        self.core = Sandbox(accounts=Accounts(TOKENS), execute=False, page_size=5, seed=seed)
        # prices change here, and only in this world
        self.hardware = copy.deepcopy([row for row in HARDWARE if row["name"] in FLAVORS])
        jobs_api.HARDWARE = self.hardware
        self.wire = SimulatedWire(self.core, self.clock, self)
        self.truth = Truth(self.core)
        self.secrets = Secrets()
        self.witness = Witness(str(path), self.trace, self.mood.limits.max_concurrent_runs)
        surroundings = Surroundings(
            url=f"sqlite:///{path}",
            wire=self.wire,
            limits=self.mood.limits,
            wall=self.clock.wall,
            monotonic=self.clock.monotonic,
            cut=self._cut_process,
            committed=self.witness.look,
            pause=self.pause,
        )
        self._stack: list[Process] = []
        self.processes = [Process(name, surroundings) for name in ("one", "two")[:replicas]]

    def close(self) -> None:
        """Let go of files and connections."""
        for process in self.processes:
            process.stop()
        self.witness.database.close()

    @property
    def gate(self) -> Gate:
        """The gate of the first process: the one that answers requests."""
        return self.processes[0].gate

    def run_step(self, process: Process, name: str) -> None:
        """One pass of a step, unless that step is under way in this process: each step is one thread."""
        if name in process.busy:
            return
        gate = process.gate

        def act() -> None:
            process.busy.add(name)
            self.trace.begin(f"{gate.boot}: {name}")
            try:
                if name == "notify":  # nobody is subscribed: what is left of it is stamping the feed
                    gate.db.write(partial(notify._fan_out, now=gate.clock()))
                else:
                    STEPS[name].run_once(gate)
            except Exception as error:
                raise Violation(0, f"the step {name} failed: {error!r}") from error
            process.busy.discard(name)
            self.trace.end()

        self.within(process, act)

    def run_all(self, process: Process) -> None:
        """One pass of every step, in the order of the worker's list."""
        for name in STEPS:
            self.run_step(process, name)

    def within(self, process: Process, act: Callable[[], None]) -> bool:
        """Act in a process. False: it was killed at it, and has started again. Where it has other threads under way
        below this one, those end first."""
        depth = self.trace.depth
        self._stack.append(process)
        self.trace.depth += 1
        try:
            act()
        except Killed as killed:
            self._stack.pop()
            self.trace.depth = depth
            if killed.process in self._stack:
                if process is not killed.process:
                    process.die()
                raise
            process.die()
            self.trace.note(f"{process.name} starts again as {process.gate.boot}")
            return False
        self._stack.pop()
        self.trace.depth = depth
        return True

    def turn(self, milliseconds: int) -> None:
        """Let time pass: late requests arrive, jobs move."""
        until = self.clock.true + timedelta(milliseconds=milliseconds)
        self.wire.deliver(until)
        self.clock.advance_to(until)
        self.core.tick(until)

    def look(self) -> None:
        """Compare with the truth, between two actions."""
        self.truth.look(self.witness.runs, self.clock.true)
        self.secrets.check_log()

    def faults(self, **faults: float | str) -> None:
        """Switch the sandbox's faults; those not named are off."""
        self.core.faults.set(replace(Faults.parse(faults), seed=self.chance.getrandbits(30)))

    def force(self, job_id: str, **ending: object) -> None:
        """End a job as only Hugging Face could."""
        self.is_calm, calm = True, self.is_calm
        with httpx2.Client(transport=self.wire) as client:
            client.post(f"http://hub.test/sandbox/jobs/{job_id}", json=ending).raise_for_status()
        self.is_calm = calm

    # what the wire asks of the world

    def cut(self, where: str, times: int) -> None:
        """Perhaps kill the process that is acting; `times` as probably as elsewhere."""
        if self._stack:
            self._cut_process(self._stack[-1], where, times)

    def trouble(self, request: httpx2.Request) -> str:
        """What goes wrong with a request; most of all with create calls, whose outcome is worth the most."""
        likely = self.mood.trouble * (3 if is_create(request) else 1)
        if self.is_calm or self.chance.random() >= likely:
            return ""
        kinds = ["refused", "lost before", "lost after"] + ["late", "late"] * is_create(request)
        kind = self.chance.choice(kinds)
        self.trace.note(f"! {kind}: {request.method} {request.url.path}")
        return kind

    def late_by(self, most_ms: int) -> int:
        """How long a late request is on its way."""
        return self.chance.randint(0, most_ms)

    def pause(self) -> None:
        """A thread that nobody waits for does not go on for a while: its machine is busy, or was asleep."""
        if self.chance.random() < PAUSES:
            self.meanwhile(LONGEST_PAUSE_MS)
        elif self.is_calm or len(self._stack) > 1 or self.chance.random() >= self.mood.meanwhile * LONG_PAUSES:
            return
        else:
            self.note("this thread sleeps, and the others go on")
            for _ in range(self.chance.randint(3, 9)):
                self.turn(self.chance.randint(5_000, 60_000))
                self.run_all(self.chance.choice(self.processes))

    def meanwhile(self, most_ms: int) -> None:
        """Other threads and people act, and time passes."""
        if self.is_calm or len(self._stack) >= DEEPEST or self.chance.random() >= self.mood.meanwhile:
            return
        self.trace.depth += 1
        for _ in range(self.chance.randint(1, 3)):
            if self.chance.random() < 0.3:
                self.turn(self.chance.randint(0, max(1, most_ms // 2)))
            self.aside(self)
            self.truth.look(self.witness.runs, self.clock.true)
        self.trace.depth -= 1

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.note(text)

    def _cut_process(self, process: Process, where: str, times: int = 1) -> None:
        if not self.is_calm and self._stack and self.chance.random() < self.mood.kill * times:
            self.trace.note(f"! {process.gate.boot} is killed {where}")
            raise Killed(process)
