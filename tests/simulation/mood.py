"""What kind of world a seed makes: how often things go wrong, and how narrow money and slots are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from service.domain.stray import Policy
from service.flow.gate import Limits


@dataclass(frozen=True)
class Mood:
    """Probabilities per commit, per request, and per place where other things may happen. `clock_error`: how far from
    the truth the wall clock is set. `restores`: whether a backup is ever put back."""

    kill: float
    trouble: float
    meanwhile: float
    clock_error: timedelta
    restores: bool
    teams: tuple[str, ...]
    limits: Limits


def draw_mood(chance: Random) -> Mood:
    """A third of the worlds is calm in each respect, so that one cause of trouble is seen without the others."""
    restores = chance.random() < 0.5
    # A backup's jobs are looked for by time, and a clock is trusted to an hour in that.
    wrong = timedelta(minutes=50) if restores else timedelta(hours=6)
    return Mood(
        kill=chance.choice((0.0, 0.01, 0.04)),
        trouble=chance.choice((0.0, 0.03, 0.15)),
        meanwhile=chance.choice((0.0, 0.05, 0.25)),
        clock_error=chance.choice((timedelta(), wrong)),
        restores=restores,
        teams=("red", "green", "blue")[: chance.randint(1, 3)],
        limits=Limits(
            max_concurrent_runs=chance.randint(1, 6),
            listing_lag=timedelta(seconds=120),
            create_timeout=timedelta(seconds=30),
            stray_policy=chance.choice(tuple(Policy)),
            max_scheduling=timedelta(minutes=chance.choice((10, 60, 360))),
        ),
    )
