"""LoRA adapters: which linear layers get one, and how many parameters they have.

An adapter of rank r beside a layer of `inputs` x `outputs` has r x (inputs + outputs) parameters (Hu et al. 2021,
"LoRA"). peft takes a target for the last part of a module's name; `all-linear` is every linear layer but the output
head.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.domain.estimate.architecture import Architecture, Linear, NotCovered

ALL_LINEAR = "all-linear"
# What peft adapts where nothing is named (peft 0.21, TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING).
ONE_NAME = re.compile(r"\w+")


def targeted(architecture: Architecture, targets: str | Sequence[str]) -> tuple[Linear, ...]:
    """The linear layers of one layer that get an adapter. Raises NotCovered for other targets than names of these."""
    names = [targets] if isinstance(targets, str) else list(targets)
    if names == [ALL_LINEAR]:
        return architecture.linears
    known = {linear.name for linear in architecture.linears}
    for name in names:
        if name.rpartition(".")[2] not in known or not ONE_NAME.fullmatch(name.rpartition(".")[2]):
            raise NotCovered(f"LoRA on '{name}' is not one of the layers {', '.join(sorted(known))}")
    return tuple(linear for linear in architecture.linears if linear.name in {n.rpartition(".")[2] for n in names})


def adapter_parameters(architecture: Architecture, rank: int, targets: str | Sequence[str]) -> int:
    """Parameters of all adapters together. Raises NotCovered."""
    one_layer = sum(linear.inputs + linear.outputs for linear in targeted(architecture, targets))
    return rank * architecture.layers * one_layer
