"""Two runs side by side: what went in, and what came of it."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse, Response
from pydantic import Field

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.problems import responses
from service.api.runs import visible
from service.api.state import App
from service.api.wire import Wire
from service.domain.fingerprint import differences
from service.store.describe import describe_runs

router = Routes("runs")
INPUTS = (
    "recipe",
    "pins",
    "env",
    "secrets",
    "image",
    "volumes",
)
# What the fingerprint leaves out; of the flavor, only its number of GPUs counts.
SETTINGS = ("flavor", "timeout_seconds", "max_cost_usd", "output_repo")
OUTCOMES = ("state", "reason", "cost", "progress", "output", "attempt")


class DifferenceObject(Wire):
    """A field that is not the same; null where it is not there. Volumes go by where they are mounted, secrets by their
    names and those of the team's secrets that they refer to."""

    field: str = Field(examples=["recipe.args.learning_rate", "volumes./data.source"])
    a: Any
    b: Any
    lines: list[str] | None = Field(description="Of a text with several lines: those that differ, as a unified diff")


class DiffObject(Wire):
    """`same_fingerprint`: the same inputs, to the commit; null until both runs have been through preflight.
    `settings`: what no fingerprint counts, but for the number of the flavor's GPUs."""

    a: str
    b: str
    same_fingerprint: bool | None
    inputs: list[DifferenceObject]
    settings: list[DifferenceObject]
    outcomes: list[DifferenceObject]


@router.get(
    "/runs/{run_id}/diff/{other_id}",
    response_model=DiffObject,
    summary="What is different between two runs",
    responses=responses(404),
)
def diff_runs(run_id: str, other_id: str, caller: Viewer, app: App) -> Response:
    """Only what differs, by path: first what went in, then what came of it."""
    with app.gate.db.read() as session:
        pair = [visible(session, caller, run_id), visible(session, caller, other_id)]
        a, b = (describe_runs(session, [run], app.now())[0] for run in pair)
        prints = [run.fingerprint for run in pair]
    return JSONResponse(
        {
            "a": run_id,
            "b": other_id,
            "same_fingerprint": None if None in prints else prints[0] == prints[1],
            "inputs": _differences(_by_name(a), _by_name(b), INPUTS),
            "settings": _differences(a, b, SETTINGS),
            "outcomes": _differences(a, b, OUTCOMES),
        }
    )


def _by_name(run: dict[str, Any]) -> dict[str, Any]:
    """A run's inputs with each list of named things by their names, so that two are compared thing by thing. What the
    service filled in is in the recipe as well."""
    recipe = {name: value for name, value in run["recipe"].items() if name != "filled"}
    volumes = {one["mount_path"]: one for one in run["volumes"]}
    secrets = {**dict.fromkeys(run["secrets"], "given"), **run["secret_refs"]}
    return {**run, "recipe": recipe, "volumes": volumes, "secrets": secrets}


def _differences(a: dict[str, Any], b: dict[str, Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    found = differences({name: a.get(name) for name in names}, {name: b.get(name) for name in names})
    return [{"field": one.field, "a": one.a, "b": one.b, "lines": one.lines} for one in found]
