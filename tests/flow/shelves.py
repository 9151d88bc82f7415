"""A small model and a dataset of chats on the sandbox's shelves, and runs that name them."""

from __future__ import annotations

import json
from typing import Any

from tests.flow.conftest import World

MODEL = "acme/tiny"
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}
TEMPLATE = {"chat_template": "{{ messages }}"}
CHAT = {"messages": [{"role": "user", "content": "hi"}]}


def model(world: World, repo: str = MODEL, *, template: bool = True, **files: object) -> None:
    named = {"config.json": CONFIG, "tokenizer_config.json": TEMPLATE if template else {}, **files}
    content = {name: json.dumps(value).encode() for name, value in named.items() if value is not None}
    content["model.safetensors"] = b""
    world.core.hub.publish("model", repo, content, world.clock.now)


def dataset(world: World, repo: str = "acme/chats", **files: str) -> None:
    named = files or {"train.jsonl": json.dumps(CHAT) + "\n"}
    content = {name.replace("__", "."): text.encode() for name, text in named.items()}
    world.core.hub.publish("dataset", repo, content, world.clock.now)


def run(world: World, checked: bool = True, reuse: str = "never", volumes: Any = (), **recipe: Any) -> str:
    body = {"kind": "trl_sft", "model_name_or_path": MODEL, "dataset_name": "acme/chats", **recipe}
    named = {"flavor": "t4-small", "output_repo": "acme/model", "reuse": reuse, "volumes": list(volumes)}
    return world.enqueue(recipe=body, checked=checked, **named)


def checks(world: World, run_id: str) -> dict[str, str]:
    told = world.show(run_id)["preflight"]["checks"]
    return {one["check"]: one["outcome"] for one in told}


def failed(world: World, run_id: str) -> dict[str, Any]:
    """The check by which a run failed, before any money was held for it."""
    shown = world.show(run_id)
    assert shown["state"] == "failed", shown["preflight"]
    assert world.entries(run_id) == []
    found: dict[str, Any] = next(one for one in shown["preflight"]["checks"] if one["outcome"] == "failed")
    assert found["remedy"]
    return found
