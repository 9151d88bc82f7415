"""What stands in the sandbox's Hub from the start: the course's models and datasets under their own names, small.

A model here is its config.json (dimensions as published in the model's repository), a tokenizer_config.json with a
template, and a safetensors file that is nothing but a header: enough for whoever asks how large the model is, nothing
to train on. The datasets are a few rows in the real columns.
"""

from __future__ import annotations

import json
import struct
from datetime import datetime
from typing import Any

from service.sandbox.hub import Hub

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
SMOLLM3: dict[str, Any] = {
    "architectures": ["SmolLM3ForCausalLM"],
    "model_type": "smollm3",
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 128256,
    "max_position_embeddings": 65536,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
}
SMOLLM2_135M: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
}
QWEN3_600M: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
}
# Each with its number of parameters, as the Hub counts them.
MODELS: dict[str, tuple[dict[str, Any], int]] = {
    "HuggingFaceTB/SmolLM3-3B": (SMOLLM3, 3_075_098_624),
    "HuggingFaceTB/SmolLM3-3B-Base": (SMOLLM3, 3_075_098_624),
    "HuggingFaceTB/SmolLM2-135M": (SMOLLM2_135M, 134_515_008),
    "HuggingFaceTB/SmolLM2-135M-Instruct": (SMOLLM2_135M, 134_515_008),
    "Qwen/Qwen3-0.6B": (QWEN3_600M, 596_049_920),
}
CHATS = ("HuggingFaceTB/smoltalk2_everyday_convs_think", "trl-lib/Capybara")


def fill(hub: Hub, now: datetime) -> None:
    """Put everything on the shelves."""
    for repo, (config, parameters) in MODELS.items():
        files = {
            "config.json": _json(config),
            "tokenizer_config.json": _json({"chat_template": TEMPLATE, "model_max_length": 8192}),
            "tokenizer.json": _json({"version": "1.0"}),
            "model.safetensors": _header_only(parameters),
        }
        hub.publish("model", repo, files, now)
    for repo in CHATS:
        files = {f"data/{split}.jsonl": _chats(split) for split in ("train", "test")}
        hub.publish("dataset", repo, files, now)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _header_only(parameters: int) -> bytes:
    """A safetensors file's first part: the length of the header, then the header (the format's own description)."""
    size = parameters * 2
    header = _json({"weights": {"dtype": "BF16", "shape": [parameters], "data_offsets": [0, size]}})
    return struct.pack("<Q", len(header)) + header


def _chats(split: str) -> bytes:
    asked = ("What is the capital of France?", "Paris."), ("Say good morning.", "Good morning!"), ("2 + 2?", "4.")
    rows = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], "split": split}
        for question, answer in asked
    ]
    return b"".join(_json(row) + b"\n" for row in rows)
