"""Approval: which runs a lead or an admin must let through first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from service.domain.money import dollars

EXPIRES_AFTER = timedelta(days=7)


@dataclass(frozen=True)
class ApprovalRules:
    """A team's rules; any that applies holds a run. `cost_over` in micro-dollars, None: cost holds nothing."""

    cost_over: int | None = None
    flavors: frozenset[str] = frozenset()
    first_run_of_user: bool = False
    expires_after: timedelta = EXPIRES_AFTER


def why_held(rules: ApprovalRules, ceiling: int | None, flavor: str, is_first_of_user: bool) -> str | None:
    """Why a run needs approval, or None. A ceiling not known yet may be over any bound."""
    if rules.cost_over is not None and (ceiling is None or ceiling > rules.cost_over):
        cost = "its cost is not known yet" if ceiling is None else f"it can cost {dollars(ceiling)}"
        return f"{cost}; more than {dollars(rules.cost_over)} needs approval"
    if flavor in rules.flavors:
        return f"runs on {flavor} need approval"
    if rules.first_run_of_user and is_first_of_user:
        return "the first run of a user needs approval"
    return None
