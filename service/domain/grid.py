"""A grid or a list over a recipe's arguments: its points, and where in the recipe each of their values goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from itertools import product
from typing import Any

from service.domain.errors import BrokenRule
from service.domain.placeholders import named
from service.domain.trl.fields import FIELD_OF
from service.domain.trl.flags import described, release
from service.domain.trl_sft import DEFAULT_RELEASE, TrlSft

MOST_POINTS = 100
Values = Mapping[str, Any]
# Placeholders that every point has.
RESERVED = frozenset({"point", "sweep"})
# Fields of a recipe that no single value stands for.
WHOLE = frozenset({"kind", "args", "lora", "quantization", "eval", "filled"})


def points_of(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of a grid's values, the last argument's changing first. Raises BrokenRule for too many."""
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > MOST_POINTS:
        raise BrokenRule(
            f"the grid has {count} points, and a sweep has {MOST_POINTS} at the most",
            "Leave values out, or list the points that are worth their money in 'points'.",
        )
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def first_twice(points: Sequence[Values]) -> tuple[int, int] | None:
    """The numbers of two points that are the same, counted from 1; None where all differ."""
    for number, point in enumerate(points, 1):
        if point in points[: number - 1]:
            return points.index(point) + 1, number
    return None


def place_in(recipe: Mapping[str, Any], name: str) -> str | None:
    """Where below a recipe an argument of this name goes, as a path with dots: a flag of TRL's or a field. None where
    the recipe knows no such argument."""
    if recipe.get("kind") != "trl_sft":
        return None
    if "." in name:
        return name
    stands_for = FIELD_OF.get(name, "").removeprefix("recipe.")
    if "." in stands_for:
        return stands_for
    if name in TrlSft.model_fields and name not in WHOLE:
        return name
    return f"args.{name}" if name in _flags(recipe) else None


def _flags(recipe: Mapping[str, Any]) -> Collection[str]:
    version = recipe.get("trl_version", DEFAULT_RELEASE)
    return release(version if version in described() else DEFAULT_RELEASE).flags


def placed(recipe: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """A recipe with values at their paths, in place of what it has there."""
    made = dict(recipe)
    for path, value in values.items():
        *parts, last = path.split(".")
        within = made
        for part in parts:
            inner = within.get(part)
            within[part] = dict(inner) if isinstance(inner, dict) else {}
            within = within[part]
        within[last] = value
    return made


def unplaced(template: Mapping[str, Any], name: str) -> str | None:
    """What to do about an argument that no place of the template takes; None where there is one."""
    recipe = template.get("recipe")
    recipe = recipe if isinstance(recipe, dict) else {}
    if place_in(recipe, name) is not None or name in named(template):
        return None
    written = f"Write {{{{{name}}}}} where it belongs, such as in a label."
    if recipe.get("kind") == "trl_sft":
        known = [*_flags(recipe), *(TrlSft.model_fields.keys() - WHOLE)]
        close = get_close_matches(name, known, n=1)
        return f"Did you mean '{close[0]}'?" if close else f"It is no flag of TRL's, and no field. {written}"
    if name in named(recipe.get("source")):
        return f"A script's source is not filled in: have it read its arguments, and add {{{{{name}}}}} to 'args'."
    return f"Write {{{{{name}}}}} where it belongs, such as in 'args' or 'env'."
