"""What must hold at each admission: money, slots, and whatever people hold back. Read anew, by rules of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation import books, exposure
from tests.simulation.books import Standing
from tests.simulation.trace import demand
from tests.simulation.truth import Truth

ADMITTED = (
    "SELECT r.id, r.team, r.requested_by, r.flavor, r.namespace, lower(r.output_repo), r.origin,"
    " a.admitted_at, a.price_per_minute_micro_usd, a.timeout_seconds FROM run r"
    " JOIN attempt a ON a.run_id = r.id AND a.attempt = r.attempt WHERE a.submission = ?"
)
ACTIVE = (
    "SELECT id, team, requested_by, flavor, namespace, lower(output_repo), origin FROM run"
    " WHERE state IN ('submitting', 'starting', 'running')"
)
HELD = (
    "SELECT CASE WHEN r.paused_at IS NOT NULL THEN 'it is paused' WHEN t.paused_at IS NOT NULL THEN 'its team is'"
    " WHEN (SELECT paused_at FROM organisation) IS NOT NULL THEN 'the queue is paused'"
    " WHEN r.approval = 'needed' THEN 'nobody approved it'"
    " WHEN r.cancel_requested_at IS NOT NULL THEN 'it was cancelled'"
    " WHEN EXISTS (SELECT 1 FROM dependency d JOIN run o ON o.id = d.after_run_id"
    " WHERE d.run_id = r.id AND o.state != 'succeeded') THEN 'it comes after a run that has not succeeded' END"
    " FROM run r JOIN team t ON t.name = r.team WHERE r.id = ?"
)
LIMITS = "SELECT max_concurrent_runs, max_concurrent_runs_by_flavor, max_concurrent_runs_by_namespace FROM organisation"
# What a run and its children have cost and may cost yet, overruns aside, against the cap of all of them.
FAMILY = (
    "SELECT p.id, p.max_cost_micro_usd, (SELECT sum(CASE e.kind WHEN 'reserve' THEN e.amount_micro_usd"
    " WHEN 'release' THEN -e.amount_micro_usd ELSE 0 END) FROM ledger_entry e JOIN run o ON o.id = e.run_id"
    " WHERE o.id = p.id OR o.parent = p.id) FROM run r JOIN run p ON p.id = coalesce(r.parent, r.id) WHERE r.id = ?"
)
OF_ORIGIN = "SELECT max_concurrent_runs FROM origin WHERE id = ?"
OF_TEAM = "SELECT max_concurrent_runs, max_concurrent_runs_per_user FROM team WHERE name = ?"


@dataclass(frozen=True)
class Admitted:
    """A run at its admission."""

    id: str
    team: str
    user: str
    flavor: str
    namespace: str
    output_repo: str | None
    origin: str | None
    at: str
    price: int
    timeout: int


class Admissions:
    """Checks each one once, in the state that its own commit left."""

    def __init__(self, max_active_runs: int, truth: Truth, prices: Mapping[str, set[int]]) -> None:
        self._max_active_runs = max_active_runs
        self._truth = truth
        self._prices = prices

    def check(
        self, database: sqlite3.Connection, run_id: str, submission: str, standings: Mapping[str, Standing]
    ) -> None:
        """Raise Violation where this admission should not have been."""
        run = Admitted(*database.execute(ADMITTED, (submission,)).fetchone())
        demand(run.price in self._prices[run.flavor], 4, f"{run_id} was admitted at {run.price}, never a price")
        (held,) = database.execute(HELD, (run_id,)).fetchone()
        demand(held is None, 0, f"{run_id} was admitted although {held}")
        self._check_money(database, run, submission, standings)
        self._check_slots(database, run)

    def _check_money(
        self, database: sqlite3.Connection, run: Admitted, submission: str, standings: Mapping[str, Standing]
    ) -> None:
        head, cap, committed = database.execute(FAMILY, (run.id,)).fetchone()
        demand(
            cap is None or committed <= cap, 4, f"{run.id}: {head} and its children take {committed} of a cap of {cap}"
        )
        mine = books.windows_of(database, submission)
        above = books.windows_above(database, run.team, run.user, run.origin, run.at)
        demand(mine == above, 4, f"{run.id} counts in {sorted(mine)}, the open windows above it are {sorted(above)}")
        demand(
            any(standings[window].name.startswith(run.team) for window in mine),
            4,
            f"{run.id} was admitted, and its team has no budget",
        )
        jobs = self._truth.of_submissions
        for window in sorted(mine):
            standing = standings[window]
            told = standing.reserved + standing.charged + standing.outside
            real = exposure.committed(database, window, jobs) + standing.outside
            demand(
                not standing.is_hard or max(told, real) <= standing.limit,
                4,
                f"{run.id} was admitted, and {standing.name} has {told} of {standing.limit} taken, {real} by its jobs",
            )

    def _check_slots(self, database: sqlite3.Connection, run: Admitted) -> None:
        most, by_flavor, by_namespace = database.execute(LIMITS).fetchone()
        of_team, per_user = database.execute(OF_TEAM, (run.team,)).fetchone()
        active = database.execute(ACTIVE).fetchall()
        taken = {
            "the installation": (len(active), self._max_active_runs),
            "the organisation": (len(active), most),
            run.flavor: (sum(row[3] == run.flavor for row in active), json.loads(by_flavor).get(run.flavor)),
            run.namespace: (
                sum(row[4] == run.namespace for row in active),
                json.loads(by_namespace).get(run.namespace),
            ),
            f"team {run.team}": (sum(row[1] == run.team for row in active), of_team),
            f"user {run.user}": (sum(row[1:3] == (run.team, run.user) for row in active), per_user),
        }
        if run.origin is not None:
            (most,) = database.execute(OF_ORIGIN, (run.origin,)).fetchone()
            taken[run.origin] = (sum(row[6] == run.origin for row in active), most)
        for whose, (count, limit) in taken.items():
            demand(limit is None or count <= limit, 5, f"{run.id} was admitted: {count} of {limit} runs of {whose}")
        writers = [row[0] for row in active if run.output_repo is not None and row[5] == run.output_repo]
        demand(len(writers) <= 1, 0, f"{writers} write to {run.output_repo} at once")
