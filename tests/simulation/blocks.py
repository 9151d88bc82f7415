"""What the tests are cut into: blocks of seeds, and one broken rule until it is found."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from tests.simulation import actions, world
from tests.simulation.broken_rules import Broken
from tests.simulation.mood import Mood, draw_mood
from tests.simulation.story import tell
from tests.simulation.trace import Violation

MOST_SEEDS = 100
SEEDS_PER_BLOCK = 10
FIRST_SEED = int(os.environ.get("SIMULATION_FIRST_SEED", "1"))
# by first seed and replicas
BLOCKS = [
    (first, replicas)
    for replicas, blocks in ((1, 16), (2, 4))
    for first in range(FIRST_SEED, FIRST_SEED + blocks * SEEDS_PER_BLOCK, SEEDS_PER_BLOCK)
]


def run_block(first: int, replicas: int) -> str | None:
    """None where every invariant held; else the end of the first violation's trace."""
    for seed in range(first, first + SEEDS_PER_BLOCK):
        outcome = tell(seed, replicas=replicas)
        if outcome.violation is not None:
            again = f"make simulate SEED={seed} REPLICAS={replicas}"
            return f"{outcome.text}\n\n{outcome.violation}\n{again} shows it again"
    return None


def break_rule(broken: Broken) -> Violation | None:
    """The first violation that a broken rule leads to; None where a bounded number of seeds shows none."""
    with pytest.MonkeyPatch.context() as patch:
        # trouble in every world: it is the broken rules that are looked for here
        patch.setattr(world, "draw_mood", partial(stormy, broken=broken))
        if broken.restores:  # two of the things that must come together are rare
            for name in ("make_backup", "restore"):
                patch.setitem(actions.WEIGHTS, name, 3 * actions.WEIGHTS[name])
        broken.rule(patch)
        for seed in (broken.first, *range(1, MOST_SEEDS)):
            if (violation := tell(seed, replicas=broken.replicas).violation) is not None:
                return violation
    return None


def stormy(chance: Random, broken: Broken) -> Mood:
    """A mood in which much goes wrong; with two processes, above all that one sleeps."""
    meanwhile = 0.1 if broken.replicas == 1 else 0.4
    return replace(draw_mood(chance), kill=0.04, trouble=0.25, meanwhile=meanwhile, restores=broken.restores)
