"""Number formats, and compilation."""

from __future__ import annotations

from service.domain.trl.rules.rule import Flags, Rule

TRAINING_ARGUMENTS = "transformers/training_args.py, TrainingArguments._validate_args"
# accelerate/utils/dataclasses.py, DynamoBackend
BACKENDS = frozenset(
    (
        "no",
        "eager",
        "aot_eager",
        "inductor",
        "aot_ts_nvfuser",
        "nvprims_nvfuser",
        "cudagraphs",
        "ofi",
        "fx2trt",
        "onnxrt",
        "tensorrt",
        "aot_torchxla_trace_once",
        "torchxla_trace_once",
        "tvm",
        "hpu_backend",
        "neuron",
    )
)
# torch/_inductor: list_mode_options; another mode is a RuntimeError at the first step
MODES = frozenset({"default", "lite", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"})


def _trains_half(flags: Flags) -> bool:
    """Gradients of weights in float16 cannot be unscaled, which clipping does first. Adapters are in float32; deepspeed
    and FSDP scale by themselves, and nothing is scaled on a CPU."""
    loaded = flags.table("model_init_kwargs").get("dtype", flags["dtype"])
    is_scaled = flags.on("fp16") and flags["max_grad_norm"] > 0 and not flags.on("use_cpu")
    is_plain = not flags.on("use_peft") and not flags["deepspeed"] and not flags["fsdp"]
    return loaded == "float16" and is_scaled and is_plain


def _backend(flags: Flags) -> str | None:
    backend = flags["torch_compile_backend"]
    return None if backend is None else str(backend).lower()


RULES = (
    Rule(
        "one_half_precision",
        ("fp16", "bf16"),
        lambda flags: flags.on("fp16") and flags.bf16,
        "'fp16' and 'bf16' are both true: a training computes in one of them",
        "Keep bf16, or fp16 on a T4.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "one_half_precision_of_evaluation",
        ("fp16_full_eval", "bf16_full_eval"),
        lambda flags: flags.on("fp16_full_eval") and flags.on("bf16_full_eval"),
        "'fp16_full_eval' and 'bf16_full_eval' are both true: an evaluation computes in one of them",
        "Keep one.",
        TRAINING_ARGUMENTS,
    ),
    Rule(
        "half_weights_scaled",
        ("dtype", "fp16", "use_peft", "model_init_kwargs", "deepspeed", "fsdp", "max_grad_norm", "use_cpu"),
        _trains_half,
        "weights of dtype float16 cannot be trained with 'fp16': their gradients cannot be unscaled",
        "Set dtype 'float32', or give recipe.lora.",
        "torch/amp/grad_scaler.py, GradScaler._unscale_grads_: Attempting to unscale FP16 gradients",
    ),
    Rule(
        "unknown_compiler",
        ("torch_compile_backend",),
        lambda flags: (backend := _backend(flags)) is not None and backend not in BACKENDS,
        "there is no 'torch_compile_backend' {torch_compile_backend}",
        "Leave it out for 'inductor'.",
        "accelerate/utils/dataclasses.py, TorchDynamoPlugin: DynamoBackend",
    ),
    Rule(
        "unknown_compile_mode",
        ("torch_compile_mode", "torch_compile_backend"),
        lambda flags: (
            flags["torch_compile_mode"] is not None
            and _backend(flags) in (None, "inductor")
            and flags["torch_compile_mode"] not in MODES
        ),
        "there is no 'torch_compile_mode' {torch_compile_mode}",
        f"Take one of {', '.join(sorted(MODES))}, or leave it out.",
        "torch/_inductor: list_mode_options",
    ),
)
