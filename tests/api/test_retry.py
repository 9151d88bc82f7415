"""A run that has ended is submitted anew: as it was, with changes, or with the repair that its failure offers."""

from __future__ import annotations

from typing import Any

import pytest

from service.flow import watch
from tests.api.conftest import Api
from tests.flow.conftest import SCRIPT

OOM = "Traceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory."
FAILS = {"SANDBOX_EXIT_CODE": "1"}
TRL = {
    "kind": "trl_sft",
    "model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
    "dataset_name": "trl-lib/Capybara",
    "args": {"max_steps": 100, "per_device_train_batch_size": 8, "save_strategy": "no"},
    "lora": {"r": 8},
    "preset": "auto",
}


def ended(api: Api, **body: Any) -> dict[str, Any]:
    api("PUT", "/teams/research/budget", as_="admin", json={"limit_usd": 50})
    answer = api("POST", "/runs", json={"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "5m", **body})
    assert answer.status_code == 201, answer.text
    api.world.until_end(answer.json()["id"], most=200)
    return show(api, answer.json()["id"])


def show(api: Api, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api("GET", f"/runs/{run_id}").json()
    return found


def test_it_is_asked_for_as_it_was(api: Api) -> None:
    volumes = [{"type": "dataset", "source": "trl-lib/Capybara", "mount_path": "/data"}]
    old = ended(api, env=FAILS, labels={"project": "bot"}, volumes=volumes, max_cost_usd=1.5)
    answer = api("POST", f"/runs/{old['id']}/retry")
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert answer.headers["location"] == f"/runs/{new['id']}"
    assert (new["retry_of"], new["id"] == old["id"], new["state"]) == (old["id"], False, "queued")
    same = (
        "recipe",
        "flavor",
        "timeout_seconds",
        "max_cost_usd",
        "env",
        "labels",
        "volumes",
        "image",
        "guards",
        "retry",
    )
    assert {name: new[name] for name in same} == {name: old[name] for name in same}


def test_overrides_replace_fields_and_of_the_recipe_what_they_name(api: Api) -> None:
    old = ended(api, recipe=TRL, flavor="a10g-large", output_repo="acme/model", force=True, env=FAILS)
    overrides = {"timeout": "1h", "recipe": {"args": {"learning_rate": 1e-5}}, "priority": 90}
    new = api("POST", f"/runs/{old['id']}/retry", json={"overrides": overrides}).json()
    assert (new["timeout_seconds"], new["priority"], new["output"]["repo"]) == (3600, 90, "acme/model")
    assert new["recipe"]["args"]["learning_rate"] == 1e-5
    assert new["recipe"]["args"]["per_device_train_batch_size"] == 8
    assert new["recipe"]["lora"] == old["recipe"]["lora"]


def test_with_the_remedy_it_is_another_run(api: Api) -> None:
    env = {"SANDBOX_EXIT_CODE": "1", "SANDBOX_LOG": OOM}
    old = ended(api, recipe=TRL, flavor="a10g-large", output_repo="acme/model", force=True, env=env)
    offered = old["failure"]["repair"]
    assert offered["settings"], old["failure"]
    new = api("POST", f"/runs/{old['id']}/retry", json={"with_remedy": True}).json()
    for setting in offered["settings"]:
        assert new["recipe"]["args"][setting["field"].rpartition(".")[2]] == setting["to"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"with_remedy": True}, 409, None),
        ({"overrides": {"timeout": "soon"}}, 422, "timeout"),
        ({"overrides": {"recipe": {"source": "def"}}}, 422, "recipe.source"),
        ({"overrides": {"recipe": 3}}, 422, "recipe"),
        ({"overrides": {"flavour": "t4-small"}}, 422, "flavour"),
        ({"overrides": {"team": "other"}}, 422, "overrides.team"),
        ({"overrides": {"secrets": {"A": "b"}}}, 422, "overrides.secrets"),
        ({"overrides": {"flavor": "auto"}}, 422, "flavor"),
        ({"remedy": True}, 422, "remedy"),
    ],
)
def test_what_cannot_be_is_refused(api: Api, body: dict[str, Any], status: int, field: str | None) -> None:
    log = "Traceback (most recent call last):\nNameError: name 'x' is not defined"
    old = ended(api, env={"SANDBOX_EXIT_CODE": "1", "SANDBOX_LOG": log})
    answer = api("POST", f"/runs/{old['id']}/retry", json=body)
    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
    assert answer.json()["remedy"]
    assert len(api("GET", "/runs").json()["data"]) == 1


def test_secrets_have_to_be_given_again(api: Api) -> None:
    old = ended(api, secrets={"KEY": "very-secret-value"}, env=FAILS)
    refused = api("POST", f"/runs/{old['id']}/retry")
    assert (refused.status_code, refused.json()["field"]) == (422, "secrets")
    assert "KEY" in refused.json()["detail"]
    new = api("POST", f"/runs/{old['id']}/retry", json={"secrets": {"KEY": "another-secret-value"}}).json()
    assert new["secrets"] == ["KEY"]


def test_a_run_that_goes_on_is_not_submitted_anew(api: Api) -> None:
    run_id = api("POST", "/runs", json={"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "5m"}).json()["id"]
    assert api("POST", f"/runs/{run_id}/retry").status_code == 409
    assert api("POST", f"/runs/{run_id}/retry", as_="outsider").status_code == 404
    watch.run_once(api.world.gate)


def test_a_key_makes_one_run(api: Api) -> None:
    old = ended(api, env=FAILS)
    first = api("POST", f"/runs/{old['id']}/retry", headers={"idempotency-key": "again"})
    second = api("POST", f"/runs/{old['id']}/retry", headers={"idempotency-key": "again"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    other = api("POST", f"/runs/{old['id']}/retry", headers={"idempotency-key": "again"}, json={"with_remedy": True})
    assert other.json()["code"] == "idempotency_key_reused"
