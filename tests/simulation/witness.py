"""Looks at the database after every commit, and says at once where an invariant was broken."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.domain.run import ACTIVE, EVENT, NEXT, RunState
from tests.simulation import books
from tests.simulation.admissions import Admissions
from tests.simulation.trace import Trace, demand
from tests.simulation.truth import Truth

STATE_OF = {**{event: state for state, event in EVENT.items()}, "run.retrying": RunState.QUEUED}
RUNS = (
    "SELECT id, team, state, reason, attempt, sequence, failure, output, sealed_secrets IS NOT NULL,"
    " cancel_requested_at FROM run ORDER BY id"
)
NEWS = "SELECT rowid, subject, sequence, type, data FROM event WHERE rowid > ? ORDER BY rowid"


@dataclass(frozen=True)
class Seen:
    """A run as one commit left it."""

    id: str
    team: str
    state: RunState
    reason: str | None
    attempt: int
    sequence: int
    failure: str | None
    output: str | None
    holds_secrets: bool
    cancel_requested_at: str | None


class Witness:
    """Remembers what was last committed. Reads through a connection of its own."""

    def __init__(
        self, path: Path, trace: Trace, max_active_runs: int, truth: Truth, prices: Mapping[str, set[int]]
    ) -> None:
        self.runs: dict[str, Seen] = {}
        self.outcomes: dict[str, tuple[object, ...]] = {}
        self._path = path
        self._trace = trace
        self._truth = truth
        self._admissions = Admissions(max_active_runs, truth, prices)
        self._sequences: dict[str, int] = {}
        self._last_event = 0
        self._last_entry = 0
        self.database = self._open()

    def reopen(self) -> None:
        """The file is another one: what was seen of what it does not know is forgotten."""
        self.database.close()
        self.database = self._open()
        self.runs = self._read()
        # as this file tells them: a backup may be older than one that was put back since, and tell of other ends
        self.outcomes = {seen.id: self._outcome(seen) for seen in self.runs.values() if seen.state.is_terminal}
        self._last_event = self.database.execute("SELECT coalesce(max(rowid), 0) FROM event").fetchone()[0]
        self._last_entry = books.last_entry(self.database)
        told = self.database.execute("SELECT subject, max(sequence) FROM event GROUP BY subject").fetchall()
        self._sequences = dict(told)

    def look(self, stepping: str | None) -> None:
        """After a commit: what moved, and whether it was allowed to. `stepping`: the boot whose step it was."""
        if stepping is not None:
            self._check_lead(stepping)
        now = self._read()
        told = self._told()
        for run_id, seen in now.items():
            self._check_story(self.runs.get(run_id), seen, told.get(run_id, []))
            if seen.state.is_terminal:
                self._check_ending(seen)
        demand(self.runs.keys() <= now.keys(), 1, f"runs are gone: {self.runs.keys() - now.keys()}")
        self.runs = now
        if (last := books.last_entry(self.database)) != self._last_entry:
            self._check_money()
            self._last_entry = last

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)

    def _read(self) -> dict[str, Seen]:
        rows = self.database.execute(RUNS).fetchall()
        return {row[0]: Seen(row[0], row[1], RunState(row[2]), *row[3:8], bool(row[8]), row[9]) for row in rows}

    def _check_lead(self, boot: str) -> None:
        """Where there is a lease, whoever writes for a step holds it."""
        lease = self.database.execute("SELECT holder, fence FROM lease").fetchone()
        demand(lease is None or lease[0] == boot, 0, f"a step of {boot} wrote, and the lease is {lease}")

    def _told(self) -> dict[str, list[tuple[int, str, str]]]:
        """The new events of each run: sequence, type, the state they carry. No subject's sequence has a gap."""
        told: dict[str, list[tuple[int, str, str]]] = {}
        for rowid, subject, sequence, kind, data in self.database.execute(NEWS, (self._last_event,)):
            self._last_event = rowid
            before = self._sequences.get(subject, 0)
            demand(sequence == before + 1, 7, f"{subject}: event {sequence} ({kind}) follows {before}")
            self._sequences[subject] = sequence
            if subject.startswith("run_"):
                told.setdefault(subject, []).append((sequence, kind, json.loads(data).get("state")))
        return told

    def _check_story(self, before: Seen | None, seen: Seen, told: list[tuple[int, str, str]]) -> None:
        """The events of this commit tell exactly the moves of this commit."""
        state = None if before is None else before.state
        if before is None or (before.state, before.reason) != (seen.state, seen.reason):
            self._trace.note(f"* {seen.id[-6:]} {state} -> {seen.state} ({seen.reason}) attempt {seen.attempt}")
        if not told and before is not None and before.state is seen.state:
            demand(seen.sequence == before.sequence, 7, f"{seen.id} counts an event that was not told")
            return
        if state is RunState.QUEUED and seen.state is not RunState.QUEUED and seen.state in ACTIVE:
            state = RunState.SUBMITTING  # admission is told by what follows it
        for _, kind, told_state in told:
            if (following := STATE_OF.get(kind)) is None:
                continue  # a pause, an approval: the run stays where it is
            demand(told_state == following, 7, f"{seen.id}: {kind} carries the state {told_state}")
            if state is RunState.QUEUED and following is RunState.STARTING:
                state = RunState.SUBMITTING
            allowed = following is RunState.QUEUED if state is None else following in NEXT[state]
            demand(allowed, 7, f"{seen.id}: {kind} is told of a run that was {state}")
            state = following
        demand(state is seen.state, 7, f"{seen.id} is {seen.state}, its events say {state}")
        last = self._sequences.get(seen.id, 0)
        demand(seen.sequence == last, 7, f"{seen.id} is at {seen.sequence}, its events at {last}")

    def _check_ending(self, seen: Seen) -> None:
        demand(not seen.holds_secrets, 9, f"{seen.id} has ended and still holds secrets")
        outcome = self._outcome(seen)
        first = self.outcomes.setdefault(seen.id, outcome)
        demand(outcome == first, 10, f"{seen.id} ended as {first} and is now {outcome}")

    def _outcome(self, seen: Seen) -> tuple[object, ...]:
        return (seen.state, seen.reason, seen.failure, seen.output, books.cost_of(self.database, seen.id))

    def _check_money(self) -> None:
        standings = books.standings(self.database)
        for standing in standings.values():
            sums = (standing.entries_reserved, standing.entries_charged)
            demand(
                (standing.reserved, standing.charged) == sums,
                6,
                f"{standing.name}: the window says {standing.reserved, standing.charged}, its entries {sums}",
            )
        self._truth.note_jobs()
        for submission, run_id in books.reserved_after(self.database, self._last_entry):
            if self.runs[run_id].state is RunState.SUBMITTING:  # else a job that was there already was taken up
                self._admissions.check(self.database, run_id, submission, standings)
