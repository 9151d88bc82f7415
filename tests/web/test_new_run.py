"""`/ui/new`: what is typed is a request of the API, and what it needs and costs is told before."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from service.domain.request import RunRequest
from service.flow import prices
from tests.api.conftest import Api
from tests.factories import make_budget
from tests.web.page import Visitor, words

TYPED = {
    "recipe.kind": "trl_sft",
    "recipe.model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
    "recipe.dataset_name": "HuggingFaceTB/smoltalk2_everyday_convs_think",
    "method": "lora",
    "recipe.lora.r": "8",
    "recipe.args.learning_rate": "5e-5",
    "recipe.args.max_steps": "1000",
    "recipe.args.bf16": "true",
    "recipe.args.optim_target_modules": "",
    "flavor": "a10g-large",
    "timeout": "4h",
    "max_cost_usd": "7",
    "output_repo": "acme/model",
    "labels": "project=bot\nstage=first",
    "attempt": "0123",
}


@pytest.fixture
def lead(api: Api) -> Visitor:
    prices.run_once(api.world.gate)
    api.world.db.write(lambda session: make_budget(session, api.world.clock.now, 10**9))
    return Visitor(api)


def send(lead: Visitor, path: str, **typed: str) -> Any:
    hidden = {"csrf_token": lead.browser.token()}
    return lead.browser("POST", path, data={**TYPED, **typed, **hidden}, headers={"hx-request": "true"})


def test_what_is_typed_is_submitted_and_sent_twice_it_is_one_run(api: Api, lead: Visitor) -> None:
    answers = [send(lead, "/ui/new"), send(lead, "/ui/new")]
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    [run] = api("GET", "/runs").json()["data"]
    assert {answer.headers["hx-redirect"] for answer in answers} == {f"/ui/runs/{run['id']}"}
    assert run["recipe"]["args"] == {"learning_rate": 5e-5, "max_steps": 1000, "bf16": True}
    assert (run["recipe"]["lora"]["r"], run["labels"]) == (8, {"project": "bot", "stage": "first"})
    assert (run["timeout_seconds"], run["max_cost_usd"], run["output"]["repo"]) == (14_400, 7.0, "acme/model")
    assert send(lead, "/ui/new", labels="").headers["hx-redirect"] != answers[0].headers["hx-redirect"], "another one"


def test_every_wrong_field_is_named_and_what_was_typed_stays(api: Api, lead: Visitor) -> None:
    wrong = {"recipe.args.learning_rate": "much", "recipe.args.max_steps": "-5.5"}
    answer = send(lead, "/ui/new", **wrong)
    assert answer.status_code == 422
    assert {"recipe.args.learning_rate", "recipe.args.max_steps"} <= set(re.findall(r"<code>(.*?)</code>", answer.text))
    assert "<html" not in answer.text
    assert api("GET", "/runs").json()["data"] == []


def test_the_estimate_stands_beside_the_form(lead: Visitor) -> None:
    told = words(send(lead, "/ui/new/estimate").text)
    assert "It fits a10g-large" in told
    assert "cheapest that fits" in told
    assert "trl sft --model_name_or_path HuggingFaceTB/SmolLM3-3B" in told
    assert 'curl -H "Authorization: Bearer $TUNEGATE_KEY"' in told
    full = words(send(lead, "/ui/new/estimate", method="full").text)
    assert "It does not fit a10g-large" in full
    assert "It would fit with" in full
    assert "Name a model and a dataset" in words(send(lead, "/ui/new/estimate", **{"recipe.dataset_name": ""}).text)


def test_the_form_is_drawn_from_the_schema_and_filled_in_like_another_run(api: Api, lead: Visitor) -> None:
    html = lead.html("/ui/new")
    flags = api("GET", "/recipes/trl_sft/schema").json()["properties"]["args"]["properties"]
    assert set(re.findall(r'name="recipe\.args\.(\w+)"', html)) == set(flags)
    run_id = send(lead, "/ui/new").headers["hx-redirect"].rpartition("/")[2]
    like = lead.html(f"/ui/new?like={run_id}")
    assert 'value="HuggingFaceTB/SmolLM3-3B"' in like
    assert re.search(r'name="recipe\.args\.learning_rate"[^>]*value="5e-05"', like)
    assert "project=bot" in like
    assert lead.browser("GET", "/ui/new?like=run_unknown").status_code == 404


def test_a_script_is_submitted_too(api: Api, lead: Visitor) -> None:
    typed = {"recipe.kind": "script", "recipe.source": "print('hello')", "recipe.args": "--name\nAda Lovelace"}
    assert "TRL's fine-tuning" in lead.text("/ui/new?kind=script")
    answer = send(lead, "/ui/new", **typed, method="", flavor="cpu-basic")
    assert answer.status_code == 422, "of a script's form the fields of TRL's are no part"
    own = {"csrf_token": lead.browser.token(), "flavor": "cpu-basic", "timeout": "10m", "attempt": "1", **typed}
    answer = lead.browser("POST", "/ui/new", data=own)
    [run] = api("GET", "/runs").json()["data"]
    assert answer.headers["location"] == f"/ui/runs/{run['id']}"
    assert run["recipe"]["args"] == ["--name", "Ada Lovelace"]


def test_a_command_of_the_image_is_typed_word_by_word_and_shown_so(api: Api, lead: Visitor) -> None:
    typed = {"recipe.kind": "script", "recipe.command": "bash\n-c\necho a  b", "recipe.args": "x"}
    own = {"csrf_token": lead.browser.token(), "flavor": "cpu-basic", "timeout": "10m", "attempt": "1", **typed}
    lead.browser("POST", "/ui/new", data=own)
    [run] = api("GET", "/runs").json()["data"]
    assert (run["recipe"]["command"], run["recipe"]["args"]) == (["bash", "-c", "echo a  b"], ["x"])
    assert ">bash -c echo a  b</dd>" in lead.browser("GET", f"/ui/runs/{run['id']}").text
    like = lead.browser("GET", f"/ui/new?like={run['id']}").text
    assert re.search(r'<textarea id="recipe\.command"[^>]*>bash\n-c\necho a  b</textarea>', like)


def test_a_viewer_may_look_and_not_submit(api: Api, lead: Visitor) -> None:
    viewer = Visitor(api, "viewer")
    answer = send(viewer, "/ui/new")
    assert answer.status_code == 403
    assert "needs the role 'member'" in words(answer.text)
    assert "It fits a10g-large" in words(send(viewer, "/ui/new/estimate").text)


def test_what_curl_is_told_is_what_the_form_sends(lead: Visitor) -> None:
    told = words(send(lead, "/ui/new/estimate", labels="project=it's").text)
    command = told[told.index("curl -H") : told.index(" Copy")]
    body = json.loads(shlex.split(command)[-1])
    assert body["labels"] == {"project": "it's"}
    body["labels"] = {}
    RunRequest.model_validate(body)
