"""Every request is held to what the OpenAPI document says of its route: the parameters of its address, the kind of its
body, and the forms that its answer can have. What is not there is refused, not overlooked: `?status=queued` would
otherwise list everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from fastapi import APIRouter, Depends, Request
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.utils import is_body_allowed_for_status_code

from service.api.edge import AS_JSON, is_json
from service.api.problems import Problem
from service.domain.errors import Invalid, NotAcceptable, UnknownField, WrongMediaType

JSON = "application/json"
ANYTHING = "*/*"
READING = frozenset({"GET", "HEAD"})
# What people write for a parameter of another name.
MEANT = {
    "status": "state",
    "page_size": "limit",
    "per_page": "limit",
    "cursor": "after",
    "page": "after",
    "offset": "after",
}


async def keep_to_contract(request: Request) -> None:
    """Raises UnknownField, Invalid, WrongMediaType or NotAcceptable."""
    if request.method in READING and not request.scope["query_string"] and _takes_anything(request):
        return
    terms = terms_of(request.scope["route"])
    if request.scope["query_string"]:
        _check_query(request, terms)
    if terms.takes_json and await request.body() and not is_json(request.headers.get("content-type")):
        raise WrongMediaType("the body is not said to be JSON", field="content-type", remedy=AS_JSON)
    if terms.forms and not _takes_anything(request) and not _accepts(request.headers.get("accept"), terms.forms):
        forms = " or ".join(sorted(terms.forms))
        raise NotAcceptable(f"the answer is {forms}", field="accept", remedy=f"Send 'Accept: {JSON}', or none.")


class Routes(APIRouter):
    """The routes of one file, under the document's heading `tag`."""

    def __init__(self, tag: str, route_class: type[APIRoute] = APIRoute) -> None:
        super().__init__(
            tags=[tag],
            route_class=route_class,
            dependencies=[Depends(keep_to_contract)],
            responses={422: {"model": Problem, "description": "Unprocessable"}},
        )


@dataclass(frozen=True)
class Terms:
    """What the document says of one route: the parameters of its address, with whether each is a list, whether its body
    is JSON and nothing else, and the media types of a good answer (none where it has no body)."""

    parameters: Mapping[str, bool]
    takes_json: bool
    forms: frozenset[str]


def terms_of(route: APIRoute) -> Terms:
    """From what FastAPI makes the document of, which itself takes half a second."""
    return Terms(
        dict(_parameters(route.dependant)),
        route.body_field is not None and getattr(route.body_field.field_info, "media_type", None) == JSON,
        frozenset(_forms(route)),
    )


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for field in dependant.query_params:
        yield field.alias, _is_list(field.field_info.annotation)
    for one in dependant.dependencies:
        yield from _parameters(one)


def _is_list(annotation: Any) -> bool:
    parts = annotation, *get_args(annotation)
    return any(one is list or get_origin(one) is list for one in parts)


def _forms(route: APIRoute) -> Iterator[str]:
    kind = route.response_class
    form = (kind.value if isinstance(kind, DefaultPlaceholder) else kind).media_type
    if form is not None and is_body_allowed_for_status_code(route.status_code):
        yield form
    for status, answer in route.responses.items():
        if str(status).startswith("2"):
            yield from answer.get("content", {})


def _check_query(request: Request, terms: Terms) -> None:
    for name in request.query_params:
        if name not in terms.parameters:
            remedy = _suggestion(name, terms.parameters)
            raise UnknownField(f"there is no parameter '{name}' here", field=name, remedy=remedy)
        if len(request.query_params.getlist(name)) > 1 and not terms.parameters[name]:
            raise Invalid(f"'{name}' is given more than once", field=name, remedy="Give it once.")


def _suggestion(name: str, known: Iterable[str]) -> str:
    names = list(known)
    if not names:
        return "This address takes no parameters." if name != "team" else "Name the team in the body."
    meant = MEANT.get(name)
    close = [meant] if meant in names else get_close_matches(name.lower(), names, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known are {', '.join(names)}."


def _takes_anything(request: Request) -> bool:
    """Whether a client takes whatever there is."""
    return request.headers.get("accept", ANYTHING) == ANYTHING


def _accepts(accept: str | None, forms: Iterable[str]) -> bool:
    """Whether a client takes one of these (RFC 9110, 12.5.1). A header that says nothing readable asks for nothing."""
    ranges = dict(_range(one) for one in (accept or "*/*").split(",") if "/" in one)
    if not ranges:
        return True
    for form in forms:
        best = next((ranges[one] for one in (form, f"{form.partition('/')[0]}/*", "*/*") if one in ranges), 0.0)
        if best > 0:
            return True
    return False


def _range(text: str) -> tuple[str, float]:
    kind, *options = (part.strip().lower() for part in text.split(";"))
    for option in options:
        if option.startswith("q="):
            try:
                return kind, float(option[2:])
            except ValueError:
                return kind, 1.0
    return kind, 1.0
