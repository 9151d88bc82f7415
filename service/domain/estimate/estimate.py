"""An estimate: every flavor with its verdict, minutes and cost, and the one to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from service.domain.estimate.advice import Allows, Change, smallest_change
from service.domain.estimate.architecture import Architecture, NotCovered
from service.domain.estimate.calibration import Calibration
from service.domain.estimate.card import Flavor
from service.domain.estimate.cost import Cost, cost_of, recommended_timeout
from service.domain.estimate.disk import GB, disk_bytes
from service.domain.estimate.duration import DEQUANTISED_AS_TOKENS, DatasetSize, Minutes, minutes_on, steps_of
from service.domain.estimate.memory import GIB, Memory, memory_of
from service.domain.estimate.training import Training
from service.domain.estimate.verdict import Verdict, judge, needed_gib

UNKNOWN = DatasetSize()
# The share of a peak from which a term of it is worth a word.
WORTH_TELLING = 0.1
BEYOND = "numbers so large or so small that nothing can be said of them"


@dataclass(frozen=True)
class FlavorEstimate:
    """One flavor. `minutes` and `cost` are None where it does not fit, or where its speed or price is not known."""

    flavor: Flavor
    verdict: Verdict
    message: str
    vram_gib: float | None
    disk_gb: float | None
    minutes: Minutes | None
    timeout_seconds: int | None
    cost: Cost | None
    calibration: Calibration

    @property
    def is_usable(self) -> bool:
        """Whether the training fits, if only just."""
        return self.verdict in (Verdict.FITS, Verdict.TIGHT)


@dataclass(frozen=True)
class Estimate:
    """`flavors` cheapest first, `memory` with the terms of its sum, None where it is not covered."""

    flavors: tuple[FlavorEstimate, ...]
    memory: Memory | None
    recommended: str | None
    warnings: tuple[str, ...] = field(default=())

    def of(self, name: str) -> FlavorEstimate | None:
        """The estimate for one flavor."""
        return next((one for one in self.flavors if one.flavor.name == name), None)

    def showing(self, flavors: Sequence[FlavorEstimate]) -> Estimate:
        """The same with other estimates of its flavors."""
        return replace(self, flavors=tuple(flavors), recommended=_recommended(flavors))


def estimate(
    architecture: Architecture | NotCovered,
    training: Training | NotCovered,
    flavors: Sequence[Flavor],
    *,
    dataset: DatasetSize = UNKNOWN,
    timeout_seconds: int | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    unfit: Mapping[str, str] | None = None,
) -> Estimate:
    """Every flavor for one training. `calibrations` are by flavor's name and of the model's family; with no
    `timeout_seconds` the ceiling is that of the recommended timeout. `unfit` are flavors, by name with a sentence, that
    do not fit whatever the arithmetic says, and also where it says nothing."""
    by_price = sorted(flavors, key=_price)
    for unreached in (architecture, training):
        if isinstance(unreached, NotCovered):
            return _not_covered(by_price, unreached, unfit or {})
    assert isinstance(architecture, Architecture)
    assert isinstance(training, Training)
    try:
        memory = memory_of(architecture, training)
        found = tuple(
            _on(one, architecture, training, memory, dataset, timeout_seconds, (calibrations or {}).get(one.name))
            if one.name not in (unfit or {})
            else _unfit(one, (unfit or {})[one.name])
            for one in by_price
        )
    except NotCovered as reason:
        return _not_covered(by_price, reason, unfit or {})
    except (ArithmeticError, ValueError):  # infinite, or no number at all: of such sizes nothing can be said
        return _not_covered(by_price, NotCovered(BEYOND), unfit or {})
    return Estimate(found, memory, _recommended(found), tuple(_warnings(training, memory, dataset, found)))


def change_for(
    architecture: Architecture, training: Training, flavor: Flavor, allows: Allows = lambda change: change
) -> Change | None:
    """What would make a training fit one flavor's memory and is allowed; None where nothing does."""
    try:
        return None if flavor.card is None else smallest_change(architecture, training, flavor.card, allows)
    except (ArithmeticError, ValueError):
        return None


def _on(
    flavor: Flavor,
    architecture: Architecture,
    training: Training,
    memory: Memory,
    dataset: DatasetSize,
    timeout_seconds: int | None,
    calibration: Calibration | None,
) -> FlavorEstimate:
    calibration = calibration or Calibration()
    steps = steps_of(training, dataset, max(1, flavor.gpus))
    disk_gb = disk_bytes(architecture, training, memory, steps, dataset.bytes) / GB
    if not isfinite(memory.peak_gib) or not isfinite(disk_gb):
        raise NotCovered(BEYOND)
    verdict, message = judge(flavor, memory.peak_gib, disk_gb, training.on_cpu)
    minutes = cost = timeout = None
    if verdict in (Verdict.FITS, Verdict.TIGHT):
        moved = (architecture.stored_bytes or 2 * architecture.parameters) + memory.trained_bytes
        minutes = minutes_on(flavor, architecture, training, dataset, moved, calibration)
    if minutes is not None:
        timeout = recommended_timeout(minutes)
        if flavor.price_per_minute_micro_usd is not None:
            cost = cost_of(minutes, flavor.price_per_minute_micro_usd, timeout_seconds or timeout)
    vram = needed_gib(memory.peak_gib)
    return FlavorEstimate(flavor, verdict, message, vram, disk_gb, minutes, timeout, cost, calibration)


def _not_covered(flavors: Sequence[Flavor], reason: NotCovered, unfit: Mapping[str, str]) -> Estimate:
    message = f"not covered: {reason}"
    found = (
        _unfit(one, unfit[one.name])
        if one.name in unfit
        else FlavorEstimate(one, Verdict.NOT_COVERED, message, None, None, None, None, None, Calibration())
        for one in flavors
    )
    return Estimate(tuple(found), None, None, (message,))


def _unfit(flavor: Flavor, message: str) -> FlavorEstimate:
    return FlavorEstimate(flavor, Verdict.DOES_NOT_FIT, message, None, None, None, None, None, Calibration())


def _recommended(found: Sequence[FlavorEstimate]) -> str | None:
    """The flavor that fits and costs least."""
    usable = [one for one in found if one.is_usable and one.flavor.price_per_minute_micro_usd is not None]
    best = min(usable, key=_rank, default=None)
    return None if best is None else best.flavor.name


def _price(flavor: Flavor) -> tuple[bool, int, str]:
    price = flavor.price_per_minute_micro_usd
    return price is None, price or 0, flavor.name


def _rank(one: FlavorEstimate) -> tuple[bool, bool, int, tuple[bool, int, str]]:
    """What fits for sure before what is tight, then what the job costs, then the price where that is not known."""
    return one.verdict is Verdict.TIGHT, one.cost is None, one.cost.p50 if one.cost else 0, _price(one.flavor)


def _warnings(training: Training, memory: Memory, dataset: DatasetSize, found: Sequence[FlavorEstimate]) -> list[str]:
    """What an estimate leaves out, said."""
    said = []
    if training.whole_logits and (head := memory.terms_bytes.get("head", 0)) > WORTH_TELLING * memory.peak_gib * GIB:
        said.append(
            f"This release of TRL makes the logits of all tokens at once: {head / GIB:.1f} GiB of the peak. A newer "
            "one, or a smaller batch, saves most of it."
        )
    if training.quantised:
        said.append(
            "QLoRA is reckoned, not measured: weights of linear layers at 0.5625 bytes each, and in each pass the time "
            f"of {DEQUANTISED_AS_TOKENS} tokens more, to make them wide again."
        )
    if training.evaluates:
        said.append("not covered: the time of evaluation, and its memory if its batch is much larger than training's")
    if any(one.flavor.gpus > 1 and one.is_usable for one in found):
        said.append("Several GPUs train in parallel on the same model: each needs as much memory as one alone.")
    if training.max_steps is None and dataset.rows is None:
        said.append("not covered: time, as neither max_steps nor the rows of the dataset are known")
    elif dataset.row_tokens is None:
        said.append(f"The rows' length is not known: each is taken for full ({training.length} tokens).")
    elif training.max_steps is None and training.packing != "none":
        said.append(
            f"Packing is reckoned as rows of about {dataset.row_tokens:.0f} tokens that fill sequences of "
            f"{training.length} without a gap: the number of steps, and with it the time, is a guess."
        )
    if training.computes == "bf16" and any(
        one.is_usable and one.flavor.card is not None and not one.flavor.card.has_bf16 for one in found
    ):
        said.append("not covered: time on a T4, which only emulates bfloat16; give bf16 false and fp16 true there")
    if guessed := _guessed(found):
        said.append(
            f"No published training is known for {', '.join(guessed)}: their time is a guess, and its p90 is wide "
            "until runs of the team's own correct it."
        )
    if any(one.verdict is Verdict.TIGHT for one in found):
        said.append("A tight flavor may run out of memory where rows of very different length fragment it.")
    return said


def _guessed(found: Sequence[FlavorEstimate]) -> list[str]:
    """The cards whose minutes are told, but stand on no published training and no run of the team's."""
    cards = [one.flavor.card for one in found if one.minutes is not None and not one.calibration.runs]
    return list(dict.fromkeys(card.name for card in cards if card is not None and card.measured is None))
