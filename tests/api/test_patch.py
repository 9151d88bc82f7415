"""PATCH of a queued run: nothing of the flavor before is told of the new one, and remedies name what PATCH can do."""

from __future__ import annotations

from typing import Any

import pytest

from service.flow import preflight
from tests.api.conftest import Api
from tests.api.test_runs import submit

BIG = {
    "kind": "trl_sft",
    "model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
    "dataset_name": "trl-lib/Capybara",
    "args": {"max_steps": 1000},
}


def queued(api: Api, recipe: dict[str, Any] | None = None, **fields: Any) -> str:
    """A run of a training that has been looked up."""
    api("PUT", "/teams/research/budget", as_="admin", json={"period": "month", "limit_usd": 1000, "hard": True})
    body = {"recipe": BIG | (recipe or {}), "flavor": "a100-large", "timeout": "9h", "output_repo": "acme/m", **fields}
    run_id: str = submit(api, **body)["id"]
    return run_id


def looked_up(api: Api, recipe: dict[str, Any] | None = None, **fields: Any) -> str:
    run_id = queued(api, recipe, **fields)
    preflight.run_once(api.world.gate)
    assert api("GET", f"/runs/{run_id}").json()["state"] == "queued"
    return run_id


def test_where_nothing_is_known_nothing_of_the_flavor_before_is_told(api: Api) -> None:
    run_id = looked_up(api, {"preset": "auto", "lora": {}})
    before = api("GET", f"/runs/{run_id}").json()
    assert before["estimate"]["flavor"] == "a100-large"
    api.world.forget_facts()
    changed = api("PATCH", f"/runs/{run_id}", json={"flavor": "l40sx1"}).json()
    assert (changed["flavor"], changed["estimate"], changed["cost"]["estimated_usd"]) == ("l40sx1", None, None)
    assert (changed["preflight"], changed["fingerprint"]) == (None, None)
    preflight.run_once(api.world.gate)
    again = api("GET", f"/runs/{run_id}").json()
    assert again["estimate"]["flavor"] == "l40sx1"
    assert again["state"] == "queued", again["message"]
    assert again["fingerprint"] is not None


def test_an_estimate_follows_flavor_and_timeout(api: Api) -> None:
    run_id = looked_up(api)
    one = api("PATCH", f"/runs/{run_id}", json={"flavor": "a100x4"}).json()
    assert one["estimate"]["flavor"] == "a100x4"
    two = api("PATCH", f"/runs/{run_id}", json={"timeout": "8h"}).json()
    assert (
        two["estimate"]["cost_usd"]["ceiling"]
        == two["cost"]["ceiling_usd"]
        == pytest.approx(one["cost"]["ceiling_usd"] * 481 / 541)
    )


@pytest.mark.parametrize(
    ("given", "changes", "code", "field", "remedy"),
    [
        ({}, {"timeout": "5m"}, "preflight_failed", "timeout", "Set timeout to "),
        ({}, {"flavor": "t4-small"}, "does_not_fit", "flavor", "Take flavor "),
        ({}, {"flavor": "cpu-basic"}, "does_not_fit", "flavor", "Take "),
        ({"recipe": {"args": {"max_steps": 1000, "tf32": True}}}, {"flavor": "t4-small"}, "invalid", "flavor", "Name "),
        ({"max_cost_usd": 25}, {"timeout": "20h"}, "exceeds_limit", "timeout", "Shorten the timeout or choose a "),
        (
            {"pilot": {"max_steps": 20}, "max_cost_usd": 25, "timeout": "9h"},
            {"timeout": "592m"},
            "exceeds_limit",
            "timeout",
            "Shorten the timeout or choose a cheaper flavor. ",
        ),
    ],
)
def test_remedies_of_a_change_name_what_a_change_can_do_and_leave_the_rest_to_a_new_run(
    api: Api, given: dict[str, Any], changes: dict[str, Any], code: str, field: str, remedy: str
) -> None:
    run_id = looked_up(api, **given)
    told = api("PATCH", f"/runs/{run_id}", json=changes).json()
    assert (told["code"], told["field"]) == (code, field), told
    can, otherwise, anew = told["remedy"].partition(". Otherwise submit it anew: ")
    assert can.startswith(remedy.strip(". ")), told["remedy"]
    assert otherwise
    assert not any(word in can for word in ("max_steps", "max_cost_usd", "force", "recipe", "pilot", "use_cpu"))
    assert anew.endswith(".")
    assert api("GET", f"/runs/{run_id}").json()["flavor"] == "a100-large", "nothing was changed"


@pytest.mark.parametrize("field", ["recipe", "max_cost_usd", "pilot", "env"])
def test_what_only_a_new_run_can_be_given_is_said_to_be_so(api: Api, field: str) -> None:
    told = api("PATCH", f"/runs/{submit(api)['id']}", json={field: {}}).json()
    assert (told["code"], told["field"]) == ("unknown_field", field)
    assert told["remedy"] == (
        f"Of a queued run, flavor, priority, timeout, labels can be changed. For another {field}, submit it anew."
    )


def test_auto_is_no_flavor_for_a_script(api: Api) -> None:
    run_id = submit(api)["id"]
    told = api("PATCH", f"/runs/{run_id}", json={"flavor": "auto"}).json()
    assert (told["code"], told["field"]) == ("invalid", "flavor")
    assert api("GET", f"/runs/{run_id}").json()["flavor"] == "cpu-basic"


@pytest.mark.parametrize(
    ("changes", "field"), [({}, None), ({"timeout": None}, "timeout"), ({"labels": None}, "labels")]
)
def test_a_change_of_nothing_is_refused(api: Api, changes: dict[str, Any], field: str | None) -> None:
    answer = api("PATCH", f"/runs/{submit(api)['id']}", json=changes)
    told = answer.json()
    assert (answer.status_code, told["code"], told.get("field")) == (422, "invalid", field), told
    assert told["remedy"].startswith("Send ")
