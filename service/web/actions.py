"""What buttons and forms of pages do: each is one call of the API, with the form's fields as its address and body."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from service.api.same_site import COOKIE, refuse_foreign
from service.domain.errors import NotAllowed, NotFound
from service.web import admin_actions, money_actions, origin_actions, run_actions
from service.web.action import Action
from service.web.inside import Refusal
from service.web.pages import Looking, Visit, own_path

router = APIRouter(include_in_schema=False)
WHERE = "/ui/do"
ACTIONS: dict[str, Action] = {
    **run_actions.ACTIONS,
    **origin_actions.ACTIONS,
    **money_actions.ACTIONS,
    **admin_actions.ACTIONS,
}


@router.post(WHERE + "/{name}")
async def do(name: str, request: Request, visit: Looking) -> Response:
    """Do it as whoever is signed in. A refusal is shown where the form is, and loses nothing of what was typed."""
    async with request.form() as form:
        return await _done(name, request, visit, form)


async def _done(name: str, request: Request, visit: Visit, form: FormData) -> Response:
    back = own_path(_text(form, "back"))
    try:
        refuse_foreign(request.headers, request.cookies.get(COOKIE, ""), _text(form, "csrf_token"))
        action = ACTIONS[name]
    except NotAllowed as error:
        return refused(visit, Refusal.of(error), back)
    except KeyError:
        return refused(visit, Refusal.of(NotFound(f"nothing here is called '{name}'")), back)
    try:
        answer = await _sent(visit, action, form)
    except Refusal as refusal:
        return refused(visit, refusal, back)
    if action.shows is not None:
        return visit.show(action.shows, answer=answer, back=back, is_part=visit.is_part)
    onward = back if action.leads_to is None else action.leads_to.format_map(answer or {})
    has_failed = bool(action.failed) and action.failed.items() <= (answer or {}).items()
    return visit.onward(onward, action.done.format_map(answer or {}), has_failed)


async def _sent(visit: Visit, action: Action, form: FormData) -> Any:
    """What the API answers to it; raises Refusal."""
    path = action.path.format_map({one: quote(_text(form, one), safe="") for one in form})
    if asked := {one: _text(form, one) for one in action.query if _text(form, one)}:
        path += f"?{urlencode(asked)}"
    if action.content is not None:
        return await visit.api.send_csv(action.method, path, await _content(form, action.content))
    # a form that is sent twice, by two presses, makes one run
    once = {} if _text(form, "once") == "" else {"Idempotency-Key": _text(form, "once")}
    return await visit.api.send(action.method, path, _body(action, form) or None, once)


def _body(action: Action, form: FormData) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for one, read in action.fields.items():
        if (text := _text(form, one)) != "":
            body[one] = read(text)
        elif one in action.when_empty and one in form:
            body[one] = action.when_empty[one]
    for one in action.every:
        if values := [value for value in form.getlist(one) if isinstance(value, str) and value]:
            body[one] = values
    return body


async def _content(form: FormData, name: str) -> bytes:
    """A file that was chosen, or the text of a field."""
    value = form.get(name)
    return await value.read() if isinstance(value, UploadFile) else (value or "").encode()


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
