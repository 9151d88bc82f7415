"""Every request is held to what the OpenAPI document says of its route: the parameters of its address, the kind of its
body, and the forms that its answer can have. What is not there is refused, not overlooked: `?status=queued` would
otherwise list everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute

from service.api.edge import AS_JSON, is_json
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


def install(app: FastAPI) -> None:
    """Hold every request of an application to its document."""
    app.state.contract = {}
    app.router.dependencies.append(Depends(keep_to_contract))


async def keep_to_contract(request: Request) -> None:
    """Raises UnknownField, Invalid, WrongMediaType or NotAcceptable."""
    if request.method in READING and not request.scope["query_string"] and _takes_anything(request):
        return
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.include_in_schema:  # pages are no part of the contract
        return
    terms = _terms(request, route)
    if request.scope["query_string"]:
        _check_query(request, terms.parameters)
    if terms.takes_json and await request.body() and not is_json(request.headers.get("content-type")):
        raise WrongMediaType("the body is not said to be JSON", field="content-type", remedy=AS_JSON)
    if terms.forms and not _takes_anything(request) and not _accepts(request.headers.get("accept"), terms.forms):
        forms = " or ".join(sorted(terms.forms))
        raise NotAcceptable(f"the answer is {forms}", field="accept", remedy=f"Send 'Accept: {JSON}', or none.")


@dataclass(frozen=True)
class Terms:
    """What the document says of one route: its parameters with their schemas, whether its body is JSON and nothing
    else, and the media types of a good answer (none where it has no body)."""

    parameters: Mapping[str, Any]
    takes_json: bool
    forms: frozenset[str]


def _terms(request: Request, route: APIRoute) -> Terms:
    """Read from the document once for each route."""
    kept: dict[tuple[str, str], Terms] = request.app.state.contract
    which = route.path_format, request.method
    if (terms := kept.get(which)) is None:
        operation = request.app.openapi()["paths"].get(route.path_format, {}).get(request.method.lower(), {})
        terms = kept[which] = Terms(
            {one["name"]: one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"},
            operation.get("requestBody", {}).get("content", {}).keys() == {JSON},
            _forms(operation),
        )
    return terms


def _check_query(request: Request, known: Mapping[str, Any]) -> None:
    for name in request.query_params:
        if name not in known:
            raise UnknownField(f"there is no parameter '{name}' here", field=name, remedy=_suggestion(name, known))
        if len(request.query_params.getlist(name)) > 1 and not _is_list(known[name]):
            raise Invalid(f"'{name}' is given more than once", field=name, remedy="Give it once.")


def _suggestion(name: str, known: Iterable[str]) -> str:
    names = list(known)
    if not names:
        return "This address takes no parameters." if name != "team" else "Name the team in the body."
    meant = MEANT.get(name)
    close = [meant] if meant in names else get_close_matches(name.lower(), names, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known are {', '.join(names)}."


def _is_list(schema: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))


def _forms(operation: Mapping[str, Any]) -> frozenset[str]:
    good = (one for status, one in operation.get("responses", {}).items() if status.startswith("2"))
    return frozenset(kind for one in good for kind in one.get("content", {}))


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
