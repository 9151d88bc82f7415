"""What `explain` and the queue say of runs that are far back, held by a job token, or in a paused team."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlmodel import Session

from service.domain.budget import Period
from service.domain.place import Place
from service.flow import admit, explain
from service.flow.change import change
from service.flow.explain import Explanation
from service.store import queue, runs
from service.store.tables import Run, Team
from tests.factories import make_budget, make_run, make_team
from tests.flow.conftest import World

CEILING = 167 * 11


def told_of(world: World, run_id: str) -> Explanation:
    with world.db.read() as session:
        run = session.get_one(Run, run_id)
        return explain.explain(session, run, world.gate.limits.max_concurrent_runs, world.clock.now)


def closed(told: Explanation) -> list[str]:
    return [check.gate for check in told.gates if not check.passed]


def test_no_start_is_told_of_a_run_further_back_than_is_looked(world: World) -> None:
    world.budget(10**9)
    world.limit(max_concurrent_runs=1)
    run_ids = [world.enqueue(timeout="1h") for _ in range(100)]
    near = told_of(world, run_ids[40])
    assert near.position == 41
    assert near.earliest_start is not None
    assert near.earliest_start >= world.clock.now + timedelta(hours=40)
    far = told_of(world, run_ids[99])
    assert (far.position, far.earliest_start, closed(far)[-1]) == (100, None, "turn")
    other_lane = world.enqueue(timeout="1h", flavor="cpu-upgrade")
    behind = told_of(world, other_lane)
    assert behind.position == 101
    assert behind.earliest_start is None, "nobody has counted those in front of it"


def test_a_run_that_fits_but_is_not_looked_at_is_told_so(world: World) -> None:
    world.budget(CEILING + 600)
    world.enqueue(seconds=600)
    admit.run_once(world.gate)
    for _ in range(6):
        world.enqueue()
    short, shortest = world.enqueue(timeout="2m"), world.enqueue(timeout="1m")
    assert told_of(world, shortest).earliest_start == world.clock.now
    far = told_of(world, short)
    assert closed(far) == ["turn"]
    assert "too far back" in far.gates[-1].message
    admit.run_once(world.gate)
    assert [world.run(run_id).state for run_id in (shortest, short)] == ["submitting", "queued"]


def test_money_that_runs_in_front_take_first_is_no_open_way(world: World) -> None:
    world.budget(CEILING + 600)
    first, second = world.enqueue(), world.enqueue()
    assert closed(told_of(world, first)) == []
    told = told_of(world, second)
    assert closed(told) == ["turn"]
    assert told.gates[-1].message.startswith("once those in front have started: needs $0.001837, $0.0006 of")


def test_a_job_token_that_holds_runs_is_a_gate(world: World) -> None:
    run_id, behind = world.enqueue(), world.enqueue()
    work = partial(admit.admit, given=admit.Pass(20, {Place(None, "acme"): "the token is too broad"}, world.clock.now))
    world.db.write(work)
    for one in (run_id, behind, world.enqueue()):
        told = told_of(world, one)
        assert closed(told) == ["job_token"]
        assert told.earliest_start is None
        change = "an admin puts the token that jobs are given right"
        assert [(one.change, one.effect) for one in told.would_help] == [(change, "starts now")]
    admit.run_once(world.gate)
    assert world.run(run_id).state == "submitting"


def test_a_pause_between_tries_that_is_over_is_no_trouble_with_the_token(world: World) -> None:
    run_id = world.enqueue()

    def back_off(session: Session) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        run.reason, run.message, run.not_before = "backing_off", "next try soon", world.clock.now

    world.db.write(back_off)
    world.db.write(lambda session: runs.wake_due(session, world.clock.now))
    assert closed(told_of(world, run_id)) == []


def test_a_paused_team_has_no_place_in_the_queue(world: World) -> None:
    def pause(session: Session) -> list[str]:
        make_team(session, world.clock.now, "other", 10**6)
        session.get_one(Team, "other").paused_at = world.clock.now
        return [make_run(session, world.clock.now, team="other", ceiling_micro_usd=1).id for _ in range(3)]

    paused = world.db.write(pause)
    run_id = world.enqueue()
    assert told_of(world, run_id).position == 1
    assert [told_of(world, one).position for one in paused] == [None] * 3
    with world.db.read() as session:
        assert [*queue.in_order(session, world.clock.now)] == [(run_id, "research")]
        assert [one for one, _ in queue.held(session, None, 0, 9)] == paused


@pytest.mark.parametrize("period", [Period.DAY, Period.MONTH])
def test_a_gate_that_lacks_money_says_when_it_fits(world: World, period: Period) -> None:
    world.db.write(lambda session: make_budget(session, world.clock.now, CEILING, period=period.value))
    first, second = world.enqueue(seconds=590), world.enqueue(seconds=590)
    world.until_end(first, seconds=60)
    told = told_of(world, second)
    [short] = [check for check in told.gates if not check.passed]
    expected = {Period.DAY: "2026-11-25T00:00:00+00:00", Period.MONTH: "2026-12-01T00:00:00+00:00"}[period]
    assert short.fits_at is not None
    assert short.fits_at.isoformat() == expected
    assert told.earliest_start == short.fits_at


def test_runs_of_other_teams_are_not_named(world: World) -> None:
    world.limit(max_concurrent_runs=1)
    world.db.write(lambda session: make_team(session, world.clock.now, "other", 10**6))
    first = world.enqueue(output_repo="acme/model")
    admit.run_once(world.gate)

    def submit(session: Session) -> list[str]:
        return [
            make_run(session, world.clock.turn(milliseconds=1), team="other", output_repo=repo).id
            for repo in ("acme/model", None)
        ]

    others = world.db.write(submit)
    admit.run_once(world.gate)
    for run_id in others:
        told = told_of(world, run_id)
        assert first not in f"{told} {world.show(run_id)}"
        assert "another team" in str(told)
    assert first in str(told_of(world, world.enqueue(output_repo="acme/model")))


def test_only_changes_that_would_be_taken_are_offered(world: World) -> None:
    world.budget(2_000_000)
    recipe = {
        "kind": "trl_sft",
        "model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
        "dataset_name": "trl-lib/Capybara",
        "args": {"max_steps": 300},
        "lora": {"r": 8},
    }
    first = world.enqueue(recipe=recipe, flavor="a10g-small", timeout="1h", output_repo="acme/one", seconds=3000)
    world.pass_all()
    assert world.run(first).state != "queued"
    run_id = world.enqueue(recipe=recipe, flavor="a10g-large", timeout="1h", output_repo="acme/two")
    world.pass_all()
    assert world.run(run_id).reason == "waiting_for_budget"
    changes = [one.change for one in told_of(world, run_id).would_help]
    flavors = [change.removeprefix("flavor = ") for change in changes if change.startswith("flavor")]
    assert flavors
    for flavor in flavors:
        world.db.write(partial(patched, run_id=run_id, flavor=flavor, now=world.clock.now))


def patched(session: Session, run_id: str, flavor: str, now: datetime) -> None:
    run = runs.lock(session, run_id)
    assert run is not None
    change(session, run, {"flavor": flavor}, now)
