"""What a run will need and cost is told before it is submitted, and what cannot fit is refused with what would."""

from __future__ import annotations

from typing import Any

import pytest

from service.api import estimate_schemas
from service.flow import preflight, prices
from tests import published
from tests.api.conftest import Api
from tests.factories import make_budget

COURSE: dict[str, Any] = {
    "kind": "trl_sft",
    "model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
    "dataset_name": "HuggingFaceTB/smoltalk2_everyday_convs_think",
    "args": {"max_steps": 1000, "per_device_train_batch_size": 4},
}
LORA = {**COURSE, "lora": {"r": 8, "alpha": 16}}


def estimate(api: Api, recipe: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = api("POST", "/estimates", json={"recipe": recipe, **fields})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    estimate_schemas.EstimateObject.model_validate(told)
    return told


def verdicts(told: dict[str, Any]) -> dict[str, str]:
    return {one["flavor"]: one["verdict"] for one in told["flavors"]}


CPUS = {"cpu-basic", "cpu-upgrade", "cpu-performance", "cpu-xl"}


def body(recipe: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"recipe": recipe, "flavor": "a10g-large", "timeout": "4h", "output_repo": "acme/model", **fields}


@pytest.fixture
def rich(api: Api) -> Api:
    prices.run_once(api.world.gate)
    api.world.db.write(lambda session: make_budget(session, api.world.clock.now, 10**9))
    return api


def test_the_same_training_is_told_as_trls_own_command(rich: Api) -> None:
    told = estimate(rich, {**LORA, "args": {**LORA["args"], "learning_rate": 5e-5}}, output_repo="acme/model")
    assert told["command"] == (
        "trl sft --model_name_or_path HuggingFaceTB/SmolLM3-3B "
        "--dataset_name HuggingFaceTB/smoltalk2_everyday_convs_think --use_peft True --lora_r 8 --lora_alpha 16 "
        "--lora_dropout 0.05 --lora_target_modules all-linear --max_steps 1000 --per_device_train_batch_size 4 "
        "--learning_rate 5e-5 --report_to none --output_dir model --push_to_hub True --hub_model_id acme/model"
    )
    assert estimate(rich, {**LORA, "dataset_revision": "main"})["command"] is None, "the command has no flag for it"
    assert estimate(rich, {**LORA, "args": {"max_length": None}})["command"] is None, "only a config file says null"


def test_the_courses_full_fine_tune_does_not_fit_a10g_large_and_lora_does(rich: Api) -> None:
    full = estimate(rich, COURSE, flavor="a10g-large")
    assert verdicts(full)["a10g-large"] == "does_not_fit"
    assert verdicts(full)["a100-large"] == "fits"
    assert full["change"]["args"] == {"dtype": "bfloat16", "optim": "adamw_8bit"}
    assert abs(full["memory"]["peak_gib"] - 46.8) < 0.5
    assert abs(sum(full["memory"]["terms_gib"].values()) - full["memory"]["peak_gib"]) < 0.05
    lora = estimate(rich, LORA, flavor="a10g-large")
    assert verdicts(lora)["a10g-large"] == "fits"
    assert lora["change"] is None
    one = next(flavor for flavor in lora["flavors"] if flavor["flavor"] == "a10g-large")
    assert one["minutes"]["p50"] < one["minutes"]["p90"]
    assert one["cost_usd"]["p50"] < one["cost_usd"]["p90"] < one["cost_usd"]["ceiling"]


def test_nothing_is_stored_and_what_is_wrong_with_the_inputs_is_a_warning(rich: Api) -> None:
    told = estimate(rich, {**LORA, "dataset_train_split": "trian"})
    assert any("Did you mean 'train'?" in one for one in told["warnings"])
    assert rich("GET", "/runs").json()["data"] == []
    unknown = estimate(rich, {**LORA, "model_name_or_path": "acme/none"})
    assert verdicts(unknown)["a10g-large"] == "not_covered"
    assert verdicts(unknown)["cpu-basic"] == "does_not_fit"  # whatever it needs, it needs a GPU
    assert any("there is no model acme/none" in one for one in unknown["warnings"])
    assert rich("POST", "/estimates", json={"recipe": {"kind": "script", "source": "1"}}).json()["code"] == "invalid"


def test_a_model_that_is_not_there_is_said_not_to_be_there(rich: Api) -> None:
    told = estimate(rich, {**COURSE, "model_name_or_path": "HuggingFaceTB/SmolLM3-3b-Bas"}, flavor="a10g-large")
    open_ones = [one for one in told["flavors"] if one["verdict"] == "not_covered"]
    assert {one["flavor"] for one in told["flavors"]} - {one["flavor"] for one in open_ones} == CPUS
    assert all("there is no such model" in one["message"] for one in open_ones)
    assert any("Did you mean 'HuggingFaceTB/SmolLM3-3B-Base'?" in one for one in told["warnings"])


def test_what_is_known_not_to_fit_is_refused_at_once_with_both_ways_out(rich: Api) -> None:
    estimate(rich, COURSE)
    refused = rich("POST", "/runs", json=body(COURSE))
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["field"]) == (422, "does_not_fit", "flavor")
    assert "dtype bfloat16" in problem["remedy"]
    assert "rtx-pro-6000, the cheapest that fits as it is" in problem["remedy"]
    forced = rich("POST", "/runs", json=body(COURSE, force=True))
    assert forced.status_code == 201


def test_a_model_that_nobody_asked_about_yet_is_refused_by_preflight(rich: Api) -> None:
    run_id = rich("POST", "/runs", json=body(COURSE)).json()["id"]
    preflight.run_once(rich.world.gate)
    shown = rich("GET", f"/runs/{run_id}").json()
    assert (shown["state"], shown["reason"]) == ("failed", "does_not_fit")
    assert "dtype bfloat16" in shown["failure"]["remedy"]
    assert rich("GET", f"/runs/{run_id}/ledger").json()["data"] == []


@pytest.mark.parametrize("is_known", [True, False])
def test_auto_takes_the_cheapest_that_fits_and_the_run_says_what_it_expects(rich: Api, is_known: bool) -> None:
    told = estimate(rich, LORA) if is_known else None
    answer = rich("POST", "/runs", json=body(LORA, flavor="auto"))
    assert answer.status_code == 201, answer.text
    run_id = answer.json()["id"]
    preflight.run_once(rich.world.gate)
    shown = rich("GET", f"/runs/{run_id}").json()
    told = told or estimate(rich, LORA)
    assert shown["flavor"] == told["choice"]["flavor"] == told["recommended"]
    assert shown["state"] == "queued", shown["message"]
    assert shown["cost"]["estimated_usd"] == shown["estimate"]["cost_usd"]["p50"]
    assert shown["cost"]["ceiling_usd"] > 0
    assert shown["estimate"]["steps"] == 1000
    assert shown["estimate"]["choice"] == told["choice"]["reason"]
    patched = rich("PATCH", f"/runs/{run_id}", json={"flavor": "l40sx1"}).json()
    assert patched["estimate"]["choice"] is None, "this flavor was chosen by a person"


def test_a_timeout_that_half_of_such_trainings_would_not_end_in_is_refused(rich: Api) -> None:
    run_id = rich("POST", "/runs", json=body(LORA, timeout="10m")).json()["id"]
    preflight.run_once(rich.world.gate)
    shown = rich("GET", f"/runs/{run_id}").json()
    assert (shown["reason"], shown["failure"]["cause"]) == ("preflight_failed", "preflight_failed")
    assert "the timeout is 10 min" in shown["message"]
    assert "Set timeout to" in shown["failure"]["remedy"]


def test_a_timeout_or_cap_that_is_known_to_be_too_short_is_refused_at_once(rich: Api) -> None:
    told = estimate(rich, LORA)
    one = next(flavor for flavor in told["flavors"] if flavor["flavor"] == "a10g-large")
    refused = rich("POST", "/runs", json=body(LORA, timeout="10m"))
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["field"]) == (422, "preflight_failed", "timeout")
    assert f"Set timeout to {one['timeout_seconds'] // 60}m" in problem["remedy"]
    assert rich("GET", "/runs").json()["data"] == []
    by_cap = rich("POST", "/runs", json=body(LORA, timeout=None, max_cost_usd=0.3)).json()
    assert (by_cap["code"], by_cap["field"]) == ("preflight_failed", "max_cost_usd")
    assert "max_cost_usd pays for 11 min" in by_cap["detail"]
    enough = by_cap["remedy"].removeprefix("Set max_cost_usd to ").partition(",")[0]
    assert rich("POST", "/runs", json=body(LORA, timeout=None, max_cost_usd=float(enough))).status_code == 201
    with_pilot = rich("POST", "/runs", json=body(LORA, timeout="10m", pilot={"max_steps": 5})).json()
    assert (with_pilot["code"], with_pilot["field"]) == ("preflight_failed", "timeout")
    assert rich("POST", "/runs", json=body(LORA, timeout="10m", force=True)).status_code == 201
    run_id = rich("POST", "/runs", json=body(LORA)).json()["id"]
    for change in ({"timeout": "10m"}, {"flavor": "t4-small", "timeout": "10m"}):
        shorter = rich("PATCH", f"/runs/{run_id}", json=change)
        assert shorter.status_code == 422, shorter.text
    assert rich("GET", f"/runs/{run_id}").json()["timeout_seconds"] == 4 * 3600


@pytest.mark.parametrize("is_known", [True, False])
def test_auto_keeps_timeout_and_cap_and_pays_the_pilot_of_it(rich: Api, is_known: bool) -> None:
    """What it takes is never what the next check refuses."""
    told = estimate(rich, LORA)
    cheapest = next(one for one in told["flavors"] if one["flavor"] == told["recommended"])
    if not is_known:
        rich.world.clock.turn(days=40)
        prices.run_once(rich.world.gate)
    minutes = int(cheapest["minutes"]["p50"]) - 1
    bounds = {"timeout": f"{minutes}m", "max_cost_usd": 2.5, "optimize": "fastest", "pilot": {"max_steps": 5}}
    answer = rich("POST", "/runs", json=body(LORA, flavor="auto", **bounds))
    assert answer.status_code == 201, answer.text
    preflight.run_once(rich.world.gate)
    shown = rich("GET", f"/runs/{answer.json()['id']}").json()
    assert shown["state"] == "queued", shown["message"]
    assert shown["flavor"] not in ("auto", "h200"), "an hour of it is beyond the cap"
    assert shown["estimate"]["minutes"]["p50"] <= minutes
    child = rich("GET", f"/runs/{shown['pilot']['run_id']}").json()
    assert shown["cost"]["ceiling_usd"] + (child["cost"]["ceiling_usd"] or 0) <= 2.5


def test_auto_with_a_timeout_that_nothing_keeps_says_what_would(rich: Api) -> None:
    estimate(rich, LORA)
    refused = rich("POST", "/runs", json=body(LORA, flavor="auto", timeout="5m")).json()
    assert (refused["code"], refused["field"]) == ("does_not_fit", "flavor")
    assert "stays within a timeout of 5 min (too slow: " in refused["detail"]
    assert "would do with timeout" in refused["detail"]


def test_the_estimate_is_that_of_the_recipes_release(rich: Api) -> None:
    """0.29.1 keeps all logits: 4 x 1024 tokens by 128256 entries, twelve bytes each."""
    newer, older = estimate(rich, LORA), estimate(rich, {**LORA, "trl_version": "0.29.1"})
    more = older["memory"]["peak_gib"] - newer["memory"]["peak_gib"]
    assert 3.5 < more < 12 * 4 * 1024 * 128_256 / 2**30
    assert any("logits of all tokens at once" in one for one in older["warnings"])
    assert not any("logits" in one for one in newer["warnings"])
    wide = {**LORA, "args": {"max_steps": 100, "per_device_train_batch_size": 8}, "trl_version": "0.29.1"}
    assert verdicts(estimate(rich, wide))["a10g-large"] == "does_not_fit"
    assert verdicts(estimate(rich, {**wide, "trl_version": "1.16.0"}))["a10g-large"] != "does_not_fit"
    assert rich("POST", "/runs", json=body(wide)).json()["code"] == "does_not_fit"


def test_an_unknown_flavor_is_refused_as_a_run_on_it_is(rich: Api) -> None:
    for named in ({"flavor": "a10g-larg"}, {"flavor": "a10g-large", "pilot": {"flavor": "t4-smal"}}):
        run, told = (rich("POST", path, json=body(LORA, **named)) for path in ("/runs", "/estimates"))
        assert (told.status_code, told.json()["code"]) == (422, "unknown_flavor")
        for name in ("code", "detail", "remedy", "field"):
            assert told.json()[name] == run.json()[name]
    assert told.json()["field"] == "pilot.flavor"


def test_the_pilot_of_the_body_is_estimated_apart(rich: Api) -> None:
    told = estimate(rich, LORA, flavor="a100-large", pilot={"max_steps": 20, "flavor": "l4x1"})
    run = next(one for one in told["flavors"] if one["flavor"] == "a100-large")
    pilot = told["pilot"]
    assert (pilot["flavor"], pilot["max_steps"], pilot["verdict"]) == ("l4x1", 20, "fits")
    assert pilot["minutes"]["p50"] < run["minutes"]["p50"] + 5
    price = next(one for one in rich("GET", "/flavors").json()["data"] if one["name"] == "l4x1")
    assert pilot["cost_usd"]["ceiling"] == pytest.approx(11 * price["price_per_minute_usd"])
    assert pilot["cost_usd"]["p50"] <= pilot["cost_usd"]["p90"] <= pilot["cost_usd"]["ceiling"]
    submitted = rich("POST", "/runs", json=body(LORA, pilot={"max_steps": 20, "flavor": "l4x1"})).json()
    child = rich("GET", f"/runs/{submitted['pilot']['run_id']}").json()
    assert child["cost"]["ceiling_usd"] == pilot["cost_usd"]["ceiling"]
    assert estimate(rich, LORA, pilot={})["pilot"]["flavor"] == told["recommended"], "of auto, the one that is taken"
    assert estimate(rich, LORA)["pilot"] is None


def test_a_preset_keeps_its_rows_per_step_on_several_gpus_and_auto_reckons_with_that(rich: Api) -> None:
    recipe = {**LORA, "preset": "auto", "args": {"max_steps": 300}}
    told = {name: estimate(rich, recipe, flavor=name) for name in ("a100-large", "a100x4")}
    rows = {
        name: one["recipe"]["args"]["per_device_train_batch_size"]
        * one["recipe"]["args"]["gradient_accumulation_steps"]
        for name, one in told.items()
    }
    assert rows["a100-large"] == 4 * rows["a100x4"] == 16
    alone = {
        name: next(item for item in one["flavors"] if item["flavor"] == name)["minutes"] for name, one in told.items()
    }
    auto = {item["flavor"]: item["minutes"] for item in estimate(rich, recipe)["flavors"]}
    assert {name: auto[name] for name in alone} == alone
    run_id = rich("POST", "/runs", json=body(recipe, flavor="a100x4")).json()["id"]
    assert rich("GET", f"/runs/{run_id}").json()["recipe"]["args"]["gradient_accumulation_steps"] == 2


def test_a_training_without_end_is_not_given_a_timeout_without_end(rich: Api) -> None:
    args = {"max_steps": 10**8, "save_strategy": "no"}
    answer = rich("POST", "/runs", json=body({**LORA, "args": args}, timeout="4h"))
    assert answer.status_code == 201, answer.text
    preflight.run_once(rich.world.gate)
    shown = rich("GET", f"/runs/{answer.json()['id']}").json()
    assert "takes more than 30 days" in shown["message"]
    assert shown["failure"]["remedy"].startswith("Shorten the training")


def test_auto_within_a_cap_that_nothing_keeps_says_what_comes_closest(rich: Api) -> None:
    estimate(rich, LORA)
    refused = rich("POST", "/runs", json=body(LORA, flavor="auto", timeout=None, max_cost_usd=0.1)).json()
    assert refused["code"] == "does_not_fit"
    assert "comes closest" in refused["detail"]
    script = rich(
        "POST", "/runs", json={"recipe": {"kind": "script", "source": "1"}, "flavor": "auto", "timeout": "5m"}
    )
    assert script.status_code == 422


WIDE = {**LORA, "args": {"max_steps": 100, "per_device_train_batch_size": 64}}


def test_splits_of_the_batch_are_offered_and_made_only_where_asked_for(rich: Api) -> None:
    told = estimate(rich, WIDE, flavor="a10g-large")
    assert verdicts(told)["a10g-large"] == "does_not_fit"
    needs = [one["vram_gib"] for one in told["splits"]]
    assert needs == sorted(needs, reverse=True)
    assert all(one["args"]["per_device_train_batch_size"] < 64 for one in told["splits"])
    assert rich("POST", "/runs", json=body(WIDE)).json()["code"] == "does_not_fit"
    asked = estimate(rich, {**WIDE, "fit_batch": True}, flavor="a10g-large")
    assert verdicts(asked)["a10g-large"] != "does_not_fit"
    enough = [one["args"] for one in told["splits"] if one["verdict"] != "does_not_fit"]
    assert asked["recipe"]["filled"]["batch"] == enough[0], "the largest batch that fits"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_batch_that_may_be_split_follows_the_flavor(rich: Api, is_known: bool) -> None:
    if is_known:
        estimate(rich, WIDE)
    run_id = rich("POST", "/runs", json=body({**WIDE, "fit_batch": True})).json()["id"]
    preflight.run_once(rich.world.gate)
    shown = rich("GET", f"/runs/{run_id}").json()
    assert shown["state"] == "queued", shown["message"]
    sizes = shown["recipe"]["args"]
    assert sizes["per_device_train_batch_size"] * sizes["gradient_accumulation_steps"] == 64
    assert sizes["per_device_train_batch_size"] < 64
    wider = rich("PATCH", f"/runs/{run_id}", json={"flavor": "h200"}).json()["recipe"]
    assert (wider["args"]["per_device_train_batch_size"], wider["filled"]) == (64, None)


def test_a_preset_follows_the_flavor_and_the_models_config(rich: Api) -> None:
    recipe = {**LORA, "lora": {}, "preset": "auto", "args": {"max_steps": 100}}
    estimate(rich, recipe)
    run_id = rich("POST", "/runs", json=body(recipe, force=True)).json()["id"]
    on_t4 = rich("PATCH", f"/runs/{run_id}", json={"flavor": "t4-small"}).json()["recipe"]
    assert (on_t4["args"]["fp16"], on_t4["filled"]["preset"]) == (True, "t4+smollm3-lora")
    back = rich("PATCH", f"/runs/{run_id}", json={"flavor": "a10g-large"}).json()["recipe"]
    assert ("fp16" in back["args"], back["filled"]["preset"]) == (False, "smollm3-lora")


def finished(api: Api, minutes: float) -> None:
    """One run that trained so long, by Trainer's own account, and published a model."""
    world = api.world
    log = f" 1000/1000 [00:10<00:00, 2.00it/s]\n{{'train_runtime': '{60 * minutes}', 'train_loss': '1.2'}}"
    env = {"SANDBOX_LOG": log, "SANDBOX_RUN_SECONDS": str(60 * minutes + 200)}
    run_id = api("POST", "/runs", json=body(LORA, env=env, flavor="a100-large")).json()["id"]
    world.pass_all()
    world.clock.turn(milliseconds=1)
    world.pass_all()
    world.publish("acme/model", **{**published.adapter(), "adapter_model.safetensors": repr(minutes).encode()})
    world.until_end(run_id, minutes=5)
    assert api("GET", f"/runs/{run_id}").json()["state"] == "succeeded"


def test_finished_runs_of_the_team_correct_the_time_and_say_how_often_they_kept_their_p90(rich: Api) -> None:
    def on_a100(as_: str = "member") -> dict[str, Any]:
        told = rich("POST", "/estimates", as_=as_, json={"recipe": LORA, "flavor": "a100-large"}).json()
        return next(one for one in told["flavors"] if one["flavor"] == "a100-large")

    before = on_a100()
    assert before["calibration"] == {"runs": 0, "within_p90": None}
    training = before["minutes"]["p50"]
    for minutes in (2 * training, 2 * training, 2.1 * training, training / 2):
        finished(rich, minutes)
    after = on_a100()
    assert after["calibration"] == {"runs": 4, "within_p90": 0.25}
    assert 1.1 * training < after["minutes"]["p50"] < 2 * training
    assert on_a100("outsider") == before, "another team learns by its own runs"
