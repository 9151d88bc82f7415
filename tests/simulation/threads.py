"""What runs inside what: processes with their steps, each step one thread, each killed with its process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from service import worker
from service.flow import notify
from service.store.lease import LeadLost
from tests.simulation.process import Killed, Process
from tests.simulation.trace import Trace, Violation

# what the worker runs, in its order; its intervals do not matter here
# None follows logs here, so that `ended` has nothing to do.
STEPS = {step.name: step for step in worker.steps(poll_seconds=1, sweep_seconds=1) if step.name != "ended"}


class Threads:
    """A stack: while one thread waits for an answer, others act above it."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._stack: list[tuple[Process, str]] = []

    @property
    def depth(self) -> int:
        """How many threads are under way."""
        return len(self._stack)

    @property
    def process(self) -> Process | None:
        """The process that acts just now."""
        return self._stack[-1][0] if self._stack else None

    @property
    def stepping(self) -> str | None:
        """The boot that a step of acts just now; None where it is a request or the lease."""
        return self._stack[-1][0].gate.boot if self._stack and self._stack[-1][1] in STEPS else None

    def run_all(self, process: Process) -> None:
        """One pass of every step, in the order of the worker's list."""
        for name in STEPS:
            self.run_step(process, name)

    def run_step(self, process: Process, name: str) -> None:
        """One pass of a step, unless it is under way in this process or another process leads."""
        if name in process.busy or not self._leads(process):
            return
        gate = process.gate

        def act() -> None:
            process.busy.add(name)
            self._trace.begin(f"{gate.boot}: {name}")
            try:
                if name == "notify":  # nobody listens: what is left of it is stamping the feed and making deliveries
                    gate.write(partial(notify._apply, tries=[], gate=gate))
                else:
                    STEPS[name].run_once(gate)
            except LeadLost:
                self._trace.note(f"{gate.boot} was taken over, and drops what {name} was about to write")
            except Exception as error:
                raise Violation(0, f"the step {name} failed: {error!r}") from error
            process.busy.discard(name)
            self._trace.end()

        self.within(process, act, name)

    def within(self, process: Process, act: Callable[[], None], name: str = "request") -> bool:
        """Act in a process. False: it was killed at it, and has started again. Where it has other threads under way
        below this one, those end first."""
        depth = self._trace.depth
        self._stack.append((process, name))
        self._trace.depth += 1
        try:
            act()
        except Killed as killed:
            self._stack.pop()
            self._trace.depth = depth
            if any(killed.process is below for below, _ in self._stack):
                if process is not killed.process:
                    self.restart(process)
                raise
            self.restart(process)
            return False
        self._stack.pop()
        self._trace.depth = depth
        return True

    def restart(self, process: Process) -> None:
        """It dies, and starts again on the same file."""
        process.stop()
        process.start()
        self._trace.note(f"{process.name} starts again as {process.gate.boot}")

    def _leads(self, process: Process) -> bool:
        answer: list[bool] = []
        self.within(process, lambda: answer.append(process.is_leading()), "lease")
        return answer == [True]
