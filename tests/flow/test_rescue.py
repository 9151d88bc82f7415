"""A run that trained and could not publish: another one brings its model to the Hub, from the run's bucket."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from service.domain.errors import Conflict, ExceedsLimit
from service.flow import watch
from service.flow.rescue import rescue
from service.store import run_list, runs
from tests import published
from tests.flow.conftest import World
from tests.flow.test_checkpoints import command, keep, training
from tests.flow.test_repair import until_running

TRAINED = "{'train_runtime': '600', 'train_loss': '1.2'}\n"
REFUSED = (
    "Traceback (most recent call last):\n"
    "huggingface_hub.errors.HfHubHTTPError: 403 Forbidden: you may not write to acme/model.\n"
    "Cannot access content at: https://huggingface.co/api/models/acme/model/commit/main."
)


def unpublished(world: World, *, has_model: bool = True, step: int | None = 20, **fields: Any) -> str:
    """A run that trained to its end, and whose push was refused."""
    log = TRAINED + REFUSED
    run_id = training(world, **{"seconds": 60, "exit_code": 1, "log": log, **fields})
    if step is not None:
        keep(world, run_id, step)
    bucket = world.core.hub.buckets.find(world.show(run_id)["checkpoints"]["bucket"])
    assert bucket is not None
    if has_model:
        for name, content in published.adapter().items():
            (bucket.folder / name).write_bytes(content)
    world.clock.turn(seconds=70)
    watch.run_once(world.gate)
    assert world.run(run_id).state == "failed", world.show(run_id)
    return run_id


def children(world: World, run_id: str) -> list[dict[str, Any]]:
    with world.db.read() as session:
        found = run_list.page(session, run_list.RunFilter(team="research"), None, 100)
    return [world.show(one.id) for one in found if one.parent == run_id]


def ask(world: World, run_id: str, repo: str | None = None) -> str:
    def work(session: Session) -> str:
        run = runs.lock(session, run_id)
        assert run is not None
        return rescue(session, run, "key_test", world.clock.now, repo).id

    return world.db.write(work)


def test_it_is_offered_with_its_price_and_done_when_asked_for(world: World) -> None:
    run_id = unpublished(world)
    failure = world.show(run_id)["failure"]
    assert (failure["cause"], failure["repair"]) == ("push_failed", None)
    assert failure["rescue"]["ceiling_usd"] == 16 * 167 / 1e6
    assert "a run on cpu-basic publishes what is in acme/tunegate-run_" in failure["rescue"]["change"]
    assert children(world, run_id) == []
    child_id = ask(world, run_id)
    until_running(world, child_id, 1)
    child = world.show(child_id)
    assert (child["parent"], child["kind"], child["output"]["repo"]) == (run_id, "rescue", "acme/model")
    argv = command(world, child_id)
    assert argv[argv.index("--folder") + 1] == "/tunegate-checkpoints"
    volumes = world.jobs_of(child_id)[0].spec.extras["volumes"]
    assert [(one["source"], one["readOnly"]) for one in volumes] == [(f"acme/tunegate-{run_id}", True)]
    with pytest.raises(Conflict, match="does that already"):
        ask(world, run_id)
    sha = world.publish("acme/model", **published.adapter())
    world.until_end(child_id, most=400)
    assert world.show(child_id)["state"] == "succeeded", world.show(child_id)["message"]
    run = world.show(run_id)
    assert (run["state"], run["reason"]) == ("failed", "push_failed"), "its outcome stays"
    assert (run["output"]["revision"], run["output"]["verified"]) == (sha, True)
    assert world.told(run_id)[-1] == "run.rescued"
    with pytest.raises(Conflict):
        ask(world, run_id)


def test_by_its_policy_it_is_done_at_once(world: World) -> None:
    run_id = unpublished(world, retry={"max_attempts": 3})
    (child,) = children(world, run_id)
    assert (child["kind"], child["state"], child["requested_by"]) == ("rescue", "queued", "key_test")
    assert world.show(run_id)["attempt"] == 1


def test_not_where_the_policy_says_so(world: World) -> None:
    run_id = unpublished(world, retry={"max_attempts": 3, "rescue": False})
    assert children(world, run_id) == []
    assert world.show(run_id)["failure"]["rescue"] is not None


def test_without_the_model_itself_the_newest_checkpoint_is_brought(world: World) -> None:
    run_id = unpublished(world, has_model=False, step=40)
    child_id = ask(world, run_id, "acme/elsewhere")
    until_running(world, child_id, 1)
    argv = command(world, child_id)
    assert argv[argv.index("--folder") + 1] == "/tunegate-checkpoints/checkpoint-40"
    assert argv[argv.index("--output-repo") + 1] == "acme/elsewhere"


def test_a_rescue_has_to_bring_what_the_run_was_to_publish(world: World) -> None:
    run_id = unpublished(world)
    child_id = ask(world, run_id)
    until_running(world, child_id, 1)
    world.publish("acme/model", README__md=b"nothing")
    world.until_end(child_id, most=400)
    assert world.show(child_id)["reason"] == "output_missing"
    assert world.show(run_id)["output"]["verified"] is False
    assert ask(world, run_id), "it may be tried again"


def test_nothing_is_offered_where_there_is_nothing(world: World) -> None:
    run_id = unpublished(world, has_model=False, step=None)
    assert world.show(run_id)["failure"]["rescue"] is None
    with pytest.raises(Conflict, match="nothing of this run can be rescued"):
        ask(world, run_id)


def test_the_runs_cap_holds_its_rescue_too(world: World) -> None:
    run_id = unpublished(world, max_cost_usd=0.8)
    spent = round(world.show(run_id)["cost"]["metered_usd"] * 1e6)

    def leave_a_little(session: Session) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        run.max_cost_micro_usd = spent + 100
        session.add(run)

    world.db.write(leave_a_little)
    with pytest.raises(ExceedsLimit, match=r"a rescue can cost \$0.002672, and \$0.0001 of max_cost_usd are left"):
        ask(world, run_id)
    assert children(world, run_id) == []
