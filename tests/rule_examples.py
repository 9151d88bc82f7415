"""For each rule between flags: what breaks it, and a twin as near to it as can be that works.

`tests/domain` holds them against the service, `tests/trl` against the real classes. `shown_by` names what of those
refuses: `config` (SFTConfig), `model` (ModelConfig and what TRL makes of it), `training` (a real one of two steps),
`read` where only the sources were read, because it takes a GPU, another package or a release that is not installed;
with `, bad` the good twin was only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EVALUATED = {"eval_strategy": "steps", "eval_steps": 1}
LORA = {"use_peft": True}
TRL_1_16, TRL_0_29 = "1.16.0", "0.29.1"


@dataclass(frozen=True)
class Example:
    """Flags that break a rule, and flags that do not."""

    rule: str
    bad: dict[str, Any]
    good: dict[str, Any]
    shown_by: str
    release: str = TRL_1_16


def _json(name: str, shown_by: str = "config", good: Any = None) -> Example:
    return Example(f"{name}_is_json", {name: "{bad"}, {name: good or {}}, shown_by)


EXAMPLES = (
    _json("lr_scheduler_kwargs"),
    _json("gradient_checkpointing_kwargs"),
    _json("activation_checkpointing_kwargs"),
    _json("model_init_kwargs"),
    _json("dataset_kwargs"),
    _json("deepspeed", good={"zero_optimization": {"stage": 2}}, shown_by="config, bad"),
    _json("fsdp_config"),
    _json("accelerator_config"),
    Example("epochs_without_steps", {"num_train_epochs": -1}, {"num_train_epochs": -1, "max_steps": 2}, "read"),
    Example(
        "streaming_without_steps",
        {"dataset_streaming": True},
        {"dataset_streaming": True, "max_steps": 2},
        "training",
    ),
    Example("packing_without_length", {"packing": True, "max_length": None}, {"packing": True}, "training"),
    Example(
        "eval_packing_without_length",
        {**EVALUATED, "eval_packing": True, "max_length": None},
        {"eval_packing": True, "max_length": None},
        "training",
    ),
    Example(
        "padding_free_with_length",
        {"padding_free": True},
        {"padding_free": True, "max_length": None},
        "training",
    ),
    Example("pad_to_a_number", {"pad_to_multiple_of": "x"}, {"pad_to_multiple_of": "8"}, "config"),
    Example("unknown_loss", {"loss_type": "chunked_nll"}, {"loss_type": "dft"}, "read", TRL_0_29),
    Example(
        "fused_loss_of_liger",
        {"use_liger_kernel": True, "liger_kernel_config": {"fused_linear_cross_entropy": True}},
        {"use_liger_kernel": True, "liger_kernel_config": {"rope": True}},
        "training, bad",
    ),
    Example(
        "plateau_without_evaluation",
        {"lr_scheduler_type": "reduce_lr_on_plateau"},
        {"lr_scheduler_type": "reduce_lr_on_plateau", **EVALUATED},
        "training",
    ),
    Example(
        "eval_on_start_without_evaluation", {"eval_on_start": True}, {"eval_on_start": True, **EVALUATED}, "training"
    ),
    Example(
        "eval_steps_unknown",
        {"eval_strategy": "steps", "logging_strategy": "no", "logging_steps": 0},
        {"eval_strategy": "steps", "eval_steps": 5, "logging_strategy": "no", "logging_steps": 0},
        "config",
    ),
    Example("eval_steps_whole", {"eval_strategy": "steps", "eval_steps": 1.5}, {"eval_steps": 1.5}, "config"),
    Example("logging_steps_none", {"logging_steps": 0}, {"logging_steps": 0, "logging_strategy": "epoch"}, "config"),
    Example("logging_steps_whole", {"logging_steps": 2.5}, {"logging_steps": 0.5}, "config"),
    Example("save_steps_whole", {"save_steps": 1.5}, {"save_steps": 0.5}, "config"),
    Example(
        "best_at_end_strategies",
        {"load_best_model_at_end": True},
        {"load_best_model_at_end": True, "save_strategy": "epoch", "eval_strategy": "epoch"},
        "config",
    ),
    Example(
        "best_at_end_steps",
        {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 10, "save_steps": 15},
        {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 0.1, "save_steps": 0.3},
        "config",
    ),
    Example(
        "best_without_metric",
        {"save_strategy": "best", **EVALUATED},
        {"save_strategy": "best", "metric_for_best_model": "loss", **EVALUATED},
        "training",
    ),
    Example(
        "unknown_metric",
        {"metric_for_best_model": "rouge", **EVALUATED},
        {"metric_for_best_model": "mean_token_accuracy", **EVALUATED},
        "training",
    ),
    Example("one_half_precision", {"fp16": True, "bf16": True}, {"fp16": True, "bf16": False}, "config"),
    Example(
        "one_half_precision_of_evaluation",
        {"fp16_full_eval": True, "bf16_full_eval": True},
        {"bf16_full_eval": True},
        "config",
    ),
    Example(
        "half_weights_scaled", {"fp16": True, "dtype": "float16"}, {"fp16": True, "dtype": "float16", **LORA}, "read"
    ),
    Example(
        "unknown_compiler",
        {"torch_compile": True, "torch_compile_backend": "bogus"},
        {"torch_compile": True, "torch_compile_backend": "eager"},
        "training",
    ),
    Example(
        "unknown_compile_mode",
        {"torch_compile": True, "torch_compile_mode": "fast"},
        {"torch_compile": True, "torch_compile_mode": "reduce-overhead"},
        "training, bad",
    ),
    Example("optimizer_elsewhere", {"optim": "adamw_anyprecision"}, {"optim": "adamw_torch"}, "training"),
    Example(
        "low_rank_without_targets",
        {"optim": "galore_adamw"},
        {"optim": "galore_adamw", "optim_target_modules": "all-linear"},
        "read",
    ),
    Example(
        "layerwise_accumulates",
        {"optim": "apollo_adamw_layerwise", "optim_target_modules": "all-linear", "gradient_accumulation_steps": 2},
        {"optim": "apollo_adamw", "optim_target_modules": "all-linear", "gradient_accumulation_steps": 2},
        "read",
    ),
    Example(
        "optimizer_arguments", {"optim_args": "garbage"}, {"optim_args": "momentum=0.9", "optim": "sgd"}, "training"
    ),
    Example(
        "schedule_takes",
        {"lr_scheduler_type": "linear", "lr_scheduler_kwargs": {"num_cycles": 1}},
        {"lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"num_cycles": 1}},
        "training",
    ),
    Example(
        "schedule_needs",
        {"lr_scheduler_type": "cosine_with_min_lr"},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": '{"min_lr_rate": 0.1}'},
        "training",
    ),
    Example(
        "schedule_words",
        {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 1, "decay_type": "x"}},
        {
            "lr_scheduler_type": "warmup_stable_decay",
            "lr_scheduler_kwargs": {"num_decay_steps": 1, "decay_type": "1-sqrt"},
        },
        "training",
    ),
    Example(
        "prefetch_without_workers",
        {"dataloader_prefetch_factor": 2},
        {"dataloader_prefetch_factor": 2, "dataloader_num_workers": 1},
        "config",
    ),
    Example(
        "persistence_without_workers",
        {"dataloader_persistent_workers": True},
        {"dataloader_persistent_workers": True, "dataloader_num_workers": 1},
        "training",
    ),
    Example(
        "start_method_without_workers",
        {"dataloader_multiprocessing_context": "fork"},
        {"dataloader_multiprocessing_context": "fork", "dataloader_num_workers": 1},
        "training",
    ),
    Example("accelerator_config_keys", {"accelerator_config": {"foo": 1}}, {"accelerator_config": {}}, "config"),
    Example(
        "configured_state",
        {"accelerator_config": {"use_configured_state": True}},
        {"accelerator_config": {"use_configured_state": False}},
        "read",
    ),
    Example(
        "accumulation_said_twice",
        {
            "accelerator_config": {"gradient_accumulation_kwargs": {"num_steps": 2}},
            "gradient_accumulation_steps": 2,
        },
        {"accelerator_config": {"gradient_accumulation_kwargs": {"num_steps": 2}}},
        "training",
    ),
    Example(
        "one_sharding",
        {"fsdp": "full_shard", "deepspeed": {"a": 1}},
        {"fsdp": "full_shard"},
        "read",
    ),
    Example("unknown_fsdp", {"fsdp": "half_shard"}, {"fsdp": "full_shard auto_wrap"}, "config"),
    Example(
        "unknown_wrap_policy",
        {"fsdp": "full_shard", "fsdp_config": {"fsdp_auto_wrap_policy": "x"}},
        {"fsdp": "full_shard", "fsdp_config": {"auto_wrap_policy": "NO_WRAP"}},
        "config",
    ),
    Example(
        "fsdp_of_tpus", {"fsdp": "full_shard", "fsdp_config": {"xla": True}}, {"fsdp_config": {"xla": True}}, "read"
    ),
    Example(
        "fsdp_checkpoints_twice",
        {"fsdp": "full_shard", "fsdp_config": {"activation_checkpointing": True}},
        {
            "fsdp": "full_shard",
            "fsdp_config": {"activation_checkpointing": True},
            "gradient_checkpointing": False,
        },
        "read",
    ),
    Example(
        "best_at_end_sharded",
        {
            "fsdp": "full_shard",
            "save_only_model": True,
            "load_best_model_at_end": True,
            "save_strategy": "epoch",
            "eval_strategy": "epoch",
        },
        {
            "fsdp": "full_shard",
            "load_best_model_at_end": True,
            "save_strategy": "epoch",
            "eval_strategy": "epoch",
        },
        "read",
    ),
    Example(
        "batch_found_with_zero3",
        {"deepspeed": {"zero_optimization": {"stage": 3}}, "auto_find_batch_size": True},
        {"deepspeed": {"zero_optimization": {"stage": 2}}, "auto_find_batch_size": True},
        "read",
    ),
    Example(
        "unknown_checkpointing",
        {"gradient_checkpointing_kwargs": {"use_reentrat": False}},
        {"gradient_checkpointing_kwargs": {"selective": True, "every_n_layers": 1, "early_stop": True}},
        "training",
    ),
    Example(
        "selective_without_checkpointing",
        {"gradient_checkpointing_kwargs": {"selective": True}, "gradient_checkpointing": False},
        {"gradient_checkpointing_kwargs": {"selective": False}, "gradient_checkpointing": False},
        "training",
    ),
    Example(
        "selective_and_reentrant",
        {"gradient_checkpointing_kwargs": {"selective": True, "use_reentrant": True}},
        {"gradient_checkpointing_kwargs": {"selective": True, "use_reentrant": False}},
        "training",
    ),
    Example("unknown_attention", {"attn_implementation": "bogus"}, {"attn_implementation": "eager"}, "training"),
    Example(
        "flex_attention_on_cpu",
        {"attn_implementation": "flex_attention", "use_cpu": True},
        {"attn_implementation": "sdpa", "use_cpu": True},
        "training",
    ),
    Example(
        "unknown_attention_inside",
        {"model_init_kwargs": {"attn_implementation": "bogus"}},
        {"model_init_kwargs": {"attn_implementation": "sdpa"}},
        "training",
    ),
    Example(
        "unknown_dtype_inside",
        {"model_init_kwargs": {"dtype": "fp8"}},
        {"model_init_kwargs": {"dtype": "bfloat16"}},
        "training",
    ),
    Example(
        "quantized_twice",
        {**LORA, "load_in_4bit": True, "model_init_kwargs": {"quantization_config": {}}},
        {**LORA, "load_in_4bit": True, "model_init_kwargs": {}},
        "read",
    ),
    Example(
        "unknown_storage",
        {**LORA, "load_in_4bit": True, "bnb_4bit_quant_storage": "int3"},
        {**LORA, "load_in_4bit": True, "bnb_4bit_quant_storage": "uint8"},
        "model",
    ),
    Example(
        "targets_in_one_text",
        {**LORA, "lora_target_modules": ["q_proj,v_proj"]},
        {**LORA, "lora_target_modules": ["q_proj", "v_proj"]},
        "training",
    ),
    Example(
        "targets_everything",
        {**LORA, "lora_target_modules": ["all_linear"]},
        {**LORA, "lora_target_modules": ["all-linear"]},
        "training",
    ),
    Example(
        "targets_pattern",
        {**LORA, "lora_target_modules": ["*.q_proj"]},
        {**LORA, "lora_target_modules": [r".*\.(q|v)_proj"]},
        "training",
    ),
    Example(
        "adapter_on_head",
        {**LORA, "lora_target_modules": ["q_proj", "lm_head"]},
        {**LORA, "lora_target_modules": ["q_proj", "lm_head"], "lora_modules_to_save": ["lm_head"]},
        "training",
    ),
    Example(
        "parameters_without_dropout",
        {**LORA, "lora_target_parameters": ["q_proj.weight"]},
        {**LORA, "lora_target_parameters": ["q_proj.weight"], "lora_dropout": 0.0},
        "training",
    ),
    Example(
        "parameters_without_dora",
        {**LORA, "lora_target_parameters": ["q_proj.weight"], "lora_dropout": 0.0, "use_dora": True},
        {**LORA, "lora_target_parameters": ["q_proj.weight"], "lora_dropout": 0.0},
        "training",
    ),
)
