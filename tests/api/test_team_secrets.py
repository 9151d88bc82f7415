"""Named secrets of a team: kept by leads, named by members, shown to nobody."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.api.conftest import Api
from tests.flow.conftest import SCRIPT

PATH = "/teams/research/secrets"
VALUE = "a-value-that-nobody-sees"
NAMED: dict[str, Any] = {"secrets": {"WANDB_API_KEY": {"ref": "wandb"}}}


def put(api: Api, value: str = VALUE, name: str = "wandb") -> httpx2.Response:
    return api("PUT", f"{PATH}/{name}", as_="lead", json={"value": value})


def submit(api: Api, **fields: Any) -> httpx2.Response:
    return api("POST", "/runs", json={"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "10m", **fields})


def test_they_are_kept_listed_replaced_and_wiped(api: Api) -> None:
    assert api("GET", PATH).json()["data"] == []
    first = put(api)
    assert (first.status_code, first.json()["name"], first.json()["live_runs"]) == (201, "wandb", 0)
    run_id = submit(api, **NAMED, env={"SANDBOX_RUN_SECONDS": "5"}).json()["id"]
    api.world.clock.turn(seconds=1)
    second = put(api, "another-value")
    assert (second.status_code, second.json()["live_runs"]) == (200, 1)
    assert second.json()["created_at"] < second.json()["updated_at"]
    refused = api("DELETE", f"{PATH}/wandb", as_="lead")
    assert (refused.status_code, run_id in refused.json()["detail"]) == (409, True)
    api.world.until_end(run_id)
    assert api("DELETE", f"{PATH}/wandb", as_="lead").status_code == 204
    assert api("DELETE", f"{PATH}/wandb", as_="lead").status_code == 404
    shown = "".join(api("GET", path).text for path in (PATH, f"/runs/{run_id}", f"/runs/{run_id}/events"))
    assert VALUE not in shown + first.text + second.text
    assert "another-value" not in shown


@pytest.mark.parametrize(
    ("secrets", "field", "told"),
    [
        ({"KEY": {"ref": "nothing"}}, "secrets.KEY.ref", "It keeps wandb;"),
        ({"KEY": {"ref": "no name"}}, "secrets.KEY.ref", "letters, digits"),
        ({"KEY": {"reff": "wandb"}}, "secrets.KEY", "names one that the team keeps"),
        ({"KEY": 5}, "secrets.KEY", "names one that the team keeps"),
        ({"KEY": ["wandb"]}, "secrets.KEY", "names one that the team keeps"),
        ({"KEY": {"ref": 5}}, "secrets.KEY", "names one that the team keeps"),
        ({f"K{n}": {"ref": "wandb"} for n in range(101)}, "secrets", "at most 100"),
        ({"KEY": "x" * 70_000}, "secrets.KEY", "at most 65536 bytes"),
        ({"HF_TOKEN": {"ref": "wandb"}}, "secrets.HF_TOKEN", "cannot be set"),
        ({"KEY": {"ref": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"}}, "secrets.KEY.ref", "looks like"),
    ],
)
def test_what_is_no_reference_is_told_with_its_place(api: Api, secrets: dict[str, Any], field: str, told: str) -> None:
    put(api)
    answer = submit(api, secrets=secrets)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert told in answer.text
    assert "hf_AbCdEf" not in answer.text


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [("no%20name", VALUE, "name"), ("wandb", "", "value"), ("wandb", "<fill in>", "value"), ("wandb", " x", "value")],
)
def test_what_can_be_no_secret_is_refused(api: Api, name: str, value: str, field: str) -> None:
    answer = put(api, value, name)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_another_teams_secrets_do_not_exist(api: Api) -> None:
    put(api)
    assert api("PUT", f"{PATH}/wandb", as_="outsider", json={"value": "x"}).status_code == 404
    answer = api(
        "POST", "/runs", as_="outsider", json={"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "10m", **NAMED}
    )
    assert answer.json()["field"] == "secrets.WANDB_API_KEY.ref"
    assert "It keeps none yet" in answer.json()["remedy"]


def test_the_same_key_with_another_reference_is_another_request(api: Api) -> None:
    put(api)
    put(api, name="other")
    key = {"idempotency-key": "k"}
    body = {"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "10m", **NAMED}
    first = api("POST", "/runs", headers=key, json=body)
    assert first.status_code == 201
    assert api("POST", "/runs", headers=key, json=body).json()["id"] == first.json()["id"]
    other = api("POST", "/runs", headers=key, json={**body, "secrets": {"WANDB_API_KEY": {"ref": "other"}}})
    assert other.json()["code"] == "idempotency_key_reused"


def test_a_retry_takes_references_by_itself_and_values_anew(api: Api) -> None:
    put(api)
    sent = {"secrets": {"WANDB_API_KEY": {"ref": "wandb"}, "PLAIN": "value-of-its-own"}}
    run_id = submit(api, **sent, env={"SANDBOX_RUN_SECONDS": "1"}).json()["id"]
    api.world.until_end(run_id)
    refused = api("POST", f"/runs/{run_id}/retry", json={}).json()
    assert (refused["field"], refused["detail"]) == ("secrets", "the values of PLAIN were wiped when the run ended")
    again = api("POST", f"/runs/{run_id}/retry", json={"secrets": {"PLAIN": "value-of-its-own"}}).json()
    assert (again["secrets"], again["secret_refs"]) == (["PLAIN", "WANDB_API_KEY"], {"WANDB_API_KEY": "wandb"})
    both = {"secrets": {"PLAIN": {"ref": "wandb"}, "WANDB_API_KEY": "now-a-value"}}
    turned = api("POST", f"/runs/{run_id}/retry", json=both).json()
    assert turned["secret_refs"] == {"PLAIN": "wandb"}


def test_an_estimate_warns_of_a_name_that_is_not_there(api: Api) -> None:
    recipe = {"kind": "trl_sft", "model_name_or_path": "HuggingFaceTB/SmolLM3-3B", "dataset_name": "trl-lib/Capybara"}
    told = api("POST", "/estimates", json={"recipe": recipe, **NAMED}).json()
    assert any("keeps no secret 'wandb'" in one for one in told["warnings"])
