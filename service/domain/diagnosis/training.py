"""What a log tells of the training itself: whether it finished, whether the loss broke or ran away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from statistics import median

from service.domain.diagnosis.lines import Bar, Line, bar

# transformers 4 prints floats, 5 prints them quoted; own loops print `loss: 0.21`, `loss 0.21`, `loss=0.21`
LOGGED = re.compile(
    r"'(loss|grad_norm|train_loss|eval_loss)': '?([-+]?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf))'?", re.IGNORECASE
)
JSON_LOGGED = re.compile(
    r'"(loss|grad_norm|train_loss|eval_loss)": "?([-+]?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf(?:inity)?))"?', re.I
)
OWN = re.compile(
    r"(?<![\w-])(?:train(?:ing)?[ _])?loss\s?[:=]?\s?([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf))(?![\w.])", re.IGNORECASE
)
FINISHED = re.compile(r"""['"]train_runtime['"]|Training completed\b|^Training finished\b""", re.IGNORECASE)
PUBLISHED = re.compile(
    r"pushed to the Hub in|successfully (?:pushed|uploaded)|upload(?:ed)? (?:complete|successful)"
    r"|https://(?!\S*/api/)\S+/(?:commit|tree)/[0-9a-f]{7}",
    re.IGNORECASE,
)
TRAINING_BAR = re.compile(r"^(?:Steps|Train|Training)$", re.IGNORECASE)
UPLOAD_BAR = re.compile(r"^(?:Processing Files|New Data Upload|Upload)", re.IGNORECASE)

# A run diverged if its last losses lie this far above its first ones; or somewhat above, and far above its best.
FAR, SOMEWHAT = 2.0, 1.3
FAR_ABOVE_BEST = 3.0
LEAST_GROWTH = 1.0
ABSURD = 20.0  # no language model's loss: the logarithm of the largest vocabulary is 13
FEWEST_LOSSES = 5
# A loss that fell from here to exactly zero at once, and stayed there, is a NaN that a filter hid.
ALIVE, FEWEST_ZEROS = 0.5, 3


@dataclass
class Training:
    """`begun_at`, `finished_at`, `published_at`: lines that say so, the first or the last. `broken`: the line of the
    first loss that is NaN or infinite, in a run that did not recover. `diverged`: the line with the highest of the last
    losses. `advanced_at`: the last line after which a bar moved on once more."""

    finished_at: int | None = None
    published_at: int | None = None
    begun_at: int | None = None
    broken: str | None = None
    diverged: str | None = None
    advanced_at: int = -1

    def goes_on_after(self, at: int) -> bool:
        """Whether a progress bar moved on, twice or more, after a line: closing a bar prints it once."""
        return self.advanced_at > at


def watch(lines: Sequence[Line]) -> Training:
    """Read a whole log."""
    training = Training()
    losses: list[tuple[float, str]] = []
    own: list[tuple[float, str]] = []
    bars: dict[tuple[str, float], tuple[float, int]] = {}
    for at, (_, text) in enumerate(lines):
        if "%|" in text and (seen := bar(text)) is not None:
            _bar(training, bars, at, seen)
        if FINISHED.search(text):
            training.finished_at = at
        if PUBLISHED.search(text):
            training.published_at = at
        if "loss" in text or "Loss" in text:
            _losses(text, losses, own)
    series = losses or own
    if series:  # what is printed may come late, but not early
        training.begun_at = 0
    training.broken = _broken(series)
    training.diverged = None if training.broken else _diverged(series)
    return training


def _bar(training: Training, bars: dict[tuple[str, float], tuple[float, int]], at: int, seen: Bar) -> None:
    most, when = bars.get((seen.name, seen.total), (-1.0, -1))
    if seen.done > most:
        training.advanced_at = max(training.advanced_at, when)
        bars[(seen.name, seen.total)] = (seen.done, at)
    if not seen.name or TRAINING_BAR.match(seen.name):  # the Trainer's own bar has no name
        if seen.done > 0 and training.begun_at is None:
            training.begun_at = at
        if 0 < seen.total <= seen.done:
            training.finished_at = at
    elif UPLOAD_BAR.match(seen.name) and 0 < seen.total <= seen.done:
        training.published_at = at


def _losses(text: str, losses: list[tuple[float, str]], own: list[tuple[float, str]]) -> None:
    logged = {name.lower(): _number(value) for name, value in (LOGGED.findall(text) or JSON_LOGGED.findall(text))}
    if "loss" in logged:
        # the Trainer's filter prints 0 in place of NaN; the gradient's norm still tells
        hidden = logged["loss"] == 0 and not isfinite(logged.get("grad_norm", 0.0))
        losses.append((inf if hidden else logged["loss"], text))
    elif "train_loss" in logged or "eval_loss" in logged:
        if not isfinite(logged.get("train_loss", logged.get("eval_loss", 0.0))):
            losses.append((inf, text))
    elif found := OWN.search(text):
        own.append((_number(found[1]), text))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return inf if isnan(value) else value


def _broken(series: Sequence[tuple[float, str]]) -> str | None:
    """NaN in the last loss, or in half of the last quarter, or zero from one step on. One that was skipped on the way
    is no harm."""
    if not series:
        return None
    zeros = next((at for at in range(len(series), 0, -1) if series[at - 1][0] != 0), 0)
    if len(series) - zeros >= max(FEWEST_ZEROS, len(series) // 2) and zeros > 0 and ALIVE < series[zeros - 1][0] < inf:
        return series[zeros][1]
    tail = series[-max(1, len(series) // 4) :]
    bad = [text for value, text in tail if not isfinite(value)]
    if isfinite(series[-1][0]) and 2 * len(bad) <= len(tail):
        return None
    return next((text for value, text in series if not isfinite(value)), None)


def _diverged(series: Sequence[tuple[float, str]]) -> str | None:
    """By medians of a fifth of the run each, so that a spike, or a noisy batch, is not taken for it."""
    kept = [(value, text) for value, text in series if isfinite(value)]
    if len(kept) < FEWEST_LOSSES:
        return None
    width = max(2, len(kept) // 5)
    values = [value for value, _ in kept]
    early, late = median(values[:width]), median(values[-width:])
    best = min(median(values[at : at + width]) for at in range(0, len(values) - width + 1, max(1, width // 2)))
    has_exploded = late > FAR * early or (late > SOMEWHAT * early and late > FAR_ABOVE_BEST * best)
    if late > ABSURD and late > FAR * values[0] > 0:  # it had gone wrong before its second entry
        return max(kept[-width:])[1]
    if early <= 0 or late - early < LEAST_GROWTH or not has_exploded:
        return None
    return max(kept[-width:])[1]
