"""Flags that a caller does not set in `args`, and where their values come from instead."""

from __future__ import annotations

# A caller's second value would send the model elsewhere or nowhere.
_KEPT = {
    "output_dir": "it is the job's own folder, and the model goes to output_repo",
    "push_to_hub": "it is always on",
    "hub_model_id": "give output_repo",
    "hub_revision": "the model is published, and verified, on the main branch of output_repo",
    "hub_token": "it is the job's own token",
    "config": "give the fields of the recipe",
    "trackio_static_space_id": "it is off, as the static Space made at a push can end the run",
    "local_rank": "the launcher sets it for each GPU",
}
# The script would ignore them: they belong to mixtures of datasets, and dataset_name is always given.
_OF_MIXTURES = dict.fromkeys(
    ("datasets", "streaming", "test_split_size"), "mixtures of datasets are not available; give recipe.dataset_name"
)
# Without the field that switches adapters on, the script would ignore them.
_OF_LORA = dict.fromkeys(
    (
        "use_peft",
        "lora_r",
        "lora_alpha",
        "lora_dropout",
        "lora_target_modules",
        "lora_target_parameters",
        "lora_modules_to_save",
        "lora_task_type",
        "use_rslora",
        "use_dora",
    ),
    "give recipe.lora",
)
_OF_QUANTIZATION = dict.fromkeys(
    ("load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type", "use_bnb_nested_quant", "bnb_4bit_quant_storage"),
    "give recipe.quantization",
)

OWNED_FLAGS = {
    **_KEPT,
    **_OF_MIXTURES,
    **_OF_LORA,
    **_OF_QUANTIZATION,
    **{name: f"give recipe.{name}" for name in ("model_name_or_path", "dataset_name", "dataset_config", "report_to")},
}


def owned_remedy(name: str) -> str:
    """What to do in place of setting a flag that the service sets."""
    reason = OWNED_FLAGS[name]
    _, gives, field = reason.partition("give ")
    return f"Leave it out of args, and give {field}." if gives else "Leave it out."
