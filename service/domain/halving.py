"""Successive halving: of the points that are trained side by side, the best few of each rung go on.

A rung is a number of evaluations: the first, and each `factor` times as far. Of N points the best N/factor go on from
the first rung, N/factor² from the second, and so on down to one (Karnin and others 2013; Jamieson and Talwalkar 2016).
Nobody waits at a rung: a point goes on until so many others were better there that it cannot be among those that go on,
however the rest turn out. Which points come through does thus not depend on how many train at once, or in which order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan


@dataclass(frozen=True)
class Halving:
    """One in `factor` goes on. `first`: after how many evaluations points are compared first."""

    factor: int
    first: int


@dataclass(frozen=True)
class Rung:
    """After so many evaluations so many points go on."""

    evaluations: int
    goes_on: int


@dataclass(frozen=True)
class Standing:
    """A point's loss at each rung that it has reached, by the rung's number of evaluations."""

    number: int
    losses: Mapping[int, float]


@dataclass(frozen=True)
class Beaten:
    """A point that does not go on from a rung: its loss there, and its place among those that reached it."""

    number: int
    rung: Rung
    loss: float
    place: int
    reached: int


def rungs(halving: Halving, points: int) -> list[Rung]:
    """The rungs of so many points: the last is the one from which one goes on. One point has none."""
    found: list[Rung] = []
    goes_on, evaluations = points, halving.first
    while goes_on > 1:
        goes_on = max(1, goes_on // halving.factor)
        found.append(Rung(evaluations, goes_on))
        evaluations *= halving.factor
    return found


def beaten(standings: Sequence[Standing], halving: Halving, points: int) -> list[Beaten]:
    """The points that do not go on, whether they train still or not. Of equal losses the earlier point's counts as the
    better one; a loss that is no number is the worst."""
    left = list(standings)
    found: list[Beaten] = []
    for rung in rungs(halving, points):
        here = sorted((one for one in left if rung.evaluations in one.losses), key=lambda one: _order(one, rung))
        for place, one in enumerate(here[rung.goes_on :], rung.goes_on + 1):
            found.append(Beaten(one.number, rung, one.losses[rung.evaluations], place, len(here)))
        out = {one.number for one in here[rung.goes_on :]}
        left = [one for one in left if one.number not in out]
    return found


def _order(one: Standing, rung: Rung) -> tuple[float, int]:
    loss = one.losses[rung.evaluations]
    return inf if isnan(loss) else loss, one.number
