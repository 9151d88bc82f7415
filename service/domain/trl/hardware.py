"""What flags ask of a flavor beside memory: the kind of card, and how many there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.estimate.card import Flavor

# Backends of torch.distributed in PyTorch's builds for CUDA; the others are for other hardware or have to be built.
BACKENDS = ("nccl", "gloo")


@dataclass(frozen=True)
class HardwareRule:
    """`flag` is the one that asks for what the flavor has not. `source` is where the real code raises."""

    flag: str
    broken: Callable[[Mapping[str, Any], Flavor], bool]
    says: str
    remedy: str
    source: str


def _lacks_ampere(flavor: Flavor) -> bool:
    return flavor.card is None or not flavor.card.has_bf16


def _attends_by_flash(flags: Mapping[str, Any]) -> bool:
    named = str(flags.get("attn_implementation")).lower()
    return "flash_attention" in named or "flash-attn" in named


def _steps_by_layer(flags: Mapping[str, Any]) -> bool:
    return str(flags.get("optim")).endswith("_layerwise")


RULES = (
    HardwareRule(
        "tf32",
        lambda flags, flavor: flags.get("tf32") is True and _lacks_ampere(flavor),
        "'tf32' needs an Ampere GPU or a newer one, which {flavor} has not",
        "Leave tf32 out, or take a flavor with an A10G, an L4 or a newer GPU.",
        "transformers/training_args.py, TrainingArguments.__post_init__: is_torch_tf32_available",
    ),
    HardwareRule(
        "attn_implementation",
        lambda flags, flavor: _attends_by_flash(flags) and _lacks_ampere(flavor),
        "flash attention needs an Ampere GPU or a newer one, which {flavor} has not",
        "Take 'sdpa', or a flavor with an A10G, an L4 or a newer GPU.",
        "flash-attention, csrc/flash_attn/flash_api.cpp: FlashAttention only supports Ampere GPUs or newer",
    ),
    HardwareRule(
        "activation_offloading",
        lambda flags, flavor: flags.get("activation_offloading") is True and flavor.card is None,
        "'activation_offloading' moves what a GPU holds, and {flavor} has none",
        "Leave activation_offloading out, or take a flavor with a GPU.",
        "trl/models/activation_offloading.py, OffloadActivations.__init__",
    ),
    HardwareRule(
        "use_liger_kernel",
        lambda flags, flavor: flags.get("use_liger_kernel") is True and flavor.card is None,
        "the kernels of 'use_liger_kernel' are for GPUs, and {flavor} has none",
        "Leave use_liger_kernel out, or take a flavor with a GPU.",
        "linkedin/Liger-Kernel#401: Pointer argument cannot be accessed from Triton (cpu tensor?)",
    ),
    HardwareRule(
        "fsdp",
        lambda flags, flavor: bool(flags.get("fsdp")) and flavor.gpus < 2,
        "'fsdp' shards over several GPUs, which {flavor} has not",
        "Leave fsdp out, or take a flavor with several GPUs, such as a10g-largex2.",
        "transformers/trainer.py, Trainer.__init__: Using fsdp only works in distributed training",
    ),
    HardwareRule(
        "optim",
        lambda flags, flavor: _steps_by_layer(flags) and flavor.gpus > 1,
        "an optimizer that steps layer by layer works on one GPU alone, and {flavor} has several",
        "Take the optimizer without _layerwise, or a flavor with one GPU.",
        "transformers/trainer_optimizer.py, _setup_low_rank_optimizer: does not support DDP",
    ),
    HardwareRule(
        "ddp_backend",
        lambda flags, flavor: flags.get("ddp_backend") not in (None, *BACKENDS) and flavor.gpus > 1,
        "the GPUs of {flavor} are connected by nccl or gloo, not by this 'ddp_backend'",
        "Leave ddp_backend out for nccl.",
        "torch/distributed/distributed_c10d.py, init_process_group",
    ),
)


def hardware_refusal(flags: Mapping[str, Any], flavor: Flavor) -> tuple[HardwareRule, str] | None:
    """The first rule that these flags break on a flavor, with its message; None where it has all that they ask for, or
    where it has no GPU and they are not told to do without: then the flavor itself is wrong."""
    if flavor.card is None and flags.get("use_cpu") is not True:
        return None
    for rule in RULES:
        if rule.broken(flags, flavor):
            return rule, rule.says.format(flavor=flavor.name)
    return None
