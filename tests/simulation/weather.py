"""What may go wrong at a request or a commit, drawn from the seed: cuts, lost and late requests, threads that sleep."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import httpx2

from tests.simulation.mood import Mood
from tests.simulation.process import Killed, Process
from tests.simulation.threads import Threads
from tests.simulation.trace import Trace

DEEPEST = 3
PAUSES = 0.3
# With two processes a long sleep is how the lead is lost in the middle of a step.
LONG_PAUSES = {1: 0.04, 2: 0.2}
LONGEST_PAUSE_MS = 300_000


class Weather:
    """`aside` is what may happen while a request is under way, `storm` a while in which others go on and one thread
    sleeps; both are given by who makes the world. Calm weather: nothing goes wrong."""

    def __init__(
        self,
        chance: Random,
        mood: Mood,
        threads: Threads,
        trace: Trace,
        turn: Callable[[int], None],
        replicas: int,
    ) -> None:
        self.is_calm = False
        self.aside: Callable[[], None] = lambda: None
        self.storm: Callable[[], None] = lambda: None
        self.turn = turn
        self._chance = chance
        self._sleeps = mood.meanwhile * LONG_PAUSES[replicas]
        self._mood = mood
        self._threads = threads
        self._trace = trace

    def cut(self, where: str, times: int) -> None:
        """Perhaps kill the process that is acting; `times` as probably as elsewhere."""
        if (process := self._threads.process) is not None:
            self.cut_process(process, where, times)

    def cut_process(self, process: Process, where: str, times: int = 1) -> None:
        """Perhaps kill a process here."""
        if not self.is_calm and self._threads.depth and self._chance.random() < self._mood.kill * times:
            self._trace.note(f"! {process.gate.boot} is killed {where}")
            raise Killed(process)

    def trouble(self, request: httpx2.Request) -> str:
        """What goes wrong with a request; most of all with create calls, whose outcome is worth the most."""
        is_create = makes_job(request)
        likely = self._mood.trouble * (3 if is_create else 1)
        if self.is_calm or self._chance.random() >= likely:
            return ""
        kind = self._chance.choice(["refused", "lost before", "lost after"] + ["late", "late"] * is_create)
        self._trace.note(f"! {kind}: {request.method} {request.url.path}")
        return kind

    def late_by(self, most_ms: int) -> int:
        """How long a late request is on its way."""
        return self._chance.randint(0, most_ms)

    def pause(self) -> None:
        """A thread that nobody waits for does not go on for a while: its machine is busy, or was asleep."""
        if self._chance.random() < PAUSES:
            self.meanwhile(LONGEST_PAUSE_MS)
        elif self.is_calm or self._threads.depth > 1 or self._chance.random() >= self._sleeps:
            return
        else:
            self._trace.note("this thread sleeps, and the others go on")
            self.storm()

    def meanwhile(self, most_ms: int) -> None:
        """Other threads and people act, and time passes."""
        if self.is_calm or self._threads.depth >= DEEPEST or self._chance.random() >= self._mood.meanwhile:
            return
        self._trace.depth += 1
        for _ in range(self._chance.randint(1, 3)):
            if self._chance.random() < 0.3:
                self.turn(self._chance.randint(0, max(1, most_ms // 2)))
            self.aside()
        self._trace.depth -= 1

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self._trace.note(text)


def makes_job(request: httpx2.Request) -> bool:
    """Whether a request starts a job."""
    return request.method == "POST" and request.url.path.startswith("/api/jobs/") and request.url.path.count("/") == 3
