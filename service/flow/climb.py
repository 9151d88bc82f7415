"""climb: the next rung out of a GPU that was full, by the estimate and with its price."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.domain.estimate.card import Flavor
from service.domain.foresight import Foresight
from service.domain.repair import Again, Setting
from service.domain.repair.ladder import on_flavor, rungs
from service.domain.trl_sft import TrlSft
from service.domain.wanted import wanted_of
from service.flow.foresee import Expectation, expectation
from service.flow.means import Means, expected
from service.flow.saving import newest_of
from service.store import facts

# A change has to bring as much as that, by the estimate, to be worth a try.
WORTH = 0.9
# An estimate of less than that of a card that was full is of something else: nothing is told by it.
TRUSTED = 0.5


@dataclass(frozen=True)
class Try:
    """A sensible next try: what is told of it, and what becomes of the run for it."""

    again: Again
    flavor: str
    recipe: dict[str, Any]
    estimate: dict[str, Any] | None
    timeout_seconds: int | None


def next_rung(means: Means, recipe: TrlSft) -> Try | None:
    """The first change that is expected to fit the card. It was full at what the estimate says of the recipe as it is,
    so what is estimated of a change is taken for that much too low. Where no change does, the cheapest flavor that
    fits; where nothing can be estimated, the first change."""
    session, run = means.session, means.run
    known = facts.known(session, run.credentials, wanted_of(recipe).subjects(), None)
    expect = expectation(session, known, run.team, means.now, run.timeout_seconds)
    flavor = next((one for one in expect.cards if one.name == run.flavor), None)
    if flavor is None or flavor.card is None:
        return None
    before = expect(recipe).on(flavor.name)
    most = None
    if before is not None and before.vram_gib is not None and before.vram_gib > TRUSTED * flavor.card.usable_gib:
        most = WORTH * min(before.vram_gib, flavor.card.usable_gib)
    allowed = {*(run.retry or {}).get("allow", ())}
    if newest_of(run) is not None:
        allowed.clear()  # another training does not go on from this one's checkpoint
    for rung in rungs(recipe, flavor, allowed):
        ahead = expect(rung.recipe)
        found = ahead.on(flavor.name)
        if most is None or found is None or found.vram_gib is None or found.vram_gib <= most:
            return _try(means, rung.recipe, flavor.name, ahead, rung.settings, rung.note)
    if most is None:
        return None
    larger = list(_larger(means, recipe, expect, flavor, flavor.card.usable_gib / most))
    return min(larger, key=lambda one: one.again.expected or one.again.ceiling or 0, default=None)


def _larger(means: Means, recipe: TrlSft, expect: Expectation, flavor: Flavor, above: float) -> Iterator[Try]:
    """The flavors with a larger card that hold so many times what is estimated, and that timeout and cap allow."""
    run, usable = means.run, 0.0 if flavor.card is None else flavor.card.usable_gib
    for other in expect.cards:
        if other.card is None or other.card.usable_gib <= usable or means.ceiling(other.name) is None:
            continue
        made, settings, note = on_flavor(recipe, max(1, flavor.gpus), max(1, other.gpus))
        ahead = expect(made)
        one = ahead.on(other.name)
        if one is None or not one.is_usable or one.vram_gib is None or one.vram_gib * above > other.card.usable_gib:
            continue
        seconds = 0 if one.minutes is None else one.minutes.p50 * 60
        is_slow = run.requested_timeout_seconds is not None and seconds > run.requested_timeout_seconds
        if not is_slow and means.refusal(other.name) is None:
            yield _try(means, made, other.name, ahead, (Setting("flavor", run.flavor, other.name), *settings), note)


def _try(means: Means, recipe: TrlSft, flavor: str, ahead: Foresight, settings: tuple[Setting, ...], note: str) -> Try:
    stored = ahead.stored(flavor)
    again = Again(settings, note, means.ceiling(flavor), expected(stored))
    return Try(again, flavor, recipe.model_dump(mode="json"), stored, means.timeout_seconds)
