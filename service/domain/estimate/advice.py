"""The smallest change with which a training that does not fit a flavor would.

Changes are tried in the order of what they cost the model: first those that leave the result as it is (gradient
checkpointing; a smaller batch, accumulated), then narrower numbers, then fewer trained weights, then shorter texts.
Each is judged by the same rule as the request itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.domain.estimate.architecture import Architecture, NotCovered
from service.domain.estimate.memory import memory_of
from service.domain.estimate.training import Adapters, Training
from service.domain.estimate.verdict import Verdict, memory_verdict

SHORTEST = 256


@dataclass(frozen=True)
class Change:
    """What to set: `args` of the recipe, `lora` if adapters are added; and the training that results."""

    training: Training
    args: Mapping[str, Any]
    lora: Mapping[str, Any] | None
    message: str


def smallest_change(architecture: Architecture, training: Training, usable_gib: float) -> Change | None:
    """The first change that fits a card's usable GiB; None where none does."""
    for step in _steps(training):
        for one in (step, *_with_smaller_batch(step)):
            if one != training and _fits(architecture, one, usable_gib):
                return _described(training, one)
    return None


def _fits(architecture: Architecture, training: Training, usable_gib: float) -> bool:
    try:
        return memory_verdict(memory_of(architecture, training).peak_gib, usable_gib) is not Verdict.DOES_NOT_FIT
    except NotCovered:
        return False


def _steps(training: Training) -> Iterator[Training]:
    """Ever stronger forms of a training; each keeps what the one before it has, but for the optimizer of LoRA."""
    now = training
    yield now
    if not now.checkpointing:
        now = replace(now, checkpointing=True)
        yield now
    if not now.is_full:
        now = replace(now, dtype="bf16")
        yield now
    else:
        yield from _full(now)
        now = replace(now, adapters=Adapters())
        yield now
        now = replace(now, dtype="bf16")
        yield now
    now = replace(now, quantised=True)
    yield now
    while now.length > SHORTEST and now.packing == "none":
        now = replace(now, length=max(SHORTEST, now.length // 2))
        yield now


def _full(training: Training) -> Iterator[Training]:
    eight_bit: Callable[[Training], Training] = lambda one: replace(one, optimizer="adamw_8bit")  # noqa: E731
    if training.optimizer.startswith("adamw") and training.optimizer != "adamw_8bit":
        yield eight_bit(training)
    narrow = replace(training, dtype="bf16")
    yield narrow
    yield eight_bit(narrow)
    yield replace(narrow, optimizer="adafactor")


def _with_smaller_batch(training: Training) -> Iterator[Training]:
    """Half the batch and twice the accumulation, as long as batches stay whole: as many sequences in each step."""
    while training.batch > 1 and training.batch % 2 == 0:
        training = replace(training, batch=training.batch // 2, accumulation=2 * training.accumulation)
        yield training


def _described(before: Training, after: Training) -> Change:
    """A change in the flags of TRL and in words."""
    args: dict[str, Any] = {}
    if after.checkpointing != before.checkpointing:
        args["gradient_checkpointing"] = True
    if after.batch != before.batch:
        args["per_device_train_batch_size"] = after.batch
        args["gradient_accumulation_steps"] = after.accumulation
    if after.dtype != before.dtype:
        args["dtype"] = "bfloat16"
    if after.optimizer != before.optimizer:
        args["optim"] = after.optimizer
    if after.quantised and not before.quantised:
        args["load_in_4bit"] = True
    if after.length != before.length:
        args["max_length"] = after.length
    lora = None
    if after.adapters is not None and before.adapters is None:
        lora = {"r": after.adapters.rank, "target_modules": "all-linear"}
    words = [f"{name} {str(value).lower() if value is True else value}" for name, value in args.items()]
    return Change(after, args, lora, ", ".join([*(["lora"] if lora else []), *words]))
