"""Requests that the OpenAPI document shows."""

from __future__ import annotations

from fastapi.openapi.models import Example

RUN_EXAMPLES: dict[str, Example] = {
    "trl_sft": {
        "summary": "LoRA fine-tuning with TRL's own script",
        "value": {
            "recipe": {
                "kind": "trl_sft",
                "model_name_or_path": "HuggingFaceTB/SmolLM3-3B-Base",
                "dataset_name": "HuggingFaceTB/smoltalk2_everyday_convs_think",
                "args": {"learning_rate": 5e-5, "per_device_train_batch_size": 4, "max_steps": 1000},
                "lora": {"r": 8, "alpha": 16, "dropout": 0.05, "target_modules": "all-linear"},
                "report_to": "trackio",
            },
            "flavor": "a10g-large",
            "timeout": "2h",
            "max_cost_usd": 3.05,
            "output_repo": "acme/smollm3-sft",
            "labels": {"project": "support-bot"},
        },
    },
    "script": {
        "summary": "A uv script of your own",
        "value": {
            "recipe": {
                "kind": "script",
                "source": "# /// script\n# dependencies = []\n# ///\nprint('hello')\n",
                "args": ["--epochs", "1"],
            },
            "flavor": "cpu-basic",
            "timeout": "10m",
        },
    },
    "script_url": {
        "summary": "A script from an address, with a dataset mounted",
        "value": {
            "recipe": {
                "kind": "script",
                "url": "https://raw.githubusercontent.com/acme/recipes/v1/train.py",
                "args": ["--data", "/corpus"],
            },
            "flavor": "cpu-basic",
            "timeout": "10m",
            "volumes": [{"type": "dataset", "source": "acme/corpus", "mount_path": "/corpus", "revision": "main"}],
        },
    },
}
