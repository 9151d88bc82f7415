"""Rules between flags: combinations that TRL, transformers, PEFT or accelerate refuse, told before a job costs money.

Each was read in the sources of the described releases, and `tests/trl/test_rules.py` shows that the real classes refuse
what breaks it, and take its good twin. What only a look at model or dataset can tell is preflight's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.trl.flags import Release
from service.domain.trl.rules import adapters, evaluation, loading, model, optimizer, precision, sharding, text
from service.domain.trl.rules.rule import Flags, Rule

RULES: tuple[Rule, ...] = (
    *text.RULES,
    *evaluation.RULES,
    *precision.RULES,
    *optimizer.RULES,
    *loading.RULES,
    *sharding.RULES,
    *model.RULES,
    *adapters.RULES,
)


def broken(given: Mapping[str, Any], release: Release) -> tuple[Rule, str] | None:
    """The first rule that these flags break, with its message; None where they go together. Defaults break none, so
    only rules that read what is given are asked."""
    flags = Flags(release, given)
    for rule in RULES:
        if not given.keys().isdisjoint(rule.reads) and rule.judges(flags):
            return rule, rule.message(flags)
    return None


__all__ = ["RULES", "Flags", "Rule", "broken"]
