"""What buttons and forms of pages do: each is one call of the API, with the form's fields as its address and body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from service.api.same_site import COOKIE, refuse_foreign
from service.domain.errors import NotAllowed, NotFound
from service.web.inside import Refusal
from service.web.pages import Looking, Visit, own_path

router = APIRouter(include_in_schema=False)
WHERE = "/ui/do"


@dataclass(frozen=True)
class Action:
    """`path` names fields of the form; `fields` are those of the body, and how each is read from its text (an empty one
    is left out). `done` is what the next page tells; `shows` names a template that shows the answer instead, as it is
    seen this once. `leads_to` is where to go then, by members of the answer; back to the form's page if left out."""

    method: str
    path: str
    done: str
    fields: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    shows: str | None = None
    leads_to: str | None = None


def lines(text: str) -> list[str]:
    """A text of several values, apart by commas or lines."""
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def number(text: str) -> float | str:
    """A number; what is none goes as it is, so that the API says what is wrong with it."""
    try:
        return float(text)
    except ValueError:
        return text


def whole(text: str) -> int | str:
    """The same for a whole number."""
    return int(text) if text.strip().lstrip("-").isdecimal() else text


def ticked(text: str) -> bool:
    """A checkbox, whose form sends `no` beside it, so that one that is not ticked says so."""
    return text == "yes"


def pairs(text: str) -> dict[str, str]:
    """NAME=value, one a line."""
    split = (line.partition("=") for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in split}


def as_json(text: str) -> Any:
    """JSON as it was typed; what is none goes as it is, so that the API says what is wrong with it."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def follow_ups(text: str) -> list[dict[str, str]]:
    """Kinds of follow-ups, as `then` of the API takes them."""
    return [{"kind": kind} for kind in lines(text)]


STEERING = {
    "cancel": Action("POST", "/runs/{run_id}/cancel", "The run is being cancelled."),
    "pause": Action("POST", "/runs/{run_id}/pause", "The run is paused."),
    "resume": Action("POST", "/runs/{run_id}/resume", "The run goes on."),
    "approve": Action("POST", "/runs/{run_id}/approve", "Approved.", {"comment": str}),
    "refuse": Action("POST", "/runs/{run_id}/refuse", "Refused.", {"comment": str}),
    "pause-queue": Action("POST", "/queue/pause", "Nothing starts now. What runs, runs on."),
    "resume-queue": Action("POST", "/queue/resume", "Runs start again."),
    "pause-team": Action("POST", "/teams/{team}/pause", "Nothing of the team starts now. What runs, runs on."),
    "resume-team": Action("POST", "/teams/{team}/resume", "The team's runs start again."),
}
OF_A_RUN = {
    "change-run": Action(
        "PATCH", "/runs/{run_id}", "The run was changed.", {"flavor": str, "priority": whole, "timeout": str}
    ),
    "retry": Action(
        "POST",
        "/runs/{run_id}/retry",
        "Submitted anew: this is the new run.",
        {"with_remedy": ticked, "overrides": as_json, "secrets": pairs},
        leads_to="/ui/runs/{id}",
    ),
    "rescue": Action(
        "POST",
        "/runs/{run_id}/rescue",
        "This run publishes what was trained.",
        {"output_repo": str},
        leads_to="/ui/runs/{id}",
    ),
    "follow": Action("POST", "/runs/{run_id}/then", "It will follow.", {"then": follow_ups}),
    "forget-checkpoints": Action("DELETE", "/runs/{run_id}/checkpoints", "Its checkpoints are being deleted."),
}
ACTIONS: dict[str, Action] = {**STEERING, **OF_A_RUN}


@router.post(WHERE + "/{name}")
async def do(name: str, request: Request, visit: Looking) -> Response:
    """Do it as whoever is signed in. A refusal is shown where the form is, and loses nothing of what was typed."""
    form = await request.form()
    back = own_path(_text(form, "back"))
    try:
        refuse_foreign(request.headers, request.cookies.get(COOKIE, ""), _text(form, "csrf_token"))
        action = ACTIONS[name]
    except NotAllowed as error:
        return refused(visit, Refusal.of(error), back)
    except KeyError:
        return refused(visit, Refusal.of(NotFound(f"nothing here is called '{name}'")), back)
    # a form that is sent twice, by two presses, makes one run
    once = {} if _text(form, "once") == "" else {"Idempotency-Key": _text(form, "once")}
    body = {one: read(_text(form, one)) for one, read in action.fields.items() if _text(form, one) != ""}
    path = action.path.format_map({one: quote(_text(form, one), safe="") for one in form})
    try:
        answer = await visit.api.send(action.method, path, body or None, once)
    except Refusal as refusal:
        return refused(visit, refusal, back)
    if action.shows is not None:
        return visit.show(action.shows, answer=answer, back=back, is_part=visit.is_part)
    onward = back if action.leads_to is None else action.leads_to.format_map(answer)
    return visit.onward(onward, action.done)


def _text(form: FormData, name: str) -> str:
    """A field's last value: a ticked box stands behind the `no` that every box sends."""
    values = form.getlist(name)
    return values[-1].strip() if values and isinstance(values[-1], str) else ""


def refused(visit: Visit, refusal: Refusal, back: str) -> Response:
    """Tell a refusal beside the form, or on the page where it stands."""
    if visit.is_part:
        return visit.show("parts/refusal.html", refusal.status, refusal=refusal)
    told = " ".join(part for part in (f"{refusal.detail}.", refusal.remedy) if part)
    return visit.go(back, told, is_refusal=True)
