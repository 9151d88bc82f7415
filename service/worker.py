"""The steps, their intervals, and who wakes whom.

Each step runs in a thread of its own, one pass at a time. APScheduler is only the alarm clock: it wakes a step at its
interval, as the safety net; what makes a run start at once is that an event wakes the step which that event concerns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from service.flow import (
    admit,
    archive,
    billing,
    cancel,
    card,
    compare,
    ended,
    files,
    guard,
    hold,
    logs,
    measure,
    notify,
    preflight,
    prepare,
    prices,
    recover,
    retain,
    saving,
    schedule,
    submit,
    sweep,
    tidy,
    tokens,
    trigger,
    watch,
)
from service.flow.gate import Gate
from service.leader import Leader
from service.store.topics import EVERYTHING, Topics, steps_of

log = structlog.get_logger()
OFTEN_SECONDS = 30
# Before the first passes: the API answers first, as all of them at once take the interpreter for a moment.
BEGIN_SECONDS = 0.2
# By so much of its interval an alarm is early or late: together, passes would take the interpreter from one another.
JITTER = 0.05

# At a stop: so long for what is under way. What takes longer is the next leader's.
PASSES_SECONDS = 4.0


@dataclass(frozen=True)
class Step:
    """One pass over whatever is due. `wakes` names the steps that have work after a pass that moved something;
    a step is then one of them where it moved as many as `repeats_from`, as its next pass may find more. One that is
    woken often and that no run waits for collects what it is woken for over `calm_seconds`: its passes would take the
    interpreter from those that a run does wait for."""

    name: str
    run_once: Callable[[Gate], int]
    interval_seconds: float
    wakes: Sequence[str] = ()
    repeats_from: int | None = None
    calm_seconds: float = 0


def steps(poll_seconds: float, sweep_seconds: float) -> tuple[Step, ...]:
    """Every step of a run's life, and the one that keeps prices fresh."""
    return (
        Step("prices", prices.run_once, 30, wakes=("admit",)),
        Step("recover", recover.run_once, min(10, poll_seconds * 2), wakes=("admit", "watch", "notify")),
        Step("sweep", sweep.run_once, sweep_seconds, wakes=("submit", "admit", "watch", "notify")),
        Step("archive", archive.run_once, 10, wakes=("notify",)),
        Step("cancel", cancel.run_once, poll_seconds, wakes=("watch", "admit", "hold", "notify")),
        Step("schedule", schedule.run_once, 5, wakes=("prepare", "preflight", "cancel", "notify")),
        Step("trigger", trigger.run_once, 5, wakes=("prepare", "preflight", "cancel", "notify")),
        Step("compare", compare.run_once, 10, wakes=("cancel", "admit", "notify")),
        Step("hold", hold.run_once, 5, wakes=("admit", "cancel"), repeats_from=1, calm_seconds=0.1),
        Step("files", files.run_once, 5, wakes=("preflight", "hold", "notify"), repeats_from=1),
        Step("prepare", prepare.run_once, 5, wakes=("preflight", "hold", "notify"), repeats_from=2),
        Step("preflight", preflight.run_once, 5, wakes=("admit", "hold", "notify"), repeats_from=2),
        Step("admit", admit.run_once, 5, wakes=("submit", "hold", "notify"), repeats_from=1),
        Step("submit", submit.run_once, 5, wakes=("admit", "hold", "notify"), repeats_from=2),
        Step("watch", watch.run_once, poll_seconds, wakes=("admit", "cancel", "hold", "notify", "logs", "card")),
        Step("ended", ended.run_once, 60, wakes=("admit", "hold", "notify", "logs", "card")),
        Step("card", card.run_once, 15, calm_seconds=0.1),
        Step("logs", logs.run_once, poll_seconds, wakes=("guard",)),
        Step("guard", guard.run_once, 15, wakes=("cancel", "notify")),
        Step("measure", measure.run_once, 5),
        Step("saving", saving.run_once, 5),
        Step("tidy", tidy.run_once, 60),
        Step("retain", retain.run_once, 3600, repeats_from=1),
        # look themselves whether an hour has passed
        Step("tokens", tokens.run_once, 60),
        Step("billing", billing.run_once, 60, wakes=("notify",)),
        Step("notify", notify.run_once, 5, repeats_from=1, calm_seconds=0.02),
    )


@dataclass
class StepThread:
    """Runs one step whenever it is woken."""

    step: Step
    gate: Gate
    leader: Leader
    others: Mapping[str, StepThread]
    passed: Callable[[str, float], None]
    bell: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    last_pass: float | None = None
    thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, with a first pass in a moment."""
        self.thread = threading.Thread(target=self._run, name=f"step-{self.step.name}", daemon=True)
        self.thread.start()
        self.bell.set()

    def wake(self) -> None:
        """There may be work. A bell rung during a pass is answered by another pass."""
        self.bell.set()

    def stop(self) -> None:
        """No further pass; the one under way goes on."""
        self.stopping.set()
        self.bell.set()

    def is_over(self, seconds: float) -> bool:
        """Whether the pass under way has ended, waiting so long at most."""
        if self.thread is not None:
            self.thread.join(max(0.0, seconds))
        return self.thread is None or not self.thread.is_alive()

    def _run(self) -> None:
        self.stopping.wait(BEGIN_SECONDS)
        while True:
            self.bell.wait()
            self.stopping.wait(self.step.calm_seconds)
            self.bell.clear()
            if self.stopping.is_set():
                return
            if self.leader.is_leading():
                self._pass()
            elif not self.stopping.wait(1):
                self.bell.set()  # its first pass comes as soon as this process leads

    def _pass(self) -> None:
        began = time.monotonic()
        try:
            moved = self.step.run_once(self.gate)
        except Exception:
            log.exception("step_failed", step=self.step.name)
            return
        finally:
            self.last_pass = time.monotonic()
            self.passed(self.step.name, self.last_pass - began)
        if moved:
            log.debug("step_moved", step=self.step.name, moved=moved)
            if self.step.repeats_from is not None and moved >= self.step.repeats_from:
                self.wake()
            for name in self.step.wakes:
                self.others[name].wake()


class Worker:
    """All steps of one process. `passed` hears of every pass, and how many seconds it took."""

    def __init__(
        self,
        gate: Gate,
        leader: Leader,
        poll_seconds: float,
        sweep_seconds: float,
        passed: Callable[[str, float], None] = lambda _step, _seconds: None,
    ) -> None:
        self.gate = gate
        self.leader = leader
        self._threads: dict[str, StepThread] = {}
        for step in steps(poll_seconds, sweep_seconds):
            self._threads[step.name] = StepThread(step, gate, leader, self._threads, passed)
        if gate.followers is not None:
            gate.followers.on_end = self._threads["ended"].wake
        self._alarm = BackgroundScheduler(timezone="UTC")
        self._turning = threading.Lock()

    def start(self) -> None:
        """Let every step run by itself, with a first pass in a moment; not after a stop."""
        with self._turning:
            if not self.gate.stopping.is_set():
                self._start()

    def _start(self) -> None:
        for name, thread in self._threads.items():
            seconds = thread.step.interval_seconds
            self._alarm.add_job(thread.wake, "interval", seconds=seconds, jitter=seconds * JITTER, id=name)
        self._alarm.start()
        for thread in self._threads.values():
            thread.start()

    def hear(self, topics: Topics) -> None:
        """Wake the steps among what was told, whichever process wrote it; for everything, those that look often."""
        often = (name for name, thread in self._threads.items() if thread.step.interval_seconds <= OFTEN_SECONDS)
        for name in often if topics >= EVERYTHING else steps_of(topics):
            self._threads[name].wake()

    def stop(self) -> None:
        """Let the passes under way end, for a few seconds, and give the lead to the next process: what is not done by
        then is handed over. Whoever calls this later waits until it is done."""
        with self._turning:
            if self.gate.stopping.is_set():
                return
            self.gate.stopping.set()
            if self._alarm.running:
                self._alarm.shutdown(wait=False)
            for thread in self._threads.values():
                thread.stop()
            over_at = time.monotonic() + PASSES_SECONDS
            late = [name for name, thread in self._threads.items() if not thread.is_over(over_at - time.monotonic())]
            if self.gate.followers is not None:
                self.gate.followers.stop()
            self.leader.stop()
            log.info("steps_stopped", handed_over=late)

    def ages(self) -> dict[str, float | None]:
        """Seconds since each step's last pass; None before its first."""
        now = time.monotonic()
        return {
            name: None if thread.last_pass is None else round(now - thread.last_pass, 1)
            for name, thread in self._threads.items()
        }
