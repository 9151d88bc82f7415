"""What a log tells of the training itself: whether it finished, whether the loss broke or ran away."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, isnan

from service.domain.diagnosis.lines import Bar, Line, bar
from service.domain.losses import first_broken, peak_of_divergence

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
# a row of the data, printed: its loss is no entry of the training
ROW = re.compile(
    r"""['"](?:prompt|messages|text|content|question|answer|instruction|completion|prediction|response|labels?)['"]\s*:"""
)
# the Trainer's table at the end of a script: `  eval_loss               =        nan`
TABLE = re.compile(r"^\s+(?:train_|eval_)?loss\s+=\s+(nan|inf)\s*$", re.IGNORECASE)
# a line without a loss still tells of a gradient that broke
NORM = re.compile(r"grad(?:ient)?[ _]norm\s?[:=]\s?([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf))(?![\w.])", re.IGNORECASE)
FINISHED = re.compile(r"""['"]train_runtime['"]|Training completed\b|^Training finished\b""", re.IGNORECASE)
PUBLISHED = re.compile(
    r"pushed to the Hub in|successfully (?:pushed|uploaded)|upload(?:ed)? (?:complete|successful)"
    r"|https://(?!\S*/api/)\S+/(?:commit|tree)/[0-9a-f]{7}",
    re.IGNORECASE,
)
# what a loop prints as it goes: `step 12`, `Epoch 1/3`, `[40/100]`
COUNTED = re.compile(
    r"(?P<name>\b(?:global[ _])?(?:step|epoch|iter(?:ation)?|batch|update|it))s?\b"
    r"[\"']?\s{0,2}[:=#\[]?\s{0,2}(?P<count>\d+)"
    r"|(?P<done>\d+)/(?P<total>\d+)\b",
    re.IGNORECASE,
)
FEWEST_STEPS = 2  # one may have been on its way when all ended
TRAINING_BAR = re.compile(r"^(?:Steps|Train|Training)$", re.IGNORECASE)
UPLOAD_BAR = re.compile(r"^(?:Processing Files|New Data Upload|Upload)", re.IGNORECASE)


@dataclass
class Training:
    """`begun_at`, `finished_at`, `published_at`: lines that say so, the first or the last. `broken`: the line of the
    first loss that is NaN or infinite, in a run that did not recover; `broken_losses`: how many
    there are. `diverged`: the line with the highest of the last
    losses. `advanced_at`: the last line after which a bar moved on once more. `steps`: the lines that
    tell of one more."""

    finished_at: int | None = None
    published_at: int | None = None
    begun_at: int | None = None
    broken: str | None = None
    broken_losses: int = 0
    diverged: str | None = None
    advanced_at: int = -1
    steps: list[int] = field(default_factory=list)

    def goes_on_after(self, at: int) -> bool:
        """Whether a progress bar moved on, twice or more, after a line: closing a bar prints it once."""
        return self.advanced_at > at

    def goes_on_between(self, at: int, end: int) -> bool:
        """Whether lines between two others tell of more steps."""
        return bisect_left(self.steps, end) - bisect_right(self.steps, at) >= FEWEST_STEPS


def watch(lines: Sequence[Line]) -> Training:
    """Read a whole log."""
    training = Training()
    losses: list[tuple[float, str]] = []
    own: list[tuple[float, str]] = []
    norms: list[tuple[float, str]] = []
    bars: dict[tuple[str, float], tuple[float, int]] = {}
    counts: dict[str, int] = {}
    for at, (_, text) in enumerate(lines):
        if "%|" in text and (seen := bar(text)) is not None:
            _bar(training, bars, at, seen)
        if FINISHED.search(text):
            training.finished_at = at
        if PUBLISHED.search(text):
            training.published_at = at
        known = len(losses) + len(own)
        if "loss" in text or "Loss" in text:
            _losses(text, losses, own)
        if _counts(text, counts) or len(losses) + len(own) > known:
            training.steps.append(at)
        if "norm" in text and (norm := NORM.search(text)):
            norms.append((1.0 if isfinite(_number(norm[1])) else inf, text))
    series = losses or own or norms
    if series:  # what is printed may come late, but not early
        training.begun_at = 0
    values = [value for value, _ in series]
    if (broken := first_broken(values)) is not None:
        training.broken = series[broken][1]
        training.broken_losses = sum(value == 0 or not isfinite(value) for value in values[broken:])
    elif (peak := peak_of_divergence(values)) is not None:
        training.diverged = series[peak][1]
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


def _counts(text: str, counts: dict[str, int]) -> bool:
    """Whether a line counts on from the one before of its kind."""
    goes_on = False
    for found in COUNTED.finditer(text):
        name, count = (found["name"] or f"/{found['total']}").lower(), int(found["count"] or found["done"])
        goes_on |= count > counts.get(name, count)
        counts[name] = count
    return goes_on


def _losses(text: str, losses: list[tuple[float, str]], own: list[tuple[float, str]]) -> None:
    if ROW.search(text):
        return
    logged = {name.lower(): _number(value) for name, value in (LOGGED.findall(text) or JSON_LOGGED.findall(text))}
    if "loss" in logged:
        # the Trainer's filter prints 0 in place of NaN; the gradient's norm still tells
        hidden = logged["loss"] == 0 and not isfinite(logged.get("grad_norm", 0.0))
        losses.append((inf if hidden else logged["loss"], text))
    elif "train_loss" in logged or "eval_loss" in logged:
        if not isfinite(logged.get("train_loss", logged.get("eval_loss", 0.0))):
            losses.append((inf, text))
    elif TABLE.match(text):
        losses.append((inf, text))
    elif found := OWN.search(text):
        own.append((_number(found[1]), text))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return inf if isnan(value) else value
