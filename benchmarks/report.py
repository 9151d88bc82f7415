"""What a benchmark has measured: printed for people, written as JSON for whoever compares.

A figure is only worth something beside another of the same run, so goals are ratios wherever they can be.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path("build/bench")


@dataclass(frozen=True)
class Figure:
    """One number, with its unit (empty for a ratio)."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True)
class Goal:
    """A figure that is to be at least, or at most, so much."""

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether it is within its bounds."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )


@dataclass
class Report:
    """Everything that one benchmark found; `command` repeats it."""

    name: str
    command: str
    figures: list[Figure] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def figure(self, name: str, value: float, unit: str = "") -> None:
        """Something measured, shown at once."""
        self.figures.append(Figure(name, value, unit))
        print(f"  {name:<72} {_shown(value)} {unit}", flush=True)

    def goal(
        self, name: str, value: float, unit: str = "", *, at_least: float | None = None, at_most: float | None = None
    ) -> None:
        """Something measured that is to be within a bound, shown at once."""
        goal = Goal(name, value, unit, at_least, at_most)
        self.goals.append(goal)
        bound = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
        print(f"  {name:<72} {_shown(value)} {unit} ({bound}: {'met' if goal.is_met else 'MISSED'})", flush=True)

    def write(self) -> None:
        """Into build/bench, under the benchmark's name."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self.name}.json"
        machine = {
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "python": platform.python_version(),
            "system": platform.system(),
        }
        found = {
            "benchmark": self.name,
            "command": self.command,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine,
            "figures": [asdict(one) for one in self.figures],
            "goals": [asdict(one) | {"is_met": one.is_met} for one in self.goals],
        }
        path.write_text(json.dumps(found, indent=2) + "\n")
        print(f"  written to {path}", file=sys.stderr)


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that so many percent of these stay below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _shown(value: float) -> str:
    return f"{value:>10,.0f}" if abs(value) >= 1000 else f"{value:>10.3g}"
