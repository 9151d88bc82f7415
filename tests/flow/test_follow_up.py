"""What follows a run: its adapter merged, its model tried and measured, within the run's cap."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from sqlmodel import Session

from service.api.steering_schemas import RunThen
from service.domain.errors import ExceedsLimit, Invalid, UnknownFlavor
from service.flow.change import change
from service.flow.follow_up import then_of_stored
from service.store import runs
from service.store.tables import Team
from tests.flow.conftest import World

PRICE = 25_000  # a10g-large, micro-dollars a minute
CPU = 167
RECIPE = {
    "kind": "trl_sft",
    "model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
    "dataset_name": "trl-lib/Capybara",
    "args": {"max_steps": 100, "max_length": 512},
    "lora": {"r": 8},
}
ADAPTER = {
    "adapter_config__json": json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x"}).encode(),
    "adapter_model__safetensors": b"1",
    "tokenizer__json": b"{}",
    "tokenizer_config__json": b"{}",
}
MERGED = {"config__json": json.dumps({"model_type": "smollm3"}).encode(), "model__safetensors": b"2"}
ALL: list[dict[str, Any]] = [
    {"kind": "smoke_test", "prompts": ["Who are you?", "-h"], "flavor": "cpu-basic"},
    {"kind": "merge_lora", "output_repo": "acme/merged", "flavor": "cpu-basic"},
    {"kind": "smoke_test", "flavor": "cpu-basic"},
    {"kind": "evaluate", "split": "train[:10]"},
]


def submit(world: World, then: list[dict[str, Any]] = ALL, **fields: Any) -> tuple[str, list[str]]:
    world.budget(10_000_000)
    body = {"recipe": RECIPE, "flavor": "a10g-large", "timeout": "1h", "output_repo": "acme/model", **fields}
    run_id = world.enqueue(then=then, seconds=60, **body)
    return run_id, [one["run_id"] for one in world.show(run_id)["follow_ups"]]


def follow(world: World, run_id: str, *then: dict[str, Any]) -> list[str]:
    def work(session: Session) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        asked = RunThen.model_validate({"then": list(then)}).then
        then_of_stored(session, run, asked, "key_test", world.clock.turn(milliseconds=1))

    before = len(world.show(run_id)["follow_ups"])
    world.db.write(work)
    return [one["run_id"] for one in world.show(run_id)["follow_ups"]][before:]


def edit(world: World, run_id: str, **fields: Any) -> None:
    def work(session: Session) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        for name, value in fields.items():
            setattr(run, name, value)
        session.add(run)

    world.db.write(work)


def tells(world: World, run_id: str, result: dict[str, Any], exit_code: int = 0) -> None:
    """What the job of a follow-up will say."""
    log = f"TUNEGATE_RESULT {json.dumps(result)}"
    edit(world, run_id, env={"SANDBOX_LOG": log, "SANDBOX_EXIT_CODE": str(exit_code), "SANDBOX_RUN_SECONDS": "20"})


def until_running(world: World, run_id: str) -> None:
    for _ in range(60):
        world.pass_all()
        if world.show(run_id)["state"] == "running":
            return
        world.clock.turn(seconds=5)
    raise AssertionError(world.show(run_id))


def train(world: World, run_id: str) -> str:
    """Let the run succeed with an adapter; its commit."""
    until_running(world, run_id)
    sha = world.publish("acme/model", **ADAPTER)
    world.until_end(run_id, most=200)
    assert world.show(run_id)["state"] == "succeeded", world.show(run_id)["failure"]
    return sha


def args(world: World, run_id: str) -> list[str]:
    found: list[str] = world.show(run_id)["recipe"]["args"]
    return found


def test_each_takes_up_the_model_that_is_there_when_its_turn_comes(world: World) -> None:
    run_id, (first, merge, second, evaluation) = submit(world)
    for one in (first, merge, second, evaluation):
        shown = world.show(one)
        assert (shown["state"], shown["reason"], shown["parent"]) == ("queued", "waiting_for_dependency", run_id)
        assert shown["retry"] is shown["pilot"] is None
    assert world.show(first)["after"] == world.show(merge)["after"] == [run_id]
    assert world.show(second)["after"] == world.show(evaluation)["after"] == [merge]
    expected = world.show(first)["fingerprint"]
    adapter = train(world, run_id)
    base = world.show(run_id)["pins"]["model_revision"]
    world.pass_all()
    on_adapter = ["--model", "acme/model", "--revision", adapter, "--adapter", "--base-revision", base]
    assert args(world, first) == [*on_adapter, "--prompt=Who are you?", "--prompt=-h", "--max-new-tokens", "64"]
    assert world.show(first)["fingerprint"] != expected, "checked anew: another commit is another input"
    assert args(world, merge) == [*on_adapter, "--output-repo", "acme/merged"]
    assert world.show(second)["state"] == "queued"
    tells(world, second, {"answers": [{"prompt": "a", "answer": "b"}]})
    until_running(world, merge)
    merged = world.publish("acme/merged", **MERGED)
    world.until_end(merge)
    world.pass_all()
    assert args(world, second)[:4] == ["--model", "acme/merged", "--revision", merged]
    assert "--adapter" not in args(world, second)
    rows = world.show(run_id)["pins"]["dataset_revision"]
    assert args(world, evaluation) == [
        *("--model", "acme/merged", "--revision", merged),
        *("--dataset", "trl-lib/Capybara", "--dataset-revision", rows, "--split", "train[:10]", "--batch-size", "8"),
        *("--settings", '{"max_length": 512}'),
    ]
    world.until_end(first, second, evaluation)
    assert world.show(merge)["output"]["verified"] is True
    assert world.show(merge)["output"]["use"]["endpoint"]["price_per_hour_usd"] > 0
    assert world.show(run_id)["output"]["use"]["base_model"] == RECIPE["model_name_or_path"]
    told = world.show(run_id)
    assert [one["kind"] for one in told["follow_ups"]] == ["smoke_test", "merge_lora", "smoke_test", "evaluate"]
    assert [one["state"] for one in told["follow_ups"]] == ["succeeded"] * 4
    assert told["follow_ups"][2]["result"] == {"answers": [{"prompt": "a", "answer": "b"}]}
    assert told["follow_ups"][2]["result"] == world.show(second)["result"]
    assert told["follow_ups"][3]["cost"]["metered_usd"] == PRICE / 1e6
    assert world.told(run_id)[-1] == "run.succeeded"


def test_where_the_run_comes_to_nothing_nothing_follows_and_its_own_end_stays(world: World) -> None:
    run_id, followers = submit(world, exit_code=1, log="ValueError: no")
    world.until_end(run_id, *followers, most=200)
    run = world.show(run_id)
    assert (run["state"], run["follow_ups"][0]["state"]) == ("failed", "cancelled")
    assert run["output"]["use"] is None
    for one in followers:
        shown = world.show(one)
        assert (shown["state"], shown["reason"], world.entries(one)) == ("cancelled", "dependency_failed", [])
    assert world.show(run_id) == run
    assert world.told(run_id)[-1] == "run.failed"


def test_a_merge_that_fails_takes_along_what_comes_after_it_and_not_the_run(world: World) -> None:
    run_id, (first, merge, second, evaluation) = submit(world)
    train(world, run_id)
    tells(world, merge, {}, exit_code=1)
    world.until_end(first, merge, second, evaluation)
    states = [one["state"] for one in world.show(run_id)["follow_ups"]]
    assert states == ["succeeded", "failed", "cancelled", "cancelled"]
    assert world.show(run_id)["state"] == "succeeded"
    assert world.show(second)["reason"] == "dependency_failed"
    [again] = follow(world, run_id, {"kind": "smoke_test"})
    assert "--adapter" in args(world, again), "a merge that came to nothing is no model to look at"


def test_a_failed_smoke_test_says_what_its_model_answered(world: World) -> None:
    run_id, (test,) = submit(world, [{"kind": "smoke_test", "flavor": "cpu-basic"}])
    train(world, run_id)
    why = "smoke test: the answer to 'Hello' is empty"
    tells(world, test, {"answers": [{"prompt": "Hello", "answer": ""}], "failed": why}, exit_code=1)
    world.until_end(test)
    shown = world.show(test)
    assert (shown["state"], shown["reason"], shown["message"]) == ("failed", "script_error", why)
    assert (shown["failure"]["evidence"], shown["failure"]["retry"]) == (why, "never")
    assert "result.answers" in shown["failure"]["remedy"]
    assert world.show(run_id)["follow_ups"][0]["result"]["answers"] == [{"prompt": "Hello", "answer": ""}]
    assert world.show(run_id)["state"] == "succeeded"


def test_a_cancel_of_the_run_is_one_of_all_that_follows(world: World) -> None:
    run_id, followers = submit(world)
    world.cancel(run_id)
    world.until_end(run_id, *followers)
    assert {world.show(one)["state"] for one in (run_id, *followers)} == {"cancelled"}


def test_the_cap_holds_back_what_the_follow_ups_may_cost(world: World) -> None:
    mine = 61 * PRICE
    theirs = 16 * CPU + 31 * CPU + 16 * CPU + 31 * PRICE
    with pytest.raises(ExceedsLimit, match="held back for its follow-ups"):
        submit(world, max_cost_usd=(mine + theirs - 1) / 1e6)
    run_id, followers = submit(world, max_cost_usd=(mine + theirs) / 1e6)
    assert [world.show(one)["max_cost_usd"] for one in followers] == [
        ceiling / 1e6 for ceiling in (16 * CPU, 31 * CPU, 16 * CPU, 31 * PRICE)
    ]
    # what is left of the cap is the run's: its timeout follows from that
    capped, _ = submit(world, timeout=None, max_cost_usd=(mine + theirs) / 1e6)
    assert (world.show(capped)["timeout_seconds"], world.show(capped)["cost"]["ceiling_usd"]) == (3600, mine / 1e6)
    world.cancel(run_id)
    until_running(world, capped)
    assert world.attempt(capped).timeout_seconds == 3600


def test_a_change_of_the_runs_flavor_is_one_of_what_follows_and_named_none(world: World) -> None:
    run_id, (test, evaluation) = submit(
        world, [{"kind": "smoke_test", "flavor": "cpu-basic"}, {"kind": "evaluate"}], max_cost_usd=4
    )

    def patch(session: Session, **changes: Any) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        change(session, run, changes, world.clock.now)

    world.db.write(partial(patch, flavor="a100-large"))
    assert [world.show(one)["flavor"] for one in (test, evaluation)] == ["cpu-basic", "a100-large"]
    price = world.show(evaluation)["cost"]["ceiling_usd"] / 31
    assert world.show(evaluation)["max_cost_usd"] == pytest.approx(31 * price)
    assert world.run(run_id).held_back_micro_usd == round(31 * price * 1e6) + 16 * CPU
    with pytest.raises(ExceedsLimit, match="follow-ups"):
        world.db.write(partial(patch, flavor="h200"))


def test_what_follows_a_run_of_auto_goes_with_the_flavor_that_it_takes(world: World) -> None:
    run_id, (test,) = submit(
        world, [{"kind": "smoke_test"}], flavor="auto", timeout=None, max_cost_usd=6, checked=False
    )
    assert world.show(test)["flavor"] == "auto"
    world.pass_all()
    shown = world.show(test)
    assert shown["flavor"] == world.show(run_id)["flavor"] != "auto"
    assert shown["max_cost_usd"] == shown["cost"]["ceiling_usd"] == world.run(run_id).held_back_micro_usd / 1e6


def test_a_run_that_has_succeeded_is_followed_at_once(world: World) -> None:
    run_id, _ = submit(world, [], max_cost_usd=2)
    sha = train(world, run_id)
    spent = world.show(run_id)["cost"]["metered_usd"]
    with pytest.raises(ExceedsLimit, match="are spent or may be"):
        follow(world, run_id, {"kind": "evaluate", "timeout": "2h"})
    merge, test = follow(world, run_id, {"kind": "merge_lora"}, {"kind": "smoke_test", "flavor": "cpu-basic"})
    assert sha in args(world, merge)
    assert world.show(merge)["output"]["repo"] == "acme/model-merged"
    assert (world.show(merge)["after"], world.show(test)["after"]) == ([], [merge])
    until_running(world, merge)
    world.publish("acme/model-merged", **MERGED)
    world.until_end(merge, test)
    assert world.show(test)["state"] == "succeeded"
    assert spent + sum(one["cost"]["metered_usd"] for one in world.show(run_id)["follow_ups"]) < 2
    [later] = follow(world, run_id, {"kind": "smoke_test"})
    assert "acme/model-merged" in args(world, later)


def test_what_follows_a_run_that_is_answered_with_an_earlier_model_goes_on_from_that(world: World) -> None:
    earlier, _ = submit(world, [], output_repo="acme/model")
    sha = train(world, earlier)
    run_id, (test,) = submit(world, [{"kind": "smoke_test"}], reuse="allow", output_repo="acme/other")
    world.until_end(run_id)
    world.pass_all()
    assert world.show(run_id)["reused_from"] == earlier
    assert args(world, test)[:5] == ["--model", "acme/model", "--revision", sha, "--adapter"]


def test_a_run_that_goes_on_is_followed_and_what_was_there_stays(world: World) -> None:
    run_id, (first,) = submit(world, [{"kind": "smoke_test"}])
    until_running(world, run_id)
    [second] = follow(world, run_id, {"kind": "evaluate"})
    assert [one["run_id"] for one in world.show(run_id)["follow_ups"]] == [first, second]
    assert world.show(second)["after"] == [run_id]


def test_the_teams_rules_of_approval_are_asked_when_the_model_is_there(world: World) -> None:
    run_id, (test,) = submit(world, [{"kind": "smoke_test", "flavor": "cpu-basic"}])
    rules = {"cost_over_micro_usd": 1, "flavors": [], "first_run_of_user": False, "expires_after_seconds": 3600}

    def work(session: Session) -> None:
        team = session.get(Team, "research")
        assert team is not None
        team.approval_rules = rules
        session.add(team)

    until_running(world, run_id)
    world.db.write(work)
    world.publish("acme/model", **ADAPTER)
    world.until_end(run_id)
    world.pass_all()
    assert (world.show(test)["reason"], world.told(test)[-1]) == ("awaiting_approval", "run.awaiting_approval")


@pytest.mark.parametrize(
    ("then", "fields", "field"),
    [
        ([{"kind": "merge_lora"}], {"recipe": {k: v for k, v in RECIPE.items() if k != "lora"}, "force": True}, "kind"),
        ([{"kind": "smoke_test"}, {"kind": "merge_lora", "output_repo": "acme/model"}], {}, "output_repo"),
        ([{"kind": "merge_lora"}, {"kind": "merge_lora"}], {}, "output_repo"),
        ([{"kind": "merge_lora", "output_repo": "HuggingFaceTB/SmolLM3-3B"}], {}, "output_repo"),
        ([{"kind": "evaluate", "dataset_config": "x"}], {}, "dataset_config"),
    ],
)
def test_what_cannot_follow_is_refused_with_its_place(
    world: World, then: list[dict[str, Any]], fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        submit(world, then, **fields)
    assert (refused.value.field, bool(refused.value.remedy)) == (f"then.{len(then) - 1}.{field}", True)


def test_what_is_dear_or_unknown_is_refused_with_its_place(world: World) -> None:
    with pytest.raises(UnknownFlavor) as unknown:
        submit(world, [{"kind": "smoke_test", "flavor": "gpu-9000"}])
    assert unknown.value.field == "then.0.flavor"
    with pytest.raises(Invalid, match="can never hold") as dear:
        submit(world, [{"kind": "smoke_test"}, {"kind": "evaluate", "timeout": "10h"}])
    assert dear.value.field == "then.1.timeout"


def test_of_a_script_only_what_is_known_follows(world: World) -> None:
    script = {"recipe": {"kind": "script", "source": "print(1)\n"}, "flavor": "cpu-basic", "timeout": "10m"}
    for then, field in (([{"kind": "merge_lora"}], "then.0.kind"), ([{"kind": "evaluate"}], "then.0.dataset_name")):
        with pytest.raises(Invalid) as refused:
            submit(world, then, **script)
        assert refused.value.field == field
    with pytest.raises(Invalid, match="publishes no model"):
        submit(world, [{"kind": "smoke_test"}], **script, output_repo=None)
    run_id, _ = submit(world, [{"kind": "evaluate", "dataset_name": "trl-lib/Capybara"}], **script)
    train(world, run_id)
    [merge] = follow(world, run_id, {"kind": "merge_lora"})
    assert "--adapter" in args(world, merge)
