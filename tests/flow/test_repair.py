"""A run that failed is tried again where that is sensible: as it is, or with a change that keeps what it trains."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from service.flow import admit, submit, watch
from tests.flow import shelves
from tests.flow.conftest import World

PRICE = 25_000  # a10g-large, micro-dollars a minute
OOM = "Traceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
ARGS = {"max_steps": 100, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2, "save_strategy": "no"}
BROKEN_NODE = {"stage": "ERROR", "message": "The node was lost", "exitCode": None}


def sft(world: World, budget: int = 10_000_000, **fields: Any) -> str:
    """A LoRA run of the 3B model, which nobody knows anything of yet."""
    world.budget(budget)
    recipe = {
        "kind": "trl_sft",
        "model_name_or_path": fields.pop("model", "HuggingFaceTB/SmolLM3-3B"),
        "dataset_name": "trl-lib/Capybara",
        "args": {**ARGS, **fields.pop("args", {})},
        "lora": fields.pop("lora", {"r": 8}),
    }
    body = {"recipe": recipe, "flavor": "a10g-large", "timeout": "30m", "output_repo": "acme/model", "force": True}
    return world.enqueue(**{**body, "seconds": 60, **fields})


def until_running(world: World, run_id: str, attempt: int) -> None:
    for _ in range(400):
        world.pass_all()
        run = world.run(run_id)
        if run.state == "running" and run.attempt == attempt:
            return
        assert run.finished_at is None, world.show(run_id)
        world.clock.turn(seconds=5)
    raise AssertionError(world.show(run_id))


def test_a_fault_that_was_not_the_runs_is_tried_again_as_it_is(world: World) -> None:
    world.budget(10_000_000)
    run_id = world.enqueue(seconds=60, retry={"max_attempts": 3})
    for attempt in (1, 2):
        until_running(world, run_id, attempt)
        world.force(run_id, stage="ERROR", message="Internal infrastructure error: the node was lost")
        watch.run_once(world.gate)
        run = world.show(run_id)
        assert (run["state"], run["reason"], run["failure"]) == ("queued", "backing_off", None), run
        assert "attempt " + str(attempt) + " failed (infrastructure); it is tried again at" in run["message"]
        admit.run_once(world.gate)
        assert world.run(run_id).state == "queued", "it is given time"
    world.until_end(run_id, most=400)
    run = world.show(run_id)
    assert (run["state"], run["attempt"]) == ("succeeded", 3)
    assert [one["cause"] for one in run["attempts"]] == ["infrastructure", "infrastructure", None]
    assert run["attempts"][0]["repair"]["settings"] == []
    assert run["attempts"][0]["change"].startswith("unchanged ($")
    assert [one["failure"] and one["failure"]["retry"] for one in run["attempts"]] == ["same", "same", None]
    assert world.told(run_id) == [
        "run.queued",
        *["run.submitted", "run.started", "run.retrying"] * 2,
        *["run.submitted", "run.started", "run.succeeded"],
    ]
    assert len({job.labels["tunegate-submission"] for job in world.jobs_of(run_id)}) == 3
    assert run["cost"]["metered_usd"] == pytest.approx(sum(one["cost_usd"] for one in run["attempts"]))


def test_without_a_policy_the_try_is_offered_with_its_price(world: World) -> None:
    run_id = world.enqueue(seconds=60)
    until_running(world, run_id, 1)
    world.force(run_id, stage="ERROR", message="Internal infrastructure error: the node was lost")
    watch.run_once(world.gate)
    failure = world.show(run_id)["failure"]
    assert (failure["cause"], failure["not_repaired"]) == ("infrastructure", None)
    assert failure["repair"] == {
        "change": "unchanged ($0.001837 at the most)",
        "settings": [],
        "ceiling_usd": 11 * 167 / 1e6,
        "expected_usd": None,
    }


def test_no_more_tries_than_are_allowed(world: World) -> None:
    run_id = world.enqueue(seconds=60, retry={"max_attempts": 2})
    for attempt in (1, 2):
        until_running(world, run_id, attempt)
        world.force(run_id, stage="ERROR", message="Internal infrastructure error: the node was lost")
        watch.run_once(world.gate)
    run = world.show(run_id)
    assert (run["state"], run["attempt"]) == ("failed", 2)
    assert run["failure"]["not_repaired"] == "it was tried 2 times, and retry.max_attempts is 2"


def test_a_users_own_mistake_is_never_tried_again(world: World) -> None:
    log = "Traceback (most recent call last):\nNameError: name 'los' is not defined"
    run_id = world.enqueue(seconds=3, exit_code=1, log=log, retry={"max_attempts": 5})
    world.until_end(run_id)
    run = world.show(run_id)
    assert (run["state"], run["reason"], run["attempt"]) == ("failed", "script_error", 1)
    assert (run["failure"]["repair"], run["failure"]["not_repaired"]) == (None, None)
    assert len(world.jobs_of(run_id)) == 1


def test_a_full_card_is_repaired_with_the_effective_batch_kept(world: World) -> None:
    run_id = sft(world, log=OOM, exit_code=1, seconds=30, retry={"max_attempts": 6})
    splits, changes = [], []
    for attempt in (1, 2, 3):
        until_running(world, run_id, attempt)
        args = world.run(run_id).recipe["args"]
        splits.append((args["per_device_train_batch_size"], args["gradient_accumulation_steps"]))
        command = world.jobs_of(run_id)[0].spec.command
        assert command[command.index("--per_device_train_batch_size") + 1] == str(splits[-1][0])
        world.clock.turn(seconds=40)
        watch.run_once(world.gate)
        changes.append(world.show(run_id)["attempts"][attempt - 1]["repair"])
    assert splits == [(8, 2), (4, 4), (1, 16)], "by the estimate, two rows would save too little to be worth a try"
    assert changes[0]["settings"] == [
        {"field": "recipe.args.per_device_train_batch_size", "from": 8, "to": 4},
        {"field": "recipe.args.gradient_accumulation_steps", "from": 2, "to": 4},
    ]
    assert "16 rows per step, as before" in changes[0]["change"]
    assert changes[0]["ceiling_usd"] == 31 * PRICE / 1e6
    run = world.show(run_id)
    assert run["state"] == "queued"
    assert changes[2]["settings"] == [{"field": "flavor", "from": "a10g-large", "to": run["flavor"]}]
    assert changes[2]["ceiling_usd"] == run["cost"]["ceiling_usd"]
    until_running(world, run_id, 4)
    assert [one["flavor"] for one in world.show(run_id)["attempts"]] == [*["a10g-large"] * 3, run["flavor"]]


def test_the_ladder_stops_at_the_runs_cap(world: World) -> None:
    # 31 minutes at the most for a try: two do not fit
    run_id = sft(world, log=OOM, exit_code=1, seconds=90, retry={"max_attempts": 6}, max_cost_usd=0.8)
    world.until_end(run_id, most=400)
    run = world.show(run_id)
    assert (run["state"], run["attempt"]) == ("failed", 1)
    assert run["failure"]["repair"]["settings"][0]["to"] == 4
    assert run["failure"]["not_repaired"].startswith("of max_cost_usd $0.80, $0.05 are spent; for the rest, ")


def test_a_try_waits_for_its_budget_as_any_run_does(world: World) -> None:
    run_id = sft(world, budget=32 * PRICE, log=OOM, exit_code=1, seconds=90, retry={"max_attempts": 6})
    until_running(world, run_id, 1)
    world.clock.turn(seconds=100)
    world.pass_all()
    world.pass_all()
    run = world.show(run_id)
    assert (run["state"], run["reason"]) == ("queued", "waiting_for_budget")
    assert run["attempts"][0]["cost_usd"] == 2 * PRICE / 1e6


def test_where_nothing_can_be_estimated_the_ladder_is_climbed_in_order(world: World) -> None:
    shelves.model(world, "acme/odd", **{"config.json": {"model_type": "mamba", "architectures": ["MambaForCausalLM"]}})
    args = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "bf16": False, "max_length": 600}
    args |= {"gradient_checkpointing": False}
    retry = {"max_attempts": 10, "allow": ["lora", "max_length"]}
    run_id = sft(world, log=OOM, exit_code=1, seconds=30, args=args, lora=None, retry=retry, model="acme/odd")
    world.until_end(run_id, most=800)
    shown = world.show(run_id)
    assert shown["reason"] == "cuda_oom", shown["message"]
    changed = [
        [one["field"].rpartition(".")[2] for one in attempt["repair"]["settings"]]
        for attempt in world.show(run_id)["attempts"]
        if attempt["repair"]
    ]
    assert changed == [["bf16"], ["gradient_checkpointing"], ["max_length"], ["lora", "learning_rate"]]


def test_a_run_that_was_in_time_once_is_in_time_for_its_next_try(world: World) -> None:
    soon = (world.clock.now + timedelta(minutes=2)).isoformat()
    run_id = world.enqueue(seconds=600, retry={"max_attempts": 2}, start_before=soon, timeout="20m")
    until_running(world, run_id, 1)
    world.clock.turn(minutes=5)
    world.force(run_id, stage="ERROR", message="Internal infrastructure error: the node was lost")
    world.until_end(run_id, most=200)
    assert world.show(run_id)["state"] == "succeeded"


def test_a_cancel_that_was_asked_for_ends_it(world: World) -> None:
    run_id = world.enqueue(seconds=60, retry={"max_attempts": 3})
    until_running(world, run_id, 1)
    world.force(run_id, stage="ERROR", message="Internal infrastructure error: the node was lost")
    world.cancel(run_id)
    world.until_end(run_id)
    assert (world.run(run_id).state, world.run(run_id).attempt) == ("failed", 1)
    submit.run_once(world.gate)
    assert len(world.jobs_of(run_id)) == 1


def test_a_job_that_vanished_may_go_on_unseen_and_gets_no_second_one(world: World) -> None:
    run_id = world.enqueue(seconds=600, retry={"max_attempts": 3}, timeout="20m")
    until_running(world, run_id, 1)
    world.force(run_id, delete=True)
    world.until_end(run_id, most=100)
    run = world.show(run_id)
    assert (run["reason"], run["attempt"]) == ("job_vanished", 1)
    assert "may go on unseen" in run["failure"]["not_repaired"]
    assert run["failure"]["repair"] is not None
