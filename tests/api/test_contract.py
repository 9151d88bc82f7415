"""What requests are held to is what the document says, though it is read off the routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.routing import APIRoute

from service.api.contract import JSON, terms_of
from tests.api.conftest import application


def test_the_terms_of_every_route_are_those_of_the_document() -> None:
    app = application()
    seen = 0
    for route in app.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            told = app.openapi()["paths"][route.path_format][method.lower()]
            terms = terms_of(route)
            query = {one["name"]: _is_list(one["schema"]) for one in told.get("parameters", ()) if one["in"] == "query"}
            assert dict(terms.parameters) == query, (method, route.path)
            assert terms.takes_json == (told.get("requestBody", {}).get("content", {}).keys() == {JSON}), route.path
            assert terms.forms == _forms(told), (method, route.path)
            seen += 1
    assert seen == sum(len(methods) for methods in app.openapi()["paths"].values()) > 100


def _is_list(schema: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))


def _forms(operation: Mapping[str, Any]) -> set[str]:
    good = [one for status, one in operation["responses"].items() if status.startswith("2")]
    return {form for one in good for form in one.get("content", {})}
