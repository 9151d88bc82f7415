"""Typed recipes over HTTP: the schema, what is refused and how, and what a preset filled in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api

BODY: dict[str, Any] = {
    "recipe": {"kind": "trl_sft", "model_name_or_path": "Qwen/Qwen3-8B", "dataset_name": "acme/rows", "lora": {}},
    "flavor": "a10g-large",
    "timeout": 60,
    "output_repo": "acme/out",
}


def submit(api: Api, **recipe: Any) -> Any:
    return api("POST", "/runs", json={**BODY, "recipe": {**BODY["recipe"], **recipe}})


def test_the_schema_of_each_described_release(api: Api) -> None:
    answer = api("GET", "/recipes/trl_sft/schema", as_="viewer")
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.json()["properties"]["trl_version"]["default"] == "1.16.0"
    older = api("GET", "/recipes/trl_sft/schema?trl_version=0.29.1").json()
    assert "truncation_mode" in answer.json()["properties"]["args"]["properties"]
    assert "truncation_mode" not in older["properties"]["args"]["properties"]
    unknown = api("GET", "/recipes/trl_sft/schema?trl_version=9.9.9")
    assert (unknown.status_code, unknown.json()["field"]) == (422, "recipe.trl_version")
    assert "1.16.0, 0.29.1" in unknown.json()["remedy"]


@pytest.mark.parametrize(
    ("recipe", "code", "field", "remedy"),
    [
        ({"args": {"learning_rat": 1}}, "unknown_field", "recipe.args.learning_rat", "Did you mean 'learning_rate'?"),
        ({"args": {"max_steps": "9"}}, "invalid", "recipe.args.max_steps", "Send 9, without quotes."),
        ({"args": {"push_to_hub": True}}, "invalid", "recipe.args.push_to_hub", "Leave it out."),
        ({"trl_version": "1.0.0"}, "invalid", "recipe.trl_version", "Described are"),
        ({"quantization": {}, "lora": None}, "invalid", "recipe.quantization", "Add"),
    ],
)
def test_what_is_refused_names_field_rule_and_remedy(
    api: Api, recipe: dict[str, Any], code: str, field: str, remedy: str
) -> None:
    answer = submit(api, **recipe)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, code, field)
    assert problem.get("remedy", "").startswith(remedy)
    assert problem["detail"]


def test_the_run_shows_what_a_preset_filled_in(api: Api) -> None:
    run = submit(api, preset="auto", args={"learning_rate": 1e-5}).json()
    filled = run["recipe"]["filled"]
    assert filled["preset"] == "qwen3-lora"
    assert "ms-swift" in filled["source"]
    assert filled["args"]["gradient_accumulation_steps"] == 16
    assert "learning_rate" not in filled["args"]
    assert run["recipe"]["args"] == {**filled["args"], "learning_rate": 1e-5}
    assert run["recipe"]["lora"]["alpha"] == filled["lora"]["alpha"] == 32
