"""The end of a simulation: trouble stops, everything comes to its end, and all ten invariants are checked."""

from __future__ import annotations

from datetime import datetime

from service.domain.money import ceiling
from service.sandbox.jobs import Job
from tests.simulation import books
from tests.simulation.people import People
from tests.simulation.trace import demand
from tests.simulation.world import World

MOST_ROUNDS = 150
SHORT_ROUNDS = 9
PLENTY = 10**12


def drain(world: World, people: People) -> None:
    """No more faults, cuts or want of money: in a bounded number of rounds every run has ended."""
    world.note("from here on nothing goes wrong")
    world.is_calm = True
    world.faults()
    for team in world.mood.teams:
        people.budget(team, PLENTY)
        people.limit(team, None)
    for round_ in range(MOST_ROUNDS):
        world.run_all(world.processes[0])
        world.look()
        if all(seen.state.is_terminal for seen in world.witness.runs.values()) and world.wire.is_quiet:
            break
        world.turn(20_000 if round_ < SHORT_ROUNDS else 1_200_000)
    going = [(seen.id, seen.state, seen.reason) for seen in world.witness.runs.values() if not seen.state.is_terminal]
    demand(not going, 8, f"after {MOST_ROUNDS} calm rounds these go on: {going}")
    # a day later nothing has changed
    world.turn(24 * 3_600_000)
    world.run_all(world.processes[0])
    world.look()


def judge(world: World, people: People) -> None:
    """All that can be said only at the end."""
    people.check_answers()
    people_repeat(people)
    database = world.witness.database
    world.truth.check_owners(database)
    world.truth.check_endings(world.witness.runs, database)
    _check_conservation(world)
    _check_charges(world)
    _check_feed(world)
    world.secrets.check_jobs(world.truth.jobs.values())
    world.secrets.check_database(database)
    world.secrets.check_log()


def people_repeat(people: People) -> None:
    """Every request that was answered is answered so once more."""
    for promise in list(people.promises):
        if promise.run_id is not None:
            people.submit(promise.team, promise.body, promise)


def _check_conservation(world: World) -> None:
    """Each reservation was closed, once: charge + release = reserve + overrun."""
    for (submission, _window), kinds in books.by_submission(world.witness.database).items():
        if "stray" in kinds:
            continue  # nothing was reserved for it
        sums = {kind: sum(amount for amount, _ in entries) for kind, entries in kinds.items()}
        charge, release, reserve, overrun = (sums.get(kind, 0) for kind in ("charge", "release", "reserve", "overrun"))
        demand(len(kinds["reserve"]) == 1, 6, f"{submission} was reserved {len(kinds['reserve'])} times")
        demand(len(kinds["charge"]) <= 1, 6, f"{submission} was charged {len(kinds['charge'])} times")
        demand(charge + release == reserve + overrun, 6, f"{submission} does not close: {sums}")
        demand(not (release and overrun), 6, f"{submission} ran over and was given money back: {sums}")


def _check_charges(world: World) -> None:
    """What a job cost by Hugging Face's own times and the price that was frozen."""
    database = world.witness.database
    entries = books.by_submission(database)
    for submission, job_id, price, timeout, source in database.execute(
        "SELECT submission, hub_job_id, price_per_minute_micro_usd, timeout_seconds, metered_source FROM attempt"
    ).fetchall():
        mine = {window: kinds for (one, window), kinds in entries.items() if one == submission}
        for kinds in mine.values():
            charges, reserves = kinds.get("charge", []), kinds["reserve"]
            demand(reserves[0] == (ceiling(price, timeout), price), 6, f"{submission} reserved {reserves}")
            if job_id is None:
                demand(not charges, 6, f"{submission} had no job, and was charged {charges}")
            elif source != "observed" and world.truth.jobs[job_id].stage != "DELETED":
                expected = _cost(world.truth.jobs[job_id], price)
                charged = sum(amount for amount, _ in charges)
                demand(charged == expected, 6, f"{submission} was charged {charged}, its job cost {expected}")


def _cost(job: Job, price: int) -> int:
    """Each started minute; nothing for a job that never ran."""
    if job.started_at is None:
        return 0
    assert job.finished_at is not None
    running_ms = _milliseconds(job.finished_at) - _milliseconds(job.started_at)
    started_minutes = -(-max(running_ms, 1) // 60_000)
    return started_minutes * price


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def _check_feed(world: World) -> None:
    """Positions without gaps or repeats, and each run's events in order."""
    last: dict[str, int] = {}
    rows = world.witness.database.execute("SELECT position, subject, sequence FROM event ORDER BY position").fetchall()
    demand([row[0] for row in rows] == list(range(1, len(rows) + 1)), 7, f"positions {[row[0] for row in rows]}")
    for position, run_id, sequence in rows:
        demand(sequence == last.get(run_id, 0) + 1, 7, f"{run_id}: event {sequence} is at position {position}")
        last[run_id] = sequence
