"""`"flavor": "auto"`: what a refusal says would do is accepted, and what `auto` cannot be asked for is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.test_estimates import LORA, body, estimate, rich

__all__ = ["rich"]


@pytest.mark.parametrize("asked", [{"timeout": "5m"}, {"max_cost_usd": 0.1}, {"timeout": "5m", "max_cost_usd": 0.1}])
@pytest.mark.parametrize("pilot", [{}, {"pilot": {"max_steps": 5}}])
def test_what_would_do_for_auto_is_accepted_and_less_is_refused(
    rich: Api, asked: dict[str, Any], pilot: dict[str, Any]
) -> None:
    estimate(rich, LORA)
    asked = {"timeout": None, **asked, **pilot}
    refused = rich("POST", "/runs", json=body(LORA, flavor="auto", **asked)).json()
    told = refused["detail"].partition("would do with ")[2].partition(" at the least.")[0].split(" and ")
    least = dict(one.split(" ", 1) for one in told)
    assert all(f"{name} {value}" in refused["remedy"] for name, value in least.items())
    assert least.keys() == asked.keys() - {"pilot"} - {name for name, value in asked.items() if value is None}
    enough: dict[str, Any] = {**asked}
    if "timeout" in least:
        enough["timeout"] = 60 * int(least["timeout"].removesuffix("m"))
    if "max_cost_usd" in least:
        enough["max_cost_usd"] = float(least["max_cost_usd"])
    for name in least:
        less = round(enough[name] - (60 if name == "timeout" else 0.01), 6)
        below = rich("POST", "/runs", json=body(LORA, flavor="auto", **{**enough, name: less}))
        assert below.json()["code"] == "does_not_fit", below.text
    taken = rich("POST", "/runs", json=body(LORA, flavor="auto", **enough))
    assert taken.status_code == 201, taken.text


ON_CPU = {**LORA, "args": {**LORA["args"], "use_cpu": True}}


@pytest.mark.parametrize("is_known", [True, False])
def test_for_a_training_on_the_cpu_auto_takes_no_gpu_and_a_named_one_is_idle(rich: Api, is_known: bool) -> None:
    idle = "'use_cpu' leaves the GPU of a100-large idle, which is paid for"
    if is_known:
        assert idle in estimate(rich, ON_CPU, flavor="a100-large")["warnings"]
    auto = rich("POST", "/runs", json=body(ON_CPU, flavor="auto")).json()
    assert (auto["code"], auto["field"]) == ("invalid", "flavor")
    assert "Name a flavor without a GPU" in auto["remedy"]
    named = rich("POST", "/runs", json=body(ON_CPU, flavor="a100-large"))
    assert named.status_code == 201, named.text
    assert not is_known or idle in named.json()["estimate"]["warnings"]
    taken = rich("POST", "/runs", json=body(ON_CPU, flavor="cpu-upgrade"))
    assert taken.status_code == 201, taken.text
    changed = rich("PATCH", f"/runs/{taken.json()['id']}", json={"flavor": "auto"})
    assert (changed.status_code, changed.json()["field"], bool(changed.json()["remedy"])) == (422, "flavor", True)


@pytest.mark.parametrize("goal", ["cheapest", "fastest"])
def test_what_auto_is_to_look_for_is_not_asked_of_a_named_flavor(rich: Api, goal: str) -> None:
    for path in ("/runs", "/estimates"):
        refused = rich("POST", path, json=body(LORA, optimize=goal)).json()
        assert (refused["code"], refused["field"]) == ("invalid", "optimize")
        assert "auto" in refused["remedy"]
        on_auto = body(LORA, optimize=goal, pilot={"flavor": "auto"})
        assert rich("POST", path, json=on_auto).status_code in (200, 201)
        assert rich("POST", path, json=body(LORA, optimize=goal, flavor="auto")).status_code in (200, 201)
    run_id = rich("POST", "/runs", json=body(LORA)).json()["id"]
    refused = rich("PATCH", f"/runs/{run_id}", json={"flavor": "l40sx1", "optimize": goal}).json()
    assert (refused["code"], refused["field"], bool(refused["remedy"])) == ("unknown_field", "optimize", True)
