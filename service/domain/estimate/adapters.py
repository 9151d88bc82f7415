"""LoRA adapters: which linear layers get one, and how many parameters they have.

An adapter of rank r beside a layer of `inputs` x `outputs` has r x (inputs + outputs) parameters (Hu et al. 2021,
"LoRA"). peft takes a target for the last part of a module's name; `all-linear` is every linear layer but the head.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.estimate.architecture import Architecture, Linear, NotCovered

ALL_LINEAR = "all-linear"


def targeted(architecture: Architecture, targets: str | Sequence[str]) -> tuple[Linear, ...]:
    """The linear layers of one layer that get an adapter. Raises NotCovered for other targets than names of these:
    the output head, the embedding, patterns."""
    names = {targets} if isinstance(targets, str) else set(targets)
    if names == {ALL_LINEAR}:
        return architecture.linears
    known = [linear.name for linear in architecture.linears]
    if unknown := sorted(names.difference(known)):
        raise NotCovered(f"LoRA on '{unknown[0]}', which is none of {', '.join(dict.fromkeys(known))}")
    return tuple(linear for linear in architecture.linears if linear.name in names)


def adapter_parameters(architecture: Architecture, rank: int, targets: str | Sequence[str]) -> int:
    """Parameters of all adapters together. Raises NotCovered."""
    one_layer = sum(linear.inputs + linear.outputs for linear in targeted(architecture, targets))
    return rank * architecture.layers * one_layer
