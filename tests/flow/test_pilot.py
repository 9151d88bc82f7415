"""A pilot goes before its run: what it shows becomes the timeout and the ceiling, and what fails in it costs little."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from service.domain.errors import ExceedsLimit, Invalid
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
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"], shown["cost"]["metered_usd"]) == ("cancelled", "dependency_failed", None)
    assert pilot_id in shown["message"]
    assert shown["message"].endswith(f"has failed: {world.show(pilot_id)['message']}")


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

    def patch(session: Session) -> None:
        run = runs.get(session, run_id)
        assert run is not None
        change(session, run, changes, world.clock.now)

    world.db.write(patch)
    for _ in range(3):
        world.pass_all()
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"], shown["approval"]["state"]) == ("queued", "awaiting_approval", "needed")


def test_a_run_that_its_timeout_could_not_hold_fails_before_it_costs(world: World) -> None:
    run_id, _ = submit(world, {"max_steps": 20}, timeout="6m")
    world.until_end(run_id)
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"]) == ("failed", "exceeds_limit")
    assert "about 9 min, and its timeout is 6 min" in shown["message"]


def test_the_cap_covers_run_and_pilot_together(world: World) -> None:
    world.budget(10_000_000)
    with pytest.raises(ExceedsLimit, match="together"):
        submit(world, {"max_steps": 5}, timeout="10m", max_cost_usd=0.3)
    run_id, pilot_id = submit(world, {"max_steps": 20}, timeout=None, max_cost_usd=0.5)
    world.until_end(pilot_id)
    world.until_end(run_id, most=200)
    spent = world.show(run_id)["cost"]["metered_usd"] + world.show(pilot_id)["cost"]["metered_usd"]
    assert spent <= 0.5


def test_a_cap_without_a_timeout_bounds_what_the_pilot_recommends(world: World) -> None:
    log = LOG.replace("00:10", "00:20").replace("'10'", "'20'")  # 1 s a step: 17 min, with its margin 30
    fields: dict[str, Any] = {"timeout": None, "max_cost_usd": 0.6, "log": log, "seconds": 30}
    run_id, pilot_id = submit(world, {"max_steps": 20}, **fields)
    world.until_end(pilot_id)
    world.pass_all()
    shown, spent = world.show(run_id), world.show(pilot_id)["cost"]["metered_usd"]
    assert shown["timeout_seconds"] == (round((0.6 - spent) / 0.025) - 1) * 60, "what is left of the cap, not 30 min"
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


def test_a_script_knows_no_steps(world: World) -> None:
    with pytest.raises(Invalid, match="no steps"):
        world.enqueue(pilot={"max_steps": 5})
