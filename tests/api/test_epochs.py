"""A training that is told in epochs: its steps follow from the dataset's rows, and its time from them."""

from __future__ import annotations

import json
from math import ceil
from typing import Any

import pytest

from service.flow import preflight
from tests.api.conftest import Api
from tests.api.test_estimates import LORA, body, estimate, rich

__all__ = ["rich"]
ROW = {"messages": [{"role": "user", "content": "word " * 200}, {"role": "assistant", "content": "word " * 200}]}
CARD = """---
dataset_info:
  features:
  - name: messages
    list: {{role: string, content: string}}
  splits:
  - name: train
    num_bytes: {size}
    num_examples: {rows}
---
"""


def published(api: Api, rows: int, by_card: bool) -> None:
    """A dataset of so many rows of 500 tokens, as the card says or as the file is read."""
    size = 2000 * rows
    files = {"README.md": CARD.format(rows=rows, size=size).encode(), "data/train-0.parquet": b"PAR1"}
    if not by_card:
        files = {"train.jsonl": (json.dumps(ROW) + "\n").encode() * rows}
    api.world.core.hub.publish("dataset", "acme/chats", files, api.world.clock.now)


def epochs(count: float, **fields: Any) -> dict[str, Any]:
    args = {"num_train_epochs": count, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    return {**LORA, "dataset_name": "acme/chats", "args": args, **fields}


def of(told: dict[str, Any], flavor: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in told["flavors"] if one["flavor"] == flavor)
    return found


@pytest.mark.parametrize(("rows", "by_card"), [(10_000, True), (20, False)])
def test_the_time_of_epochs_is_that_of_their_steps(rich: Api, rows: int, by_card: bool) -> None:
    published(rich, rows, by_card)
    for count in (1, 2.5):
        steps = ceil(count * ceil(rows / 8))
        told = estimate(rich, epochs(count))
        assert not any("not covered: time" in one for one in told["warnings"]), told["warnings"]
        in_steps = epochs(count)
        in_steps["args"] = {**in_steps["args"], "max_steps": steps}
        assert of(told, "a100-large")["minutes"] == of(estimate(rich, in_steps), "a100-large")["minutes"]
        run_id = rich("POST", "/runs", json=body(epochs(count), flavor="a100-large")).json()["id"]
        preflight.run_once(rich.world.gate)
        assert rich("GET", f"/runs/{run_id}").json()["estimate"]["steps"] == steps


def test_what_is_assumed_of_packed_rows_is_said(rich: Api) -> None:
    published(rich, 10_000, by_card=True)
    plain, packed = estimate(rich, epochs(1)), estimate(rich, epochs(1, packing=True))
    assert of(packed, "a100-large")["minutes"]["p50"] < of(plain, "a100-large")["minutes"]["p50"]
    assert any("rows of about 500 tokens" in one and "a guess" in one for one in packed["warnings"])
    assert not any("Packing" in one for one in plain["warnings"])
    half = estimate(rich, epochs(1, dataset_train_split="train[:50%]"))
    assert of(half, "a100-large")["minutes"]["p50"] < of(plain, "a100-large")["minutes"]["p50"]


def test_a_timeout_that_the_epochs_do_not_keep_is_refused(rich: Api) -> None:
    published(rich, 1_000_000, by_card=True)
    estimate(rich, epochs(3))
    refused = rich("POST", "/runs", json=body(epochs(3), flavor="a100-large", timeout="1h")).json()
    assert (refused["code"], refused["field"]) == ("preflight_failed", "timeout")
    assert "num_train_epochs" in refused["remedy"]
