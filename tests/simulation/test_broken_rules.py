"""A simulation that finds nothing proves little: each of these broken rules must be found, and within few seeds."""

from __future__ import annotations

import pytest

from tests.simulation.blocks import MOST_SEEDS, break_rule
from tests.simulation.broken_rules import RULES, Broken


@pytest.mark.parametrize("broken", RULES, ids=[broken.rule.__name__ for broken in RULES])
def test_a_broken_rule_is_found(broken: Broken) -> None:
    violation = break_rule(broken)
    assert violation is not None, f"{MOST_SEEDS} seeds, and nothing was noticed"
    assert violation.invariant in broken.invariants, violation
