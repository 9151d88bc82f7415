"""Flavors as Hugging Face listed them, with the model of the course and its two ways to train."""

from __future__ import annotations

import json
from pathlib import Path

from service.domain.estimate.architecture import Architecture, read_architecture
from service.domain.estimate.card import Flavor, read_flavor
from service.domain.estimate.training import Adapters, Training, read_training

ROOT = Path(__file__).parents[3]
LISTED = json.loads((ROOT / "service" / "sandbox" / "hardware.json").read_text())
FLAVORS: list[Flavor] = [read_flavor(one, one["unitCostMicroUSD"]) for one in LISTED]
BY_NAME = {flavor.name: flavor for flavor in FLAVORS}

SMOLLM3: Architecture = read_architecture(
    {
        "model_type": "smollm3",
        "hidden_size": 2048,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "intermediate_size": 11008,
        "vocab_size": 128256,
        "dtype": "bfloat16",
    },
    {"total": 3075098624, "parameters": {"BF16": 3075098624}},
)
COURSE = {"learning_rate": 5e-5, "per_device_train_batch_size": 4, "max_steps": 1000}
FULL: Training = read_training(COURSE)
LORA: Training = read_training(COURSE, Adapters(rank=8))
