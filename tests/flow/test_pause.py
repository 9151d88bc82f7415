"""Pausing a run whose job runs: it is stopped and paid up to there, and goes on from its newest checkpoint."""

from __future__ import annotations

import pytest
from sqlmodel import Session

from service.domain.errors import Conflict
from service.flow import admit, cancel, pause, saving, submit, watch
from service.store import runs
from tests.flow.conftest import World
from tests.flow.test_checkpoints import command, flag, keep, training
from tests.flow.test_repair import PRICE, until_running


def steer(world: World, run_id: str, stop: bool) -> None:
    def work(session: Session) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        (pause.hold if stop else pause.release)(session, run, "key_test", world.clock.now)

    world.db.write(work)


def with_checkpoint(world: World, step: int = 20) -> str:
    run_id = training(world, seconds=1200)
    for _ in range(25):
        world.pass_all()
        world.clock.turn(seconds=20)
    keep(world, run_id, step)
    saving.run_once(world.gate)
    return run_id


def test_its_job_is_stopped_its_money_released_and_it_goes_on_from_its_checkpoint(world: World) -> None:
    run_id = with_checkpoint(world)
    steer(world, run_id, stop=True)
    assert (world.run(run_id).state, world.run(run_id).reason) == ("running", "paused")
    for _ in range(3):
        world.pass_all()
        world.clock.turn(seconds=5)
    run = world.show(run_id)
    assert (run["state"], run["reason"], run["cost"]["reserved_usd"]) == ("queued", "paused", 0)
    assert run["cost"]["metered_usd"] == run["attempts"][0]["minutes"] * PRICE / 1e6
    assert "resumed, it goes on from the checkpoint at step 20; " in run["message"]
    assert "done again, $" in run["attempts"][0]["change"]
    world.clock.turn(hours=5)
    world.pass_all()
    assert world.run(run_id).state == "queued"
    steer(world, run_id, stop=False)
    until_running(world, run_id, 2)
    assert flag(command(world, run_id), "resume_from_checkpoint") == "/tunegate-checkpoints/checkpoint-20"
    world.until_end(run_id, most=400)
    told = [one for one in world.told(run_id) if one not in ("run.submitted", "run.started", "run.warning")]
    assert told[:4] == ["run.queued", "run.paused", "run.queued", "run.resumed"]


def test_what_would_be_lost_is_not_paused(world: World) -> None:
    run_id = training(world)
    with pytest.raises(Conflict, match="no whole checkpoint is there yet"):
        steer(world, run_id, stop=True)
    plain = world.enqueue(seconds=600, timeout="20m")
    until_running(world, plain, 1)
    with pytest.raises(Conflict, match="it keeps no checkpoints"):
        steer(world, plain, stop=True)
    for one in (run_id, plain):
        assert world.run(one).paused_at is None


def test_one_that_waits_for_hardware_gives_it_back(world: World) -> None:
    world.faults(scheduling_seconds=10**6)
    run_id = world.enqueue(seconds=60)
    world.pass_all()
    assert world.run(run_id).state == "starting"
    steer(world, run_id, stop=True)
    world.pass_all()
    world.pass_all()
    run = world.show(run_id)
    assert (run["state"], run["reason"], run["cost"]["metered_usd"]) == ("queued", "paused", None)
    assert [kind for kind, _ in world.entries(run_id)] == ["reserve", "release"]


def test_resumed_before_it_has_stopped_it_goes_on_by_itself(world: World) -> None:
    run_id = with_checkpoint(world)
    steer(world, run_id, stop=True)
    cancel.run_once(world.gate)
    steer(world, run_id, stop=False)
    until_running(world, run_id, 2)
    assert world.attempt(run_id).from_step == 20


def test_one_that_ends_first_has_ended(world: World) -> None:
    run_id = with_checkpoint(world)
    steer(world, run_id, stop=True)
    world.publish("acme/model", model__safetensors=b"1", config__json=b'{"model_type": "x"}')
    world.force(run_id, stage="ERROR", message="Internal infrastructure error: the node was lost")
    watch.run_once(world.gate)
    assert world.run(run_id).state == "failed"
    with pytest.raises(Conflict):
        steer(world, run_id, stop=False)


def test_a_create_call_under_way_is_not_paused(world: World) -> None:
    run_id = world.enqueue(seconds=60)
    admit.run_once(world.gate)
    assert world.run(run_id).state == "submitting"
    with pytest.raises(Conflict, match="submitting"):
        steer(world, run_id, stop=True)
    submit.run_once(world.gate)


def test_a_cap_that_is_partly_spent_shortens_the_next_jobs_timeout(world: World) -> None:
    run_id = training(world, seconds=1200, timeout="30m", max_cost_usd=0.8)  # 31 minutes are 0.775
    for _ in range(10):
        world.pass_all()
        world.clock.turn(seconds=20)
    keep(world, run_id, 20)
    world.clock.turn(seconds=10)
    saving.run_once(world.gate)
    steer(world, run_id, stop=True)
    world.pass_all()
    world.pass_all()
    assert world.run(run_id).state == "queued"
    steer(world, run_id, stop=False)
    until_running(world, run_id, 2)
    spent = world.show(run_id)["attempts"][0]["minutes"]
    assert world.attempt(run_id).timeout_seconds == (32 - spent - 1) * 60


def test_a_pause_that_would_be_the_end_is_refused(world: World) -> None:
    run_id = training(world, seconds=1200, timeout="10m", max_cost_usd=0.28)
    for _ in range(22):
        world.pass_all()
        world.clock.turn(seconds=20)
    keep(world, run_id, 20)
    world.clock.turn(seconds=10)
    saving.run_once(world.gate)
    with pytest.raises(Conflict, match="would not hold another job of five minutes"):
        steer(world, run_id, stop=True)
