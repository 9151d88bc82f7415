"""A sweep's points become runs; what one of them is refused for is told with the point, at its place in the body."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from service.api import template
from service.api.problems import as_invalid
from service.api.state import State
from service.api.sweep_schemas import SweepCreate
from service.domain.errors import Invalid
from service.domain.grid import Values, place_in, unplaced
from service.domain.placeholders import as_text
from service.domain.recipe import read
from service.domain.trl_sft import TrlSft
from service.flow.origin import Occasion
from service.store.tables import Origin, Sweep, SweepPoint


def refuse_unplaced(body: SweepCreate) -> None:
    """Raise Invalid for an argument that no place of the run takes."""
    for number, values in enumerate(body.asked(), 1):
        for name in values:
            if (remedy := unplaced(body.run, name)) is not None:
                raise Invalid(f"nothing in the run takes '{name}'", field=_at(body, number, name), remedy=remedy)


def make_points(session: Session, origin: Origin, sweep: Sweep, body: SweepCreate, app: State) -> None:
    """A run for each point. Raises what `enqueue` raises, with the `point`."""
    taken: dict[str, int] = {}
    for number, values in enumerate(body.asked(), 1):
        try:
            run = template.made(session, origin, _occasion(origin, number, values), app)
            _refuse_alike(run, number, taken)
        except (Invalid, ValidationError) as error:
            refused = error if isinstance(error, Invalid) else as_invalid(error)
            _tell_place(refused, body, number, values)
            raise refused from None
        if sweep.factor is not None:
            _refuse_unevaluated(run)
        session.add(SweepPoint(sweep=sweep.id, number=number, run_id=run["id"], parameters=values))


def _occasion(origin: Origin, number: int, values: Values) -> Occasion:
    texts = {"point": str(number), "sweep": origin.id, **{name: as_text(value) for name, value in values.items()}}
    recipe = origin.template.get("recipe")
    places = {} if not isinstance(recipe, dict) else {name: place_in(recipe, name) for name in values}
    settled = {place: values[name] for name, place in places.items() if place is not None}
    return Occasion(f"point {number}", texts, settled)


def _at(body: SweepCreate, number: int, name: str) -> str:
    return f"grid.{name}" if body.points is None else f"points.{number - 1}.{name}"


def _tell_place(error: Invalid, body: SweepCreate, number: int, values: Values) -> None:
    """What is wrong with an argument's value is wrong where the caller gave it."""
    recipe = body.run.get("recipe")
    places = {f"run.recipe.{place_in(recipe, name)}": name for name in values} if isinstance(recipe, dict) else {}
    given = {field: _at(body, number, name) for field, name in places.items()}
    error.field = given.get(error.field or "", error.field)
    for one in error.extra.get("errors", []):
        one["field"] = given.get(one["field"], one["field"])
    error.extra["point"] = {"number": number, "parameters": values}


def _refuse_alike(run: dict[str, Any], number: int, taken: dict[str, int]) -> None:
    """Raise Invalid where two points would publish into one repository: the later model would replace the earlier."""
    repo = (run["output"] or {}).get("repo")
    if repo is not None and (other := taken.setdefault(repo, number)) != number:
        raise Invalid(
            f"points {other} and {number} would publish into the same repository",
            field="run.output_repo",
            remedy=f'Write "{repo}-{{{{point}}}}", say: the number of each point is filled in.',
        )


def _refuse_unevaluated(run: dict[str, Any]) -> None:
    recipe = read(run["recipe"])
    if isinstance(recipe, TrlSft) and recipe.flags().get("eval_strategy", "no") == "no":
        raise Invalid(
            "points are compared by the loss of evaluations, and the recipe makes none",
            field="early_stopping",
            remedy='Add "eval": {"steps": 50} to the recipe, or leave early_stopping out.',
        )
