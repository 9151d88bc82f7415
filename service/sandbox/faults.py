"""Faults that the sandbox commits on purpose, switched by `--fault name=value` or POST /sandbox/faults.

A *strike* below 1 is a probability (drawn from `seed`, so a run repeats itself); from 1 up it counts the next n calls
down. All names, each off at 0:

- `create_500_before_accept`  strike: a create answers 500 and no job exists
- `create_500_after_accept`   strike: a create answers 500 although the job exists (public reports of the real service)
- `create_lost_reply`         strike: the job exists, the connection closes without an answer
- `reply_delay_seconds`       every create's answer is held so long after the job was accepted
- `next_429`                  strike: any API call answers 429
- `rate_limit`                calls per 300 s window and user before 429, in place of the sandbox's own quota
- `scheduling_seconds`        a job stays SCHEDULING so long
- `listing_lag_seconds`       lists show a new job so late; GET by id shows it at once
- `log_cut_after_lines`       each job's log stream breaks off once, after so many lines
- `stage_unknown`             a stage name that running jobs report in place of RUNNING, such as UPDATING
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Faults:
    """The faults asked for; see the module's text."""

    create_500_before_accept: float = 0.0
    create_500_after_accept: float = 0.0
    create_lost_reply: float = 0.0
    reply_delay_seconds: float = 0.0
    next_429: float = 0.0
    rate_limit: int = 0
    scheduling_seconds: float = 0.0
    listing_lag_seconds: float = 0.0
    log_cut_after_lines: int = 0
    stage_unknown: str = ""
    seed: int = 0

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Faults:
        """Faults from JSON values or text; raises ValueError naming the fault and its kind."""
        kinds = {field.name: type(field.default) for field in fields(cls)}
        parsed: dict[str, Any] = {}
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"Unknown fault {name!r}; known are {', '.join(kinds)}")
            if kinds[name] is str:
                parsed[name] = str(value)
                continue
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise ValueError(f"Fault {name} wants a number, not {value!r}") from None
            if not 0 <= number <= 10**9:
                raise ValueError(f"Fault {name} wants a number from 0 to 10^9, not {value!r}")
            parsed[name] = int(number) if kinds[name] is int else number
        return cls(**parsed)


class FaultSwitch:
    """The faults in force, and the countdown of those that strike a number of times."""

    def __init__(self, faults: Faults) -> None:
        self.set(faults)

    def set(self, faults: Faults) -> None:
        """Replace every fault; draws begin anew from the seed."""
        self.now = faults
        self._random = random.Random(faults.seed)  # noqa: S311 - repeatable on purpose

    def strikes(self, name: str) -> bool:
        """Whether this fault hits this call; a countdown moves."""
        value: float = getattr(self.now, name)
        if value >= 1:
            self.now = replace(self.now, **{name: value - 1 if value >= 2 else 0})  # type: ignore[arg-type]
            return True
        return value > 0 and self._random.random() < value

    def json(self) -> dict[str, Any]:
        """Every fault with what is left of it."""
        return asdict(self.now)
