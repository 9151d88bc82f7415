"""The smallest change with which a training that does not fit a flavor would.

Changes are tried in the order of what they cost the model: first those that leave the result as it is (gradient
checkpointing; a smaller batch, accumulated), then narrower numbers, then fewer trained weights, then shorter texts.
Each is judged by the same rule as the request itself, and is one that the card can compute: without bfloat16 the
narrow numbers are float16, which only frozen weights can be (gradients of trained ones cannot be unscaled), and no
QLoRA, as TRL makes its adapters bfloat16 (sft_trainer.py of 1.16 and 0.29.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.domain.estimate.architecture import Architecture, NotCovered
from service.domain.estimate.card import Card
from service.domain.estimate.memory import memory_of
from service.domain.estimate.training import Adapters, Training
from service.domain.estimate.verdict import Verdict, memory_verdict

SHORTEST = 256


@dataclass(frozen=True)
class Change:
    """What to set: `args` of the recipe, `lora` and `quantization` if they are added; and the training that results."""

    training: Training
    args: Mapping[str, Any]
    lora: Mapping[str, Any] | None = None
    quantization: Mapping[str, Any] | None = None

    @property
    def message(self) -> str:
        """The same in words."""
        words = [f"{name} {str(one).lower() if isinstance(one, bool) else one}" for name, one in self.args.items()]
        quantised = [] if self.quantization is None else [f"quantization bits {self.quantization['bits']}"]
        return ", ".join([*(["lora"] if self.lora else []), *quantised, *words])


Allows = Callable[[Change], Change | None]


def smallest_change(
    architecture: Architecture, training: Training, card: Card, allows: Allows = lambda change: change
) -> Change | None:
    """The first change that fits a card and is allowed, as it is given back; None where none is."""
    for step in _steps(training, card.has_bf16):
        for one in (step, *_with_smaller_batch(step)):
            if one == training or not _fits(architecture, one, card.usable_gib):
                continue
            if (allowed := allows(_described(training, one, card.has_bf16))) is not None:
                return allowed
    return None


def _fits(architecture: Architecture, training: Training, usable_gib: float) -> bool:
    try:
        return memory_verdict(memory_of(architecture, training).peak_gib, usable_gib) is not Verdict.DOES_NOT_FIT
    except NotCovered:
        return False


def _steps(training: Training, has_bf16: bool) -> Iterator[Training]:
    """Ever stronger forms of a training; each keeps what the one before it has, but for the optimizer of LoRA."""
    now = training
    yield now
    if not now.checkpointing:
        now = replace(now, checkpointing=True)
        yield now
    if now.is_full:
        yield from _full(now, has_bf16)
        now = replace(now, adapters=Adapters())
        yield now
    if now.dtype != "bf16":
        now = _narrow(now, has_bf16)
        yield now
    if has_bf16:
        now = replace(now, quantised=True)
        yield now
    while now.length > SHORTEST and now.packing == "none":
        now = replace(now, length=max(SHORTEST, now.length // 2))
        yield now


def _full(training: Training, has_bf16: bool) -> Iterator[Training]:
    narrow = _narrow(training, has_bf16) if has_bf16 else training
    for one in (training, narrow):
        if one != training:
            yield one
        if one.optimizer.startswith("adamw") and one.optimizer != "adamw_8bit":
            yield replace(one, optimizer="adamw_8bit")
    yield replace(narrow, optimizer="adafactor")


def _narrow(training: Training, has_bf16: bool) -> Training:
    """Weights of two bytes, of the type that is computed in."""
    return replace(training, dtype="bf16", computes="bf16" if has_bf16 else "fp16")


def _with_smaller_batch(training: Training) -> Iterator[Training]:
    """Half the batch and twice the accumulation, as long as batches stay whole: as many sequences in each step."""
    while training.batch > 1 and training.batch % 2 == 0:
        training = replace(training, batch=training.batch // 2, accumulation=2 * training.accumulation)
        yield training


def _described(before: Training, after: Training, has_bf16: bool) -> Change:
    """A change in the flags of TRL."""
    args: dict[str, Any] = {}
    if after.checkpointing != before.checkpointing:
        args["gradient_checkpointing"] = True
    if after.batch != before.batch:
        args["per_device_train_batch_size"] = after.batch
        args["gradient_accumulation_steps"] = after.accumulation
    if after.dtype != before.dtype:
        args["dtype"] = "bfloat16" if has_bf16 else "float16"
    if after.computes != before.computes:
        args |= {"bf16": has_bf16, "fp16": not has_bf16}
    if after.optimizer != before.optimizer:
        args["optim"] = after.optimizer
    if after.length != before.length:
        args["max_length"] = after.length
    lora = None
    if after.adapters is not None and before.adapters is None:
        lora = {"r": after.adapters.rank, "target_modules": "all-linear"}
    quantised = after.quantised and not before.quantised
    return Change(after, args, lora, {"bits": 4} if quantised else None)
