"""`output.use`: what is known of how a model is used, and why something of it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.model_files import ADAPTER_CONFIG, ADAPTERS, BIN, BIN_INDEX, CONFIG, SAFETENSORS, SAFETENSORS_INDEX
from service.domain.use import python
from service.domain.use.endpoint import endpoint_for

TEMPLATE = "chat_template.jinja"
WHOLE = {SAFETENSORS_INDEX: ".safetensors", SAFETENSORS: ".safetensors", BIN_INDEX: ".bin", BIN: ".bin"}


def use_of(output: Mapping[str, Any], recipe: Mapping[str, Any], pins: Mapping[str, str]) -> dict[str, Any] | None:
    """Of a run's `output` that was verified, with the stored recipe that made it; None without a commit. `why_not` has
    a sentence for each of `python` and `endpoint` that is null."""
    repo, revision = output.get("repo"), output.get("revision")
    if repo is None or revision is None:
        return None
    sizes = {file["path"]: file["size_bytes"] for file in output.get("files", ())}
    told: dict[str, Any] = {
        "python": None,
        "download": f"hf download {repo} --revision {revision}",
        "endpoint": None,
        "base_model": None,
        "why_not": {},
    }
    if ADAPTER_CONFIG in sizes and any(name in sizes for name in ADAPTERS):
        base = recipe.get("model_name_or_path")
        base_revision = pins.get("model_revision") if base is not None else None
        told["base_model"] = base
        told["python"] = python.of_adapter(repo, revision, base, base_revision, TEMPLATE in sizes)
        told["why_not"]["endpoint"] = (
            "An adapter is served together with its base model: merge it first (POST /runs/{id}/then with merge_lora)."
        )
        return told
    weights = next((name for name in WHOLE if name in sizes), None)
    if weights is None or CONFIG not in sizes:
        lacking = f"It has no {CONFIG}" if weights is not None else "It holds no weights of transformers"
        told["why_not"] = dict.fromkeys(("python", "endpoint"), f"{lacking}: how it is loaded is its script's matter.")
        return told
    told["python"] = python.of_model(repo, revision, TEMPLATE in sizes)
    held = [size for path, size in sizes.items() if "/" not in path and path.endswith(WHOLE[weights])]
    if any(size is None for size in held):
        told["why_not"]["endpoint"] = "The Hub did not tell how large its weights are."
    else:
        told["endpoint"] = endpoint_for(repo, revision, sum(held))
        if told["endpoint"] is None:
            told["why_not"]["endpoint"] = "No instance that is known here has so much memory."
    return told
