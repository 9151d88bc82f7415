"""`/ui/runs/{id}/diff/{other}`: what is different between two runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from service.web.pages import SEE_OTHER, Looking

router = APIRouter(include_in_schema=False)
PATH = "/ui/runs/{run_id}/diff"
PARTS = (("inputs", "What went in"), ("settings", "How it was to run"), ("outcomes", "What came of it"))


@router.get(PATH)
async def choose(run_id: str, _visit: Looking, other: str) -> Response:
    """What the form of a run's page asks for."""
    return RedirectResponse(f"/ui/runs/{quote(run_id, safe='')}/diff/{quote(other.strip(), safe='')}", SEE_OTHER)


@router.get(PATH + "/{other_id}")
async def run_diff(run_id: str, other_id: str, visit: Looking) -> Response:
    """Two runs side by side, only where they differ."""
    one, other = (f"/runs/{quote(found, safe='')}" for found in (run_id, other_id))
    diff, a, b = await visit.api.all(f"{one}/diff/{quote(other_id, safe='')}", one, other)
    parts = [
        (title, [{**row, "a": _shown(row["a"]), "b": _shown(row["b"])} for row in diff[name]]) for name, title in PARTS
    ]
    return visit.show("run_diff.html", diff=diff, a=a, b=b, parts=parts)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "a": _shown(row["a"]), "b": _shown(row["b"])}


def _shown(value: Any) -> str:
    """A value as text; JSON where it is a structure."""
    if value is None:
        return "not there"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
