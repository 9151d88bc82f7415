"""`/ui/new`: a run from a form, with what it will need and cost beside it while it is typed."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from service.api.same_site import COOKIE, refuse_foreign
from service.domain.errors import NotAllowed
from service.web.actions import refused
from service.web.inside import Refusal
from service.web.pages import Looking
from service.web.recipe_form import body_of, flags_of, typed_of

router = APIRouter(include_in_schema=False)
PATH = "/ui/new"
SCHEMA = "/recipes/trl_sft/schema"
KINDS = ("trl_sft", "script")
START = {"recipe.kind": "trl_sft", "method": "lora", "flavor": "auto", "recipe.preset": "auto"}


@router.get(PATH)
async def new_run(
    visit: Looking, kind: str = "trl_sft", like: Annotated[str | None, Query(max_length=64)] = None
) -> Response:
    """The form; `like` fills it in as another run was asked for."""
    schema, flavors = await visit.api.all(SCHEMA, "/flavors")
    given = dict(START) if like is None else typed_of(await visit.api.get(f"/runs/{like}"))
    if like is None and kind in KINDS:
        given["recipe.kind"] = kind
    usual, others = flags_of(schema)
    return visit.show(
        "new_run.html",
        typed=given,
        like=like,
        usual=usual,
        others=others,
        flavors=flavors["data"],
        versions_named=[(one, one) for one in schema["properties"]["trl_version"]["enum"]],
        attempt=secrets.token_hex(8),
    )


@router.post(PATH)
async def submit(visit: Looking, request: Request) -> Response:
    """Submit what was typed; a refusal is shown beside the form. Sent twice by accident, it is one run."""
    form = await request.form()
    try:
        refuse_foreign(request.headers, request.cookies.get(COOKIE, ""), str(form.get("csrf_token", "")))
    except NotAllowed as error:
        return refused(visit, Refusal.of(error), PATH)
    body = body_of(form, await visit.api.get(SCHEMA))
    told = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]
    try:
        run = await visit.api.send("POST", "/runs", body, {"Idempotency-Key": f"{form.get('attempt', '')}-{told}"})
    except Refusal as refusal:
        return refused(visit, refusal, PATH)
    return visit.onward(f"/ui/runs/{run['id']}", "Submitted: what becomes of it is told here.")


@router.post(PATH + "/estimate")
async def estimate(visit: Looking, request: Request) -> Response:
    """What the form as it stands would need and cost; nothing is stored, so anybody who may look may ask."""
    form = await request.form()
    body = body_of(form, await visit.api.get(SCHEMA))
    told, refusal = None, None
    if body["recipe"]["kind"] == "trl_sft" and _is_begun(body["recipe"]):
        try:
            told = await visit.api.send("POST", "/estimates", body)
        except Refusal as error:
            refusal = error
    return visit.show(
        "parts/estimate.html", body=body, told=told, refusal=refusal, chosen=_chosen(body, told), as_json=_as_json(body)
    )


def _is_begun(recipe: Mapping[str, Any]) -> bool:
    return bool(recipe.get("model_name_or_path") and recipe.get("dataset_name"))


def _chosen(body: Mapping[str, Any], told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The line of the flavor that the run would take."""
    if told is None:
        return None
    name = told["choice"]["flavor"] if body.get("flavor", "auto") == "auto" else body["flavor"]
    return next((one for one in told["flavors"] if one["flavor"] == name), None)


def _as_json(body: Mapping[str, Any]) -> str:
    """For a shell: within single quotes, which JSON may hold, too."""
    return json.dumps(body, indent=2).replace("'", "'\\''")
