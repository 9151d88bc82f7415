"""POST /runs/{id}/then, and `then` in POST /runs, over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.flow.conftest import SCRIPT
from tests.flow.test_follow_up import edit

BODY = {"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "10m", "output_repo": "acme/model"}
TEST = {"kind": "smoke_test", "prompts": ["Who are you?"]}


def submit(api: Api, **fields: Any) -> dict[str, Any]:
    answer = api("POST", "/runs", json={**BODY, **fields})
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()
    return run


def then(api: Api, run_id: str, *asked: dict[str, Any], **kwargs: Any) -> Any:
    return api("POST", f"/runs/{run_id}/then", json={"then": list(asked)}, **kwargs)


def test_the_run_lists_what_follows_from_its_first_event_on(api: Api) -> None:
    run = submit(api, then=[TEST])
    [follow_up] = run["follow_ups"]
    assert (follow_up["kind"], follow_up["state"], follow_up["result"]) == ("smoke_test", "queued", None)
    [first, *_] = api("GET", f"/runs/{run['id']}/events").json()["data"]
    assert first["data"]["follow_ups"] == [follow_up | {"message": None, "cost": None}]
    child = api("GET", f"/runs/{follow_up['run_id']}").json()
    assert (child["parent"], child["kind"], child["requested_by"]) == (run["id"], "smoke_test", run["requested_by"])
    assert {one["id"] for one in api("GET", "/runs").json()["data"]} == {run["id"], child["id"]}


def test_what_follows_is_added_once_under_a_key(api: Api) -> None:
    run = submit(api)
    key = {"idempotency-key": "then-1"}
    first, second = (then(api, run["id"], TEST, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200), first.text
    assert first.headers["location"] == f"/runs/{run['id']}"
    assert second.headers["idempotent-replayed"] == "true"
    assert len(second.json()["follow_ups"]) == 1
    other = then(api, run["id"], TEST, TEST, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    taken = api("POST", "/runs", json=BODY, headers=key)
    assert taken.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ([{**TEST, "prompt": "x"}], "then.0.prompt", "Did you mean 'prompts'?"),
        ([TEST, {"kind": "merge"}], "then.1.kind", "merge_lora"),
        ([{"prompts": ["x"]}], "then.0.kind", "kind"),
        ([], "then", "at least 1"),
        ([TEST] * 11, "then", "at most 10"),
        ([{"kind": "merge_lora"}], "then.0.kind", "once the run has succeeded"),
        ([{**TEST, "prompts": ["hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345678"]}], "then.0.prompts.0", "secrets"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(api: Api, asked: list[Any], field: str, words: str) -> None:
    run = submit(api)
    answer = then(api, run["id"], *asked)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert words in f"{answer.json()['detail']} {answer.json()['remedy']}"
    assert api("GET", f"/runs/{run['id']}").json()["follow_ups"] == []


def test_only_who_may_steer_a_run_has_it_followed_and_only_where_there_will_be_a_model(api: Api) -> None:
    run = submit(api, then=[TEST])
    api.add_key("colleague", "research", "member")
    assert then(api, run["id"], TEST, as_="colleague").status_code == 403
    assert then(api, run["id"], TEST, as_="outsider").status_code == 404
    assert then(api, run["id"], TEST, as_="lead").status_code == 201
    child = then(api, run["follow_ups"][0]["run_id"], TEST)
    assert (child.status_code, run["id"] in child.json()["remedy"]) == (409, True)
    api("POST", f"/runs/{run['id']}/cancel")
    assert then(api, run["id"], TEST).status_code == 409
    api.world.until_end(run["id"])
    assert "was cancelled" in then(api, run["id"], TEST).json()["detail"]


def test_a_run_that_was_rescued_is_followed_though_it_has_failed(api: Api) -> None:
    run = submit(api, env={"SANDBOX_EXIT_CODE": "1"})
    api.world.until_end(run["id"])
    assert then(api, run["id"], TEST).status_code == 409
    # what a rescue leaves with the run that it was for
    files = [{"path": name, "size_bytes": 9} for name in ("adapter_config.json", "adapter_model.safetensors")]
    output = {"repo": "acme/rescued", "revision": "c" * 40, "url": None, "verified": True, "files": files, "checks": []}
    edit(api.world, run["id"], output=output)
    shown = then(api, run["id"], TEST, {"kind": "merge_lora"}).json()
    assert (shown["state"], "AutoPeft" in shown["output"]["use"]["python"]) == ("failed", True)
    for one in shown["follow_ups"]:
        child = api("GET", f"/runs/{one['run_id']}").json()
        assert (child["after"], child["recipe"]["args"][1]) == ([], "acme/rescued")


def test_a_run_is_submitted_anew_with_what_followed_it_and_a_follow_up_is_not(api: Api) -> None:
    run = submit(api, then=[TEST], env={"SANDBOX_EXIT_CODE": "1"})
    child = run["follow_ups"][0]["run_id"]
    api.world.until_end(run["id"], child)
    again = api("POST", f"/runs/{run['id']}/retry").json()
    assert [one["kind"] for one in again["follow_ups"]] == ["smoke_test"]
    assert (
        api("GET", f"/runs/{again['follow_ups'][0]['run_id']}").json()["recipe"]["args"][-3] == "--prompt=Who are you?"
    )
    refused = api("POST", f"/runs/{child}/retry")
    assert (refused.status_code, f"/runs/{run['id']}/then" in refused.json()["remedy"]) == (409, True)


def test_an_estimate_tells_what_would_be_refused_of_what_follows(api: Api) -> None:
    recipe = {"kind": "trl_sft", "model_name_or_path": "HuggingFaceTB/SmolLM3-3B", "dataset_name": "trl-lib/Capybara"}
    body = {**BODY, "recipe": recipe, "flavor": "a100-large", "then": [{"kind": "merge_lora"}]}
    warnings = api("POST", "/estimates", json=body).json()["warnings"]
    assert any("then.0.kind" in one and "all weights are trained" in one for one in warnings), warnings
