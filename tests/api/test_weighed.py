"""Nobody estimates what cannot be posted: what POST /runs refuses, POST /estimates refuses as well, or warns of."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.test_estimates import COURSE, LORA, body, estimate, rich
from tests.factories import make_budget

__all__ = ["rich"]


def args(recipe: dict[str, Any] = LORA, **more: Any) -> dict[str, Any]:
    return {**recipe, "args": {**recipe["args"], **more}}


REFUSED = [
    (body(COURSE), "does_not_fit"),
    (body(LORA, timeout="10m"), "preflight_failed"),
    (body(LORA, timeout=None, max_cost_usd=0.3), "preflight_failed"),
    (body(LORA, timeout=None, max_cost_usd=0.01), "exceeds_limit"),
    (body(LORA, timeout="9h", max_cost_usd=1), "exceeds_limit"),
    (body(LORA, timeout="20d"), "exceeds_budget"),
    (body(LORA, max_cost_usd=6.1, pilot={"max_steps": 5}), "exceeds_limit"),
    (body(LORA, flavor="auto", timeout="2m"), "does_not_fit"),
    (body(LORA, flavor="cpu-basic"), "does_not_fit"),
    (body(LORA, pilot={"flavor": "cpu-basic"}), "does_not_fit"),
    (body(LORA, pilot={"max_steps": 5000}), "invalid"),
    (body(args(tf32=True), flavor="t4-small"), "invalid"),
    (body(args(use_cpu=True), flavor="auto"), "invalid"),
    (body(LORA, image="acme/own:1"), "image_not_allowed"),
    (body(LORA, namespace="other"), "invalid"),
    (body(LORA, after=["run_x"]), "invalid"),
    (body(LORA, start_before="2020-01-01T00:00:00Z"), "invalid"),
    (body(LORA, optimize="fastest"), "invalid"),
    (body(LORA, team="other"), "not_found"),
    (body({**LORA, "report_to": "wandb"}), "invalid"),
    (body({**LORA, "chat_template_path": "/data/chat.jinja"}), "invalid"),
    (body(LORA, env={"A_B": "1"}, secrets={"A_B": "1234567"}), "invalid"),
    (body(LORA, env={"HF_HUB_OFFLINE": "1"}), "invalid"),
    (body(LORA, output_repo=LORA["model_name_or_path"]), "invalid"),
    (body({**LORA, "dataset_train_split": "train[5:5]"}), "invalid"),
]


def test_what_is_refused_is_told_with_the_estimate(rich: Api) -> None:
    rich.world.db.write(lambda session: make_budget(session, rich.world.clock.now, 400 * 10**6, period="week"))
    estimate(rich, LORA)
    for sent, code in REFUSED:
        problem = rich("POST", "/runs", json=sent).json()
        assert problem.get("code") == code, (sent, problem)
        told = rich("POST", "/estimates", json=sent).json()
        if told.get("code") == code:
            assert (told["detail"], told["field"], told["remedy"]) == tuple(
                problem[name] for name in ("detail", "field", "remedy")
            )
            continue
        refusals = [one for one in told["warnings"] if one.startswith(f"POST /runs refuses this ({code}, ")]
        about = f"({code}, {problem['field']}): {problem['errors'][0]['rule'].rstrip('.')}. {problem['remedy']}"
        assert any(about in one for one in refusals), (about, refusals)
    assert rich("GET", "/runs").json()["data"] == []


@pytest.mark.parametrize(
    "sent",
    [
        {"recipe": LORA},
        {"recipe": LORA, "flavor": "a10g-large"},
        {"recipe": {**COURSE, "model_name_or_path": "acme/none"}},
        {"recipe": LORA, "pilot": {"max_steps": 5}},
        body(LORA),
        body(LORA, flavor="auto", optimize="fastest"),
        body(COURSE, force=True),
    ],
)
def test_what_may_be_left_out_of_an_estimate_is_not_missed(rich: Api, sent: dict[str, Any]) -> None:
    for _ in range(2):
        told = rich("POST", "/estimates", json=sent).json()
        assert not any("POST /runs refuses" in one for one in told["warnings"]), told["warnings"]
