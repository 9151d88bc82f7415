"""What is decided for a caller who left it open: the flavor, what a preset fills in for it, how the batch is split.

They hang together: a preset is for a model's family and a flavor, the flavor is chosen by what the filled recipe needs,
and a batch is split for the flavor that was chosen. Decided once, here, for runs and for estimates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from service.domain.estimate.bounds import Bounds
from service.domain.estimate.choice import FREE, Choice, Goal
from service.domain.estimate.estimate import FlavorEstimate
from service.domain.flavor_name import AUTO
from service.domain.foresight import Foresight
from service.domain.trl.batch import offers, split_of, with_split
from service.domain.trl.flags import described, release
from service.domain.trl.preset import fill
from service.domain.trl.rules import broken
from service.domain.trl_sft import TrlSft


class Expect(Protocol):
    """What makes estimates of recipes, by what is known of model, dataset and flavors."""

    @property
    def gpus(self) -> Mapping[str, int]:
        """How many GPUs each flavor has, by name."""

    def __call__(self, recipe: TrlSft) -> Foresight:
        """The estimate of a recipe."""


@dataclass(frozen=True)
class Settled:
    """The recipe that runs, on which flavor (`auto` where none is right), and what it will need. `choice` is None where
    the caller named the flavor."""

    recipe: TrlSft
    flavor: str
    foresight: Foresight
    choice: Choice | None = None

    def stored(self) -> dict[str, Any] | None:
        """What a run keeps of the estimate, with the reason for its flavor."""
        told = self.foresight.stored(self.flavor)
        return None if told is None else told | {"choice": None if self.choice is None else self.choice.reason}


def settle(
    asked: TrlSft, flavor: str, expect: Expect, family: str | None, goal: Goal = "cheapest", bounds: Bounds = FREE
) -> Settled:
    """`family` is what the model's config names, for the presets; goal and bounds are for `auto`."""
    choice = None
    if flavor == AUTO:
        each = _on_each_flavor(asked, expect, family)
        choice = each.choose(goal, bounds)
        if choice.flavor is None:
            return Settled(fill(asked, flavor, family), flavor, each, choice)
        flavor = choice.flavor
    recipe = fill(asked, flavor, family, expect.gpus.get(flavor, 1))
    foresight = expect(recipe)
    if choice is not None:
        foresight = foresight.showing(each)
    if recipe.fit_batch and foresight.refusal(flavor) is not None:
        for smaller in _smaller_batches(recipe, foresight.gpus(flavor)):
            if (ahead := expect(smaller)).refusal(flavor) is None:
                return Settled(smaller, flavor, ahead, choice)
    return Settled(recipe, flavor, foresight, choice)


def _on_each_flavor(asked: TrlSft, expect: Expect, family: str | None) -> Foresight:
    """Every flavor by the recipe that would run there: a preset's batch, and on some cards more than that, is the
    flavor's."""
    if asked.preset is None:
        return expect(fill(asked, AUTO, family))
    whole, found = expect(fill(asked, AUTO, family)), list[tuple[TrlSft, Foresight]]()
    for name, gpus in expect.gpus.items():
        recipe = fill(asked, name, family, gpus)
        ahead = next((ahead for other, ahead in found if other == recipe), None)
        if ahead is None:
            found.append((recipe, ahead := expect(recipe)))
        whole = whole.showing(ahead, name)
    return whole


def batch_offers(settled: Settled, expect: Expect) -> list[tuple[dict[str, int], FlavorEstimate]]:
    """The splits of the batch that need less memory on the flavor and learn from as many rows per step, as flags with
    what comes of each. None is made unless the caller asks (`fit_batch`)."""
    found = []
    for smaller in _smaller_batches(settled.recipe, settled.foresight.gpus(settled.flavor)):
        one = expect(smaller).on(settled.flavor)
        if one is not None and smaller.filled is not None:
            found.append((smaller.filled.batch, one))
    return found


def _smaller_batches(recipe: TrlSft, gpus: int) -> Iterator[TrlSft]:
    if recipe.trl_version in described():  # a stored recipe may be of a release that no longer is
        known = release(recipe.trl_version)
        for split in offers(split_of(recipe.args, known, gpus)):
            smaller = with_split(recipe, split)
            if broken(smaller.flags(), known) is None:  # some optimizers cannot accumulate
                yield smaller
