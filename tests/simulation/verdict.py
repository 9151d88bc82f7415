"""The end of a simulation: trouble stops, everything comes to its end, and all ten invariants are checked."""

from __future__ import annotations

import sqlite3

from service.domain.budget import Period
from service.store.budgets import Owner, Terms
from tests.simulation import reckoning
from tests.simulation.endings import check_endings
from tests.simulation.leads import Leads
from tests.simulation.origins import Origins
from tests.simulation.people import People
from tests.simulation.trace import demand
from tests.simulation.world import World

MOST_ROUNDS = 80
SHORT_ROUNDS = 4
SHORT_MS = 50_000
LONG_MS = (300_000, 1_200_000, 3_600_000, 7_200_000)
DAY_MS = 24 * 3_600_000
PLENTY = Terms(10**12)
BUDGETS = "SELECT team, user, origin, period FROM budget WHERE ended_at IS NULL ORDER BY id"


def drain(world: World, leads: Leads, origins: Origins) -> None:
    """No more faults, cuts or want of money: in a bounded number of rounds every run and every job has ended."""
    world.note("from here on nothing goes wrong")
    world.weather.is_calm = True
    world.faults()
    _let_go(world, leads)
    origins.let_go()
    for round_ in range(MOST_ROUNDS):
        _pass(world)
        if _is_over(world):
            break
        world.turn(SHORT_MS if round_ < SHORT_ROUNDS else LONG_MS[min(round_ - SHORT_ROUNDS, len(LONG_MS) - 1)])
    going = [(seen.id, seen.state, seen.reason) for seen in world.witness.runs.values() if not seen.state.is_terminal]
    demand(not going, 8, f"after {MOST_ROUNDS} calm rounds these go on: {going}")
    # a day later nothing has changed
    world.turn(DAY_MS)
    _pass(world)


def judge(world: World, people: People, origins: Origins) -> None:
    """All that can be said only at the end."""
    people.check_answers()
    people_repeat(people)
    origins.check()
    database = world.witness.database
    world.truth.check_owners(database)
    check_endings(world.witness.runs, world.truth.jobs, world.core.hub, database)
    reckoning.check_conservation(database)
    reckoning.check_charges(database, world.truth)
    reckoning.check_strays(database, world.truth)
    _check_feed(database)
    world.secrets.check_jobs(world.truth.jobs.values())
    world.secrets.check_database(database)
    world.secrets.check_log()


def people_repeat(people: People) -> None:
    """Every request that was answered is answered so once more."""
    for promise in list(people.promises):
        if promise.run_id is not None:
            people.submit(promise.team, promise.user, promise.body, promise)


def _let_go(world: World, leads: Leads) -> None:
    """Money and slots for everyone, and nothing held back."""
    for team, user, origin, period in world.witness.database.execute(BUDGETS).fetchall():
        leads.budget(Owner(team, user, origin), Period(period), PLENTY)
    leads.organisation(max_concurrent_runs=None, max_concurrent_runs_by_flavor={}, max_concurrent_runs_by_namespace={})
    leads.pause_queue(False)
    for team in world.mood.teams:
        leads.budget(Owner(team), Period.MONTH, PLENTY)
        leads.limit(team, None, None)
        leads.pause_team(team, False)
        leads.rules(team)
    for run_id, paused_at, approval in world.witness.database.execute(
        "SELECT id, paused_at, approval FROM run WHERE finished_at IS NULL ORDER BY id"
    ).fetchall():
        if paused_at is not None:
            leads.pause(run_id, False)
        if approval == "needed":
            leads.judge(run_id, True)


def _pass(world: World) -> None:
    for process in world.processes:
        world.threads.run_all(process)
    world.look()


def _is_over(world: World) -> bool:
    has_ended = all(seen.state.is_terminal for seen in world.witness.runs.values())
    return has_ended and world.wire.is_quiet and all(job.is_terminal for job in world.truth.jobs.values())


def _check_feed(database: sqlite3.Connection) -> None:
    """Positions without gaps or repeats, each subject's events in order, and a delivery of each to whoever asked."""
    last: dict[str, int] = {}
    rows = database.execute("SELECT position, subject, sequence FROM event ORDER BY position").fetchall()
    demand([row[0] for row in rows] == list(range(1, len(rows) + 1)), 7, f"positions {[row[0] for row in rows]}")
    for position, subject, sequence in rows:
        demand(sequence == last.get(subject, 0) + 1, 7, f"{subject}: event {sequence} is at position {position}")
        last[subject] = sequence
    (told,) = database.execute("SELECT count(DISTINCT event_id) FROM delivery").fetchone()
    demand(told == len(rows), 7, f"the feed has {len(rows)} events, the webhook's deliveries {told}")
