"""From a recipe and what the Hub says of its model and dataset to an estimate over all flavors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from service.domain.changed import allowed, training_of
from service.domain.estimate.advice import Change
from service.domain.estimate.architecture import Architecture, NotCovered, read_architecture
from service.domain.estimate.bounds import Bounds
from service.domain.estimate.calibration import Calibration
from service.domain.estimate.card import Flavor
from service.domain.estimate.choice import Choice, Goal, choose
from service.domain.estimate.cost import recommended_timeout
from service.domain.estimate.duration import SETUP_P90, DatasetSize, steps_of
from service.domain.estimate.estimate import Estimate, FlavorEstimate, change_for, estimate
from service.domain.estimate.training import Training
from service.domain.estimate.verdict import Verdict, without_card
from service.domain.estimate.wire import estimate_json, flavor_json
from service.domain.facts import DatasetFact, ModelFact, Outcome
from service.domain.part import ALL, parts_of, rows_of
from service.domain.remedy import otherwise
from service.domain.trl.hardware import hardware_refusal
from service.domain.trl_sft import TrlSft
from service.domain.wanted import WantedData

# Why there is nothing to make an estimate of, for those who have not seen preflight say so.
UNREAD = {
    Outcome.MISSING: "there is no such model that the jobs' token can see",
    Outcome.GATED: "the model is gated, and its terms have not been accepted",
    Outcome.UNKNOWN: "the model could not be read from the Hub",
}


@dataclass(frozen=True)
class Foresight:
    """What a training will need, and everything that the answer stands on."""

    estimate: Estimate
    architecture: Architecture | NotCovered
    training: Training | NotCovered
    dataset: DatasetSize
    recipe: TrlSft

    def on(self, flavor: str) -> FlavorEstimate | None:
        """The estimate for one flavor."""
        return self.estimate.of(flavor)

    def gpus(self, flavor: str) -> int:
        """How many GPUs share the work on a flavor; 1 without any."""
        found = self.on(flavor)
        return 1 if found is None else max(1, found.flavor.gpus)

    def refusal(self, flavor: str, is_queued: bool = False) -> tuple[str, str] | None:
        """Why it does not fit a flavor, and what to do; None where it fits, or where nobody knows."""
        found = self.on(flavor)
        if found is None or found.verdict is not Verdict.DOES_NOT_FIT:
            return None
        return found.message, self.advice(flavor, is_queued)

    def advice(self, flavor: str, is_queued: bool = False) -> str:
        """The smallest change that fits the flavor, and the cheapest flavor that fits as it is; of a queued run only
        the flavor can be changed."""
        if is_queued:
            change = self._change(flavor)
            can = self._other_flavor(flavor) or "name another flavor"
            anew = f'set {change.message}, or "force": true' if change is not None else 'with "force": true'
            return otherwise(f"{can[0].upper()}{can[1:]}", anew)
        ways = []
        if (change := self._change(flavor)) is not None:
            ways.append(f"set {change.message}")
        if (other := self._other_flavor(flavor)) is not None:
            ways.append(other)
        told = ", or ".join(ways) or "No flavor and no single change is known that would fit"
        return f'{told[0].upper()}{told[1:]}. "force": true submits it all the same.'

    def choose(self, goal: Goal, bounds: Bounds) -> Choice:
        """The flavor for `auto`."""
        return choose(self.estimate, goal, bounds)

    def showing(self, other: Foresight, *names: str) -> Foresight:
        """The same with another's estimates of these flavors, or of all."""
        flavors = [
            one if names and one.flavor.name not in names else other.on(one.flavor.name) or one
            for one in self.estimate.flavors
        ]
        return replace(self, estimate=self.estimate.showing(flavors))

    def as_json(self, flavor: str | None = None) -> dict[str, Any]:
        """The answer of POST /estimates; with a flavor, also what would make the training fit it."""
        told = estimate_json(self.estimate)
        told["warnings"] = list(self.estimate.warnings) if flavor is None else self._warnings(flavor)
        change = None if flavor is None or self.refusal(flavor) is None else self._change(flavor)
        told["change"] = (
            None
            if change is None
            else {
                "args": dict(change.args),
                "lora": change.lora,
                "quantization": change.quantization,
                "message": change.message,
            }
        )
        return told

    def stored(self, flavor: str) -> dict[str, Any] | None:
        """What a run keeps of it: the numbers for its own flavor, and those that finished runs are compared with."""
        found = self.on(flavor)
        if found is None:
            return None
        told = flavor_json(found) | {"recommended": self.estimate.recommended, "warnings": self._warnings(flavor)}
        if isinstance(self.training, Training):
            steps = steps_of(self.training, self.dataset, self.gpus(flavor))
            told["steps"] = None if steps is None else round(steps)
        if isinstance(self.architecture, Architecture):
            told["family"] = self.architecture.model_type
        if found.minutes is not None:
            setup = found.minutes.p50 - found.minutes.training * found.calibration.factor
            told["training_minutes"] = round(found.minutes.training, 3)
            told["training_p90_minutes"] = round(found.minutes.p90 - SETUP_P90 * setup, 3)
            told["recommended_timeout_seconds"] = recommended_timeout(found.minutes)
        return told

    def _warnings(self, flavor: str) -> list[str]:
        """What is to be told beside the numbers of a flavor."""
        found, warnings = self.on(flavor), list(self.estimate.warnings)
        if found is not None and found.flavor.card is not None and self.recipe.flags().get("use_cpu") is True:
            warnings.append(f"'use_cpu' leaves the GPU of {flavor} idle, which is paid for")
        return warnings

    def _other_flavor(self, flavor: str) -> str | None:
        if self.estimate.recommended is not None:
            return f"take flavor {self.estimate.recommended}, the cheapest that fits as it is"
        found = self.on(flavor)
        is_without_card = found is not None and found.flavor.card is None
        return "take a flavor with a GPU (GET /flavors lists them)" if is_without_card else None

    def _change(self, flavor: str) -> Change | None:
        """The smallest change that makes it fit a flavor."""
        found = self.on(flavor)
        if found is None or isinstance(self.architecture, NotCovered) or isinstance(self.training, NotCovered):
            return None
        return change_for(self.architecture, self.training, found.flavor, partial(allowed, self.recipe, found.flavor))


def foresee(
    recipe: TrlSft,
    model: ModelFact | None,
    dataset: DatasetFact | None,
    wanted: WantedData | None,
    flavors: Sequence[Flavor],
    *,
    timeout_seconds: int | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
) -> Foresight:
    """Everything that can be told before a dollar is spent; what cannot says that it is not covered."""
    architecture, training, size = _architecture(model), training_of(recipe), _size(dataset, wanted)
    found = estimate(
        architecture,
        training,
        flavors,
        dataset=size,
        timeout_seconds=timeout_seconds,
        calibrations=calibrations,
        unfit=_unfit(recipe, flavors),
    )
    return Foresight(found, architecture, training, size, recipe)


def family_of(model: ModelFact | None) -> str | None:
    """The model's type as its config.json names it."""
    found = _architecture(model)
    return found.model_type if isinstance(found, Architecture) else None


def _architecture(model: ModelFact | None) -> Architecture | NotCovered:
    if model is None or not model.is_found:
        return NotCovered(UNREAD.get(model.outcome if model is not None else Outcome.UNKNOWN, UNREAD[Outcome.UNKNOWN]))
    counts = {"parameters": model.parameters, "total": model.parameter_count} if model.parameters else None
    try:
        return read_architecture(model.config, counts)
    except NotCovered as reason:
        return reason


def _unfit(recipe: TrlSft, flavors: Sequence[Flavor]) -> dict[str, str]:
    """The flavors that have not what the recipe's flags ask for beside memory, with the reason."""
    flags, found = recipe.flags(), {}
    for one in flavors:
        if (refusal := hardware_refusal(flags, one)) is not None:
            found[one.name] = f"{refusal[1][0].upper()}{refusal[1][1:]}."
        elif one.card is None and flags.get("use_cpu") is not True:
            found[one.name] = without_card(one)
    return found


def _size(dataset: DatasetFact | None, wanted: WantedData | None) -> DatasetSize:
    if dataset is None or wanted is None or not dataset.is_found:
        return DatasetSize()
    splits = dataset.configs.get(wanted.config or dataset.default_config or "", {})
    asked = wanted.splits.get("dataset_train_split", "train")
    try:
        names = list(splits) if asked == ALL else [one.name for one in parts_of(asked)]
    except ValueError:
        return DatasetSize()  # preflight refuses it
    if any(name not in splits for name in names):
        return DatasetSize()
    rows = rows_of(asked, {name: one.known_rows for name, one in splits.items()})
    whole_rows = [splits[name].known_rows for name in names]
    sizes = [splits[name].size_bytes for name in names]
    size = None if None in sizes else sum(one for one in sizes if one is not None)
    if size is not None and rows is not None and (whole := sum(one for one in whole_rows if one is not None)) > 0:
        size = size * min(rows, whole) // whole
    return DatasetSize(rows, size, is_small=any(splits[name].counted is not None for name in names))
