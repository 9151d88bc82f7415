"""A simulation that finds nothing proves little: each of these broken rules must be found, and within few seeds."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.simulation import world
from tests.simulation.broken_rules import RULES, Broken
from tests.simulation.mood import Mood, draw_mood
from tests.simulation.story import tell

MOST_SEEDS = 60


def stormy(chance: Random) -> Mood:
    """A mood in which much goes wrong."""
    return replace(draw_mood(chance), kill=0.04, trouble=0.15, meanwhile=0.1, restores=True)


@pytest.mark.parametrize("broken", RULES, ids=[broken.rule.__name__ for broken in RULES])
def test_a_broken_rule_is_found(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    # trouble in every world: it is the broken rules that are looked for here
    monkeypatch.setattr(world, "draw_mood", stormy)
    broken.rule(monkeypatch)
    for seed in range(1, MOST_SEEDS + 1):
        if (violation := tell(seed, replicas=broken.replicas).violation) is not None:
            print(f"{broken.rule.__name__}: seed {seed}: {violation}")  # noqa: T201
            assert violation.invariant in broken.invariants, violation
            return
    raise AssertionError(f"{MOST_SEEDS} seeds, and nothing was noticed")
