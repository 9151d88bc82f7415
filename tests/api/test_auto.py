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
