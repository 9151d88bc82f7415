"""A pilot goes before its run: what it shows becomes the timeout and the ceiling, and what fails in it costs little."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from service.domain.errors import DoesNotFit, ExceedsLimit, Invalid, PreflightFailed
from service.flow import preflight, prices
from service.flow.change import change
from service.store import runs
from tests.flow.conftest import World

PRICE = 25_000
LOG = " 20/20 [00:10<00:00, 2.00it/s]\n{'train_runtime': '10', 'train_loss': '1.2'}"
RECIPE = {
    "kind": "trl_sft",
    "model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
    "dataset_name": "trl-lib/Capybara",
    "args": {"max_steps": 1000},
    "lora": {"r": 8},
}


def submit(world: World, pilot: dict[str, Any], **fields: Any) -> tuple[str, str]:
    world.budget(10_000_000)
    fields = {"log": LOG, "seconds": 30, **fields}
    body = {"recipe": RECIPE, "flavor": "a10g-large", "timeout": "2h", "output_repo": "acme/model", **fields}
    run_id = world.enqueue(pilot=pilot, **body)
    return run_id, world.show(run_id)["pilot"]["run_id"]


def patch(world: World, run_id: str, **changes: Any) -> None:
    def work(session: Session) -> None:
        run = runs.get(session, run_id)
        assert run is not None
        change(session, run, changes, world.clock.now)

    world.db.write(work)


def test_a_pilot_goes_first_and_what_it_measures_becomes_the_timeout(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20})
    world.pass_all()
    parent, child = world.show(run_id), world.show(pilot_id)
    assert (parent["reason"], child["state"]) == ("waiting_for_dependency", "running")
    assert (child["parent"], child["kind"], child["output"]) == (run_id, "pilot", None)
    assert child["recipe"]["args"] == {"max_steps": 20, "save_strategy": "no", "eval_strategy": "no"}
    assert child["timeout_seconds"] == 600
    world.until_end(pilot_id)
    world.pass_all()
    parent = world.show(run_id)
    assert parent["pilot"]["measured"] == {
        "flavor": "a10g-large", "gpu_gib": None,
        "step_seconds": 0.5, "around_seconds": 20.0, "steps": 1000, "expected_minutes": 8.7,
    }  # fmt: skip
    assert parent["estimate"]["minutes"] == {"p50": 8.7, "p90": 10.4}
    assert (parent["estimate"]["measured_by"], parent["cost"]["estimated_usd"]) == (pilot_id, 9 * PRICE / 1_000_000)
    assert parent["timeout_seconds"] == 900  # 1.5 x 520 s, in whole five minutes
    assert parent["cost"]["ceiling_usd"] == 16 * PRICE / 1_000_000
    assert parent["state"] in ("submitting", "starting", "running")


def test_a_run_whose_pilot_fails_never_starts(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 5}, exit_code=1, log="torch.OutOfMemoryError: CUDA out of memory.")
    world.until_end(run_id)
    assert world.show(pilot_id)["failure"]["cause"] == "cuda_oom"
    shown, pilot = world.show(run_id), world.show(pilot_id)
    assert (shown["state"], shown["reason"], shown["cost"]["metered_usd"]) == ("failed", "cuda_oom", None)
    assert shown["message"] == f"its pilot {pilot_id} has failed: {pilot['message']}"
    assert shown["failure"] == {**pilot["failure"], "message": shown["message"]}
    assert (world.entries(run_id), shown["attempts"]) == ([], [])


def test_a_run_whose_pilot_was_cancelled_says_so(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 5})
    world.cancel(pilot_id)
    world.until_end(run_id, pilot_id)
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"]) == ("cancelled", "dependency_failed")
    assert shown["message"] == f"its pilot {pilot_id} was cancelled: cancelled at the request of key_test"


def test_a_pilot_is_no_way_around_a_timeout_that_is_too_short(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20}, timeout="90m")
    for _ in range(3):
        world.pass_all()
    shown, pilot = world.show(run_id), world.show(pilot_id)
    assert (shown["state"], shown["reason"]) == ("failed", "preflight_failed")
    assert shown["message"].startswith("the timeout is 90 min, and the training takes about 103 min")
    assert (pilot["state"], pilot["reason"], world.entries(pilot_id)) == ("cancelled", "parent_ended", [])
    assert pilot["message"] == f"{run_id}, whose pilot it is, has failed without it"


def test_a_pilot_that_ten_minutes_cannot_hold_fails_before_it_costs(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 100})
    world.until_end(run_id)
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"]) == ("failed", "preflight_failed")
    assert f"its pilot {pilot_id} has failed: the timeout is 10 min" in shown["message"]
    assert "pilot.max_steps" in shown["failure"]["remedy"]
    assert world.entries(pilot_id) == []


@pytest.mark.parametrize(("timeout", "pilots"), [("5h", 600), ("8m", 480), (None, 600)])
def test_a_pilot_has_ten_minutes_at_the_most_and_never_more_than_its_run(
    world: World, timeout: str | None, pilots: int
) -> None:
    recipe = RECIPE | {"args": {"max_steps": 30}}
    run_id, pilot_id = submit(world, {"max_steps": 20}, timeout=timeout, max_cost_usd=9, recipe=recipe)
    assert world.show(pilot_id)["timeout_seconds"] == pilots
    with pytest.raises(Invalid, match="at most 10 minutes"):
        patch(world, pilot_id, timeout=601)
    patch(world, pilot_id, timeout=450)
    assert (world.show(pilot_id)["timeout_seconds"], world.run(run_id).state) == (450, "queued")


def test_a_change_keeps_run_and_pilot_under_the_cap_of_both(world: World) -> None:
    recipe = RECIPE | {"args": {"max_steps": 30}}
    run_id, pilot_id = submit(world, {"max_steps": 20}, timeout="15m", max_cost_usd=0.7, recipe=recipe)
    for one, changes in ((run_id, {"timeout": 1200}), (pilot_id, {"flavor": "a100-large"})):
        with pytest.raises(ExceedsLimit, match="together") as refused:
            patch(world, one, **changes)
        assert "submit it anew: raise max_cost_usd" in str(refused.value.remedy)
    world.until_end(pilot_id)
    patch(world, run_id, timeout=1200)  # what the pilot cost counts now, not what it might have


def test_what_the_pilot_measured_outlives_a_second_look(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20, "confirm": True}, gpu_gib=17.25)
    world.until_end(pilot_id)
    world.pass_all()
    before = world.show(run_id)
    world.clock.turn(hours=25)
    prices.run_once(world.gate)
    preflight.run_once(world.gate)
    shown = world.show(run_id)
    assert shown["preflight"]["at"] > before["preflight"]["at"]
    assert (shown["state"], shown["reason"]) == ("queued", "awaiting_approval"), shown["message"]
    for known in ("minutes", "timeout_seconds", "vram_gib", "cost_usd", "measured_by"):
        assert shown["estimate"][known] == before["estimate"][known]
    with pytest.raises(Invalid, match="takes about 9 min"):
        patch(world, run_id, timeout=500)
    patch(world, run_id, timeout=1200)
    assert world.show(run_id)["estimate"]["minutes"] == before["estimate"]["minutes"]
    assert world.show(run_id)["estimate"]["cost_usd"]["ceiling"] == 21 * PRICE / 1_000_000


def test_the_pilots_dollars_are_shown_apart_and_are_in_the_same_budget(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20})
    shown = world.show(run_id)["pilot"]
    assert (shown["state"], shown["cost"]["ceiling_usd"]) == ("queued", 11 * PRICE / 1_000_000)
    world.pass_all()
    world.pass_all()
    assert world.window().reserved_micro_usd == 11 * PRICE
    world.until_end(run_id, most=200)
    run, pilot = world.show(run_id), world.show(pilot_id)
    assert (run["pilot"]["state"], run["pilot"]["cost"]) == ("succeeded", pilot["cost"])
    both = run["cost"]["metered_usd"] + pilot["cost"]["metered_usd"]
    assert (run["cost"]["metered_usd"], world.window().charged_micro_usd) == (PRICE / 1e6, round(both * 1e6))


def test_force_holds_for_the_pilot_too(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 100}, timeout="10m", force=True)
    for _ in range(3):
        world.pass_all()
    assert world.show(pilot_id)["state"] == "running"
    assert world.show(run_id)["reason"] == "waiting_for_dependency"
    assert world.show(run_id)["message"] == f"starts once its pilot {pilot_id} has passed"


def test_with_confirm_the_numbers_wait_for_an_approval(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20, "confirm": True})
    world.until_end(pilot_id)
    for _ in range(3):
        world.pass_all()
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"]) == ("queued", "awaiting_approval")
    assert "about 8.7 min for 1000 steps, $0.40 at the most" in shown["message"]
    assert world.told(run_id)[-1] == "run.awaiting_approval"


@pytest.mark.parametrize("changes", [{"priority": 51}, {"timeout": 7100}, {"flavor": "h200"}])
def test_a_change_does_not_stand_in_for_the_confirmation(world: World, changes: dict[str, Any]) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20, "confirm": True})
    world.until_end(pilot_id)
    world.pass_all()

    patch(world, run_id, **changes)
    for _ in range(3):
        world.pass_all()
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"], shown["approval"]["state"]) == ("queued", "awaiting_approval", "needed")


def test_a_run_that_its_timeout_could_not_hold_fails_before_it_costs(world: World) -> None:
    recipe = RECIPE | {"args": {"max_steps": 40}}  # the estimate says 8 min
    run_id, pilot_id = submit(world, {"max_steps": 20}, timeout="9m", log=LOG.replace("'10'", "'300'"), recipe=recipe)
    world.until_end(run_id)
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"], shown["failure"]["cause"]) == ("failed", "exceeds_limit", "exceeds_limit")
    assert shown["message"] == f"its pilot {pilot_id} says that it takes about 10 min, and its timeout is 9 min"


def test_the_cap_covers_run_and_pilot_together(world: World) -> None:
    world.budget(10_000_000)
    with pytest.raises(ExceedsLimit, match="together"):
        submit(world, {"max_steps": 5}, timeout="10m", max_cost_usd=0.3)
    recipe = RECIPE | {"args": {"max_steps": 100}}
    run_id, pilot_id = submit(world, {"max_steps": 20}, timeout=None, max_cost_usd=0.5, recipe=recipe)
    world.until_end(pilot_id)
    world.until_end(run_id, most=200)
    spent = world.show(run_id)["cost"]["metered_usd"] + world.show(pilot_id)["cost"]["metered_usd"]
    assert spent <= 0.5


def test_a_cap_without_a_timeout_bounds_what_the_pilot_recommends(world: World) -> None:
    log = LOG.replace("'10'", "'200'")  # 10 s a step: 17 min, with its margin 25
    recipe = RECIPE | {"args": {"max_steps": 100}}
    fields: dict[str, Any] = {"timeout": None, "max_cost_usd": 0.6, "log": log, "seconds": 30, "recipe": recipe}
    run_id, pilot_id = submit(world, {"max_steps": 20}, **fields)
    world.until_end(pilot_id)
    world.pass_all()
    shown, spent = world.show(run_id), world.show(pilot_id)["cost"]["metered_usd"]
    assert shown["timeout_seconds"] == (round((0.6 - spent) / 0.025) - 1) * 60, "what is left of the cap, not 25 min"
    assert shown["state"] in ("submitting", "starting", "running")
    run_id, pilot_id = submit(world, {"max_steps": 20}, **fields | {"max_cost_usd": 0.4})
    world.until_end(run_id)
    assert world.show(run_id)["reason"] == "exceeds_limit"
    assert "max_cost_usd pays for" in world.show(run_id)["message"]


def test_memory_is_measured_and_a_run_that_its_flavor_cannot_hold_fails_before_it_costs(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20, "confirm": True}, gpu_gib=17.25)
    world.until_end(pilot_id)
    world.pass_all()
    shown, pilot = world.show(run_id), world.show(pilot_id)
    assert pilot["attempts"][0]["machine"]["gpu_memory_peak_bytes"] == 17.25 * 2**30
    assert (shown["pilot"]["measured"]["gpu_gib"], shown["estimate"]["vram_gib"]) == (17.2, 17.2)
    assert "17.2 GiB of GPU memory" in shown["message"]
    estimate = shown["estimate"]
    assert (estimate["verdict"], estimate["message"]) == (
        "fits",
        "Its pilot held 17.2 GiB of GPU memory; the A10G has 22.0.",
    )
    _, pilot_id = submit(world, {"max_steps": 20, "confirm": True}, gpu_gib=21.5)
    world.until_end(pilot_id)
    world.pass_all()
    assert world.show(world.show(pilot_id)["parent"])["estimate"]["verdict"] == "tight"
    run_id, _ = submit(world, {"max_steps": 20, "flavor": "a100-large"}, gpu_gib=40)
    world.until_end(run_id)
    assert world.show(run_id)["reason"] == "does_not_fit"
    assert "40.0 GiB, and the A10G has 22.0" in world.show(run_id)["message"]


def test_a_pilot_on_another_flavor_tells_the_time_by_how_the_estimates_compare(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20, "flavor": "l4x1"})
    world.until_end(pilot_id)
    world.pass_all()
    told, here = world.show(run_id)["pilot"]["measured"], world.show(pilot_id)["estimate"]
    per_step = world.show(run_id)["estimate"]["training_minutes"] / 1000 / (here["training_minutes"] / 20)
    assert told["flavor"] == "l4x1"
    assert told["step_seconds"] == pytest.approx(0.5 * per_step, rel=0.01)
    assert 0.5 < per_step < 1.5


@pytest.mark.parametrize("optimize", ["cheapest", "fastest"])
def test_a_pilot_of_a_run_that_left_its_flavor_open_takes_the_runs(world: World, optimize: str) -> None:
    run_id, pilot_id = submit(
        world, {"max_steps": 20}, flavor="auto", optimize=optimize, timeout=None, max_cost_usd=6, checked=False
    )
    assert [world.show(one)["flavor"] for one in (run_id, pilot_id)] == ["auto", "auto"]
    world.pass_all()
    world.pass_all()
    run, pilot = world.show(run_id), world.show(pilot_id)
    assert run["flavor"] == pilot["flavor"] != "auto"
    assert pilot["cost"]["ceiling_usd"] == pytest.approx(11 * pilot["attempts"][0]["price_per_minute_usd"])


def test_a_script_knows_no_steps(world: World) -> None:
    with pytest.raises(Invalid, match="no steps"):
        world.enqueue(pilot={"max_steps": 5})


def test_a_pilot_that_can_never_work_is_refused_at_once_where_the_model_is_known(world: World) -> None:
    submit(world, {"max_steps": 20})
    whole = {**{name: value for name, value in RECIPE.items() if name != "lora"}, "args": {"max_steps": 100}}
    with pytest.raises(DoesNotFit) as too_small:
        submit(world, {"max_steps": 20, "flavor": "t4-small"}, recipe=whole, flavor="a100-large")
    assert too_small.value.field == "pilot.flavor"
    with pytest.raises(PreflightFailed) as too_long:
        submit(world, {"max_steps": 900})
    assert too_long.value.field == "pilot.max_steps"


def test_a_waiting_pilot_goes_with_its_runs_flavor_unless_it_has_its_own(world: World) -> None:
    run_id, pilot_id = submit(world, {"max_steps": 20})
    patch(world, run_id, flavor="a100-large")
    assert [world.show(one)["flavor"] for one in (run_id, pilot_id)] == ["a100-large", "a100-large"]
    assert world.show(pilot_id)["timeout_seconds"] == 600
    run_id, pilot_id = submit(world, {"max_steps": 20, "flavor": "l4x1"})
    patch(world, run_id, flavor="a100-large")
    assert world.show(pilot_id)["flavor"] == "l4x1"
