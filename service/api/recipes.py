"""What recipes may hold."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse, Response

from service.api.auth import Viewer
from service.api.contract import Routes
from service.api.problems import responses
from service.domain.trl.flags import described
from service.domain.trl.schema import recipe_schema

router = Routes("recipes")


class SchemaResponse(JSONResponse):
    """JSON that is a schema itself."""

    media_type = "application/schema+json"


@router.get(
    "/recipes/trl_sft/schema",
    response_model=dict[str, Any],
    summary="The trl_sft recipe as JSON Schema",
    response_class=SchemaResponse,
    responses=responses(422),
)
def read_schema(
    _caller: Viewer,
    trl_version: Annotated[str | None, Query(description="A described release; the newest if left out")] = None,
) -> Response:
    """JSON Schema (draft 2020-12) of a recipe of kind `trl_sft`, with every flag of that TRL release: its type,
    default, choices and help."""
    return SchemaResponse(recipe_schema(trl_version or described()[0]))
