"""The files that TRL's script publishes (TRL 1.16, transformers 5.23, peft 0.21), with little in them."""

from __future__ import annotations

import json

INDEX = "model.safetensors.index.json"


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def tokenizer() -> dict[str, bytes]:
    return {
        "tokenizer.json": as_json({"model": {"type": "BPE"}}),
        "tokenizer_config.json": as_json({"tokenizer_class": "PreTrainedTokenizerFast"}),
        "chat_template.jinja": b"{{ messages }}",
    }


def full(weights: bytes = b"weights") -> dict[str, bytes]:
    """All weights were trained, and fit one file."""
    return {
        "README.md": b"# A model\n",
        "config.json": as_json({"model_type": "smollm3", "vocab_size": 432}),
        "generation_config.json": as_json({}),
        "model.safetensors": weights,
        "training_args.bin": b"arguments",
        **tokenizer(),
    }


def sharded(*shards: bytes, total_size: float | None = None) -> dict[str, bytes]:
    """All weights were trained, and were cut into shards."""
    names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    size = sum(map(len, shards)) if total_size is None else total_size
    index = {
        "metadata": {"total_size": size},
        "weight_map": {f"layers.{at}.weight": name for at, name in enumerate(names)},
    }
    files = {**full(), **dict(zip(names, shards, strict=True)), INDEX: as_json(index)}
    del files["model.safetensors"]
    return files


def adapter() -> dict[str, bytes]:
    """LoRA."""
    return {
        "README.md": b"# An adapter\n",
        "adapter_config.json": as_json({"peft_type": "LORA", "base_model_name_or_path": "acme/tiny", "r": 8}),
        "adapter_model.safetensors": b"weights",
        "training_args.bin": b"arguments",
        **tokenizer(),
    }
