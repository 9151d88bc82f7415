"""Looks at the database after every commit, and says at once where an invariant was broken."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from service.domain.run import ACTIVE, EVENT, NEXT, RunState
from tests.simulation import books
from tests.simulation.trace import Trace, demand

STATE_OF = {event: state for state, event in EVENT.items()}
RUNS = (
    "SELECT id, team, state, reason, attempt, sequence, failure, output, sealed_secrets IS NOT NULL,"
    " cancel_requested_at FROM run ORDER BY id"
)


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

    def __init__(self, path: str, trace: Trace, max_active_runs: int) -> None:
        self.database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.runs: dict[str, Seen] = {}
        self.outcomes: dict[str, tuple[object, ...]] = {}
        self._trace = trace
        self._max_active_runs = max_active_runs
        self._last_event = 0
        self._last_entry = 0

    def look(self) -> None:
        """After a commit: what moved, and whether it was allowed to."""
        now = {row[0]: Seen(row[0], row[1], RunState(row[2]), *row[3:8], bool(row[8]), row[9]) for row in self._rows()}
        told = self._told()
        for run_id, seen in now.items():
            before = self.runs.get(run_id)
            self._check_story(before, seen, told.get(run_id, []))
            if seen.state.is_terminal:
                self._check_ending(seen)
        demand(self.runs.keys() <= now.keys(), 1, f"runs are gone: {self.runs.keys() - now.keys()}")
        self.runs = now
        self._check_admissions()
        self._check_sums()

    def _rows(self) -> list[tuple[object, ...]]:
        return list(self.database.execute(RUNS))

    def _told(self) -> dict[str, list[tuple[int, str, str]]]:
        """The new events of each run: sequence, type, the state they carry."""
        told: dict[str, list[tuple[int, str, str]]] = {}
        for rowid, run_id, sequence, kind, data in self.database.execute(
            "SELECT rowid, subject, sequence, type, data FROM event"
            " WHERE rowid > ? AND subject LIKE 'run_%' ORDER BY rowid",
            (self._last_event,),
        ):
            self._last_event = rowid
            told.setdefault(run_id, []).append((sequence, kind, json.loads(data)["state"]))
        return told

    def _check_story(self, before: Seen | None, seen: Seen, told: list[tuple[int, str, str]]) -> None:
        """The events of this commit tell exactly the moves of this commit."""
        state = None if before is None else before.state
        if before is None or (before.state, before.reason) != (seen.state, seen.reason):
            self._trace.note(f"* {seen.id[-6:]} {state} -> {seen.state} ({seen.reason}) attempt {seen.attempt}")
        if state is RunState.QUEUED and seen.state is not RunState.QUEUED and seen.state in ACTIVE:
            state = RunState.SUBMITTING  # admission is told by what follows it
        sequence = 0 if before is None else before.sequence
        for told_sequence, kind, told_state in told:
            following = STATE_OF[kind]
            sequence += 1
            demand(told_sequence == sequence, 7, f"{seen.id}: event {told_sequence} follows {sequence - 1}")
            demand(told_state == following, 7, f"{seen.id}: {kind} carries the state {told_state}")
            allowed = following is RunState.QUEUED if state is None else following in NEXT[state]
            demand(allowed, 7, f"{seen.id}: {kind} is told of a run that was {state}")
            state = following
        demand(state is seen.state, 7, f"{seen.id} is {seen.state}, its events say {state}")
        demand(seen.sequence == sequence, 7, f"{seen.id} is at {seen.sequence}, its events at {sequence}")

    def _check_ending(self, seen: Seen) -> None:
        demand(not seen.holds_secrets, 9, f"{seen.id} has ended and still holds secrets")
        cost = books.cost_of(self.database, seen.id)
        outcome = (seen.state, seen.reason, seen.failure, seen.output, cost)
        first = self.outcomes.setdefault(seen.id, outcome)
        demand(outcome == first, 10, f"{seen.id} ended as {first} and is now {outcome}")

    def _check_admissions(self) -> None:
        for entry, window, run_id in books.reservations_after(self.database, self._last_entry):
            self._last_entry = entry
            standing = books.standings(self.database)[window]
            taken = standing.reserved + standing.charged
            demand(
                taken <= standing.limit,
                4,
                f"{run_id} was admitted and team {standing.name} now has {taken} of {standing.limit}",
            )
            self._check_slots(run_id)

    def _check_slots(self, run_id: str) -> None:
        team = self.runs[run_id].team
        active = [seen for seen in self.runs.values() if seen.state in ACTIVE]
        mine = sum(seen.team == team for seen in active)
        most = self.database.execute("SELECT max_concurrent_runs FROM team WHERE name = ?", (team,)).fetchone()[0]
        demand(len(active) <= self._max_active_runs, 5, f"{run_id} was admitted: {len(active)} runs are active")
        demand(most is None or mine <= most, 5, f"{run_id} was admitted: {mine} runs of {team}, whose limit is {most}")

    def _check_sums(self) -> None:
        for standing in books.standings(self.database).values():
            sums = (standing.entries_reserved, standing.entries_charged)
            demand(
                (standing.reserved, standing.charged) == sums,
                6,
                f"team {standing.name}: the window says {standing.reserved, standing.charged}, its entries {sums}",
            )
