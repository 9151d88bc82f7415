"""The order of the queue: read as far as it is asked for, and a run's position without reading what is in front."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from sqlmodel import Session, col, update

from benchmarks.statements import recorded
from service.store import queue
from service.store.db import Database
from service.store.tables import Run, Team
from tests.conftest import Clock
from tests.factories import make_run, make_team

TEAMS = ("alpha", "beta", "gamma", "delta")
# Of the runs whose position is asked for alone, each a few statements.
SAMPLED = 4


def fill(session: Session, clock: Clock, seed: int, number: int = 90) -> None:
    drawn = random.Random(seed)
    for name in TEAMS:
        make_team(session, clock.now, name, 10**9)
        session.get_one(Team, name).weight = drawn.choice([0.5, 1.0, 2.0])
        if drawn.random() < 0.5:
            session.get_one(Team, name).usage_micro_usd = float(drawn.randrange(3_000))
            session.get_one(Team, name).usage_at = clock.now
    for _ in range(number):
        clock.turn(milliseconds=1)
        run = make_run(session, clock.now, team=drawn.choice(TEAMS[:3]), priority=drawn.choice([50, 50, 51]))
        run.ceiling_micro_usd = drawn.choice([None, 100, 100, 250, 1_000])
        session.add(run)
    session.flush()
    session.exec(update(Team).where(col(Team.name) == "gamma").values(paused_at=clock.now if seed % 2 else None))


@pytest.mark.parametrize("seed", range(12))
def test_every_runs_position_is_where_the_order_has_it(db: Database, clock: Clock, seed: int) -> None:
    db.write(lambda session: fill(session, clock, seed))
    with db.read() as session:
        ordered = [*queue.in_order(session, clock.now)]
        expected = {run_id: place for place, (run_id, _) in enumerate(ordered, 1)}
        found: dict[str, int] = {}
        for team in TEAMS:
            mine = [run_id for run_id, owner in ordered if owner == team]
            assert queue.of_team(session, team, 0, 1_000) == mine
            assert queue.ready(session, team) == len(mine)
            some = queue.positions(session, team, mine, clock.now)
            for run_id in {*mine[::SAMPLED], *mine[-1:]}:
                assert queue.positions(session, team, [run_id], clock.now) == {run_id: some[run_id]}
            found |= some
        assert found == expected
        held = queue.held(session, None, 0, 1_000)
        assert {run_id for run_id, _ in held} | set(expected) == set(session.exec(queue.select(Run.id)))
        assert queue.held(session, None, 2, 3) == held[2:5]


@pytest.mark.parametrize("seed", range(4))
def test_far_back_in_a_long_queue_a_position_is_about_right(
    db: Database, clock: Clock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MOST_COUNTED", 10)
    db.write(lambda session: fill(session, clock, seed, number=300))
    with db.read() as session:
        ordered = [*queue.in_order(session, clock.now)]
        places: dict[str, list[int]] = {team: [] for team in TEAMS}
        for place, (run_id, team) in [*enumerate(ordered, 1)][::SAMPLED]:
            reckoned = queue.positions(session, team, [run_id], clock.now)[run_id]
            assert abs(reckoned - place) <= 40
            places[team].append(reckoned)
    assert all(mine == sorted(set(mine)) for mine in places.values()), "whoever is behind has the greater number"


def test_the_first_of_a_long_queue_are_a_statement_or_two(db: Database, clock: Clock) -> None:
    db.write(lambda session: fill(session, clock, 2, number=300))
    with db.read() as session:
        with recorded(db.engine) as sent:
            first = [*islice(queue.in_order(session, clock.now), 20)]
        assert first == [*queue.in_order(session, clock.now)][:20]
    assert sent.count <= 6
