"""How a published model is used: the lines of Python, the download, the endpoint with its price, or why not."""

from __future__ import annotations

import inspect
import shlex
import tomllib
from importlib.resources import files
from typing import Any

import pytest
from huggingface_hub.cli.inference_endpoints import deploy

from service.domain.use import use_of
from service.domain.use.endpoint import endpoint_for

SHA = "c" * 40
TRL = {"kind": "trl_sft", "model_name_or_path": "acme/base"}


def used(recipe: dict[str, Any] = TRL, **sizes: int | None) -> dict[str, Any]:
    named = [{"path": name.replace("__", "."), "size_bytes": size} for name, size in sizes.items()]
    found = use_of({"repo": "acme/m", "revision": SHA, "files": named}, recipe, {"model_revision": "b" * 40})
    assert found is not None
    assert found["download"] == f"hf download acme/m --revision {SHA}"
    assert {name for name in ("python", "endpoint") if found[name] is None} == found["why_not"].keys()
    if found["python"] is not None:
        compile(found["python"], "use", "exec")
    return found


def test_a_whole_model_is_loaded_and_served() -> None:
    found = used(config__json=1, model__safetensors=6 * 10**9, chat_template__jinja=9)
    assert f'model="acme/m", revision="{SHA}"' in found["python"]
    assert '{"role": "user"' in found["python"]
    assert found["endpoint"]["price_per_hour_usd"] == 0.8
    plain = used(config__json=1, model__safetensors=6 * 10**9)
    assert '"role"' not in plain["python"]


def test_an_adapter_is_loaded_with_its_base_and_served_once_it_is_merged() -> None:
    sizes = {"adapter_config__json": 1, "adapter_model__safetensors": 9}
    found = used(**sizes)
    assert f'"acme/base", revision="{"b" * 40}"' in found["python"]
    assert (found["base_model"], "merge_lora" in found["why_not"]["endpoint"]) == ("acme/base", True)
    found = used({"kind": "script"}, **sizes)
    assert ("AutoPeftModelForCausalLM" in found["python"], found["base_model"]) == (True, None)


def test_what_is_not_known_is_null_with_its_reason() -> None:
    assert "how it is loaded" in used({"kind": "script"}, weights__npz=5)["why_not"]["python"]
    assert "no config.json" in used({"kind": "script"}, model__safetensors=5)["why_not"]["endpoint"]
    assert "how large" in used(config__json=1, model__safetensors=None)["why_not"]["endpoint"]
    assert "so much memory" in used(config__json=1, model__safetensors=10**13)["why_not"]["endpoint"]
    assert use_of({"repo": "acme/m", "revision": None, "files": []}, TRL, {}) is None


def test_shards_count_together_and_checkpoints_do_not() -> None:
    shards = {f"model-0000{at}-of-00002__safetensors": 15 * 10**9 for at in (1, 2)}
    found = used(
        config__json=1, model__safetensors__index__json=2, **shards, **{"checkpoint-1/model__safetensors": 10**12}
    )
    assert found["endpoint"]["instance"] == "nvidia-l40s x1"


@pytest.mark.parametrize("gb", [0, 17.9, 18.1, 59, 61, 300, 846])
def test_the_cheapest_instance_with_room_for_the_weights_is_taken(gb: float) -> None:
    found = endpoint_for("acme/m", SHA, int(gb * 1e9))
    assert found is not None
    listed = tomllib.loads(files("service.domain.use").joinpath("endpoints.toml").read_text())["instance"]
    fitting = [one["usd_per_hour"] for one in listed if 1.2 * gb <= 0.9 * one["memory_gb"]]
    assert found["price_per_hour_usd"] == min(fitting)
    assert endpoint_for("acme/m", SHA, int(847e9)) is None


def test_the_command_is_one_that_hf_takes() -> None:
    found = endpoint_for("Acme-1/My_Model.v2--with-a-name-beyond-all-measure", SHA, 10**9)
    assert found is not None
    *command, name = shlex.split(found["command"])[:4]
    assert (command, name) == (["hf", "endpoints", "deploy"], "my-model-v2-with-a-name-beyond-a")
    given = {item[2:].replace("-", "_") for item in shlex.split(found["command"])[4::2]}
    known = inspect.signature(deploy).parameters
    needed = {one.name for one in known.values() if one.default is inspect.Parameter.empty} - {"name"}
    assert needed <= given <= known.keys()
