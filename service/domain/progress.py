"""What a training log says about how far the run is.

Trainer prints a dict per logging step: transformers 4 with numbers, transformers 5 with quoted numbers; tqdm's bar
(`5/20 [00:00<00:00, 18.05it/s]`) uses `\\r` and may share a line with a dict. Both are searched for, not anchored.
A script of the caller's own is understood when it prints the same dict.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

BAR = re.compile(r"(?<!\d)(\d{1,9})/(\d{1,9}) \[[\d:]{1,12}<((?:\d{1,4}:)?\d{1,4}:\d{1,4}|\?)")
DICT = re.compile(r"\{'[^{}]{1,2000}\}")

# A bar or a dict is at one end of a line; what is longer is data.
END_CHARACTERS = 2000
STEP_KEYS = ("step", "global_step")
TOTAL_KEYS = ("total_steps", "max_steps")


@dataclass(frozen=True)
class Progress:
    """The latest known numbers; None where the log has not said."""

    step: int | None = None
    total_steps: int | None = None
    loss: float | None = None
    eta_seconds: int | None = None
    # Trainer's own `train_runtime`, said at the end of training
    train_seconds: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the log said anything at all."""
        return self != Progress()

    def as_json(self) -> dict[str, int | float | None]:
        """The `progress` member of the run object."""
        return asdict(self)


def read(lines: Iterable[str], known: Progress | None = None) -> Progress:
    """Read log lines in order on top of what is known already."""
    progress = known or Progress()
    for line in lines:
        ends = line if len(line) <= 2 * END_CHARACTERS else f"{line[:END_CHARACTERS]} {line[-END_CHARACTERS:]}"
        for bar in BAR.finditer(ends):
            progress = _with_bar(progress, bar)
        for text in DICT.findall(ends):
            progress = _with_dict(progress, text)
    return progress


def _with_bar(progress: Progress, bar: re.Match[str]) -> Progress:
    step, total = int(bar[1]), int(bar[2])
    if step > total or (progress.total_steps not in (None, total) and total < (progress.total_steps or 0)):
        return progress  # another bar: shards, tokenizing, evaluation
    return replace(progress, step=step, total_steps=total, eta_seconds=_seconds(bar[3]))


def _with_dict(progress: Progress, text: str) -> Progress:
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return progress  # a log may hold anything
    if not isinstance(values, dict):
        return progress
    loss = _number(values, ("loss",))
    step = _number(values, STEP_KEYS)
    total = _number(values, TOTAL_KEYS)
    train_seconds = _number(values, ("train_runtime",))
    return replace(
        progress,
        loss=progress.loss if loss is None else loss,
        step=progress.step if step is None else int(step),
        total_steps=progress.total_steps if total is None else int(total),
        train_seconds=progress.train_seconds if train_seconds is None else train_seconds,
    )


def _number(values: dict[object, object], keys: tuple[str, ...]) -> float | None:
    for key in keys:
        try:
            number = float(str(values[key]))
        except (KeyError, ValueError):
            continue
        if math.isfinite(number) and abs(number) < 1e15:
            return number
    return None


def _seconds(clock: str) -> int | None:
    if clock == "?":
        return None
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return total
