"""The OpenAPI document: what FastAPI makes of the routes, and what holds for every one of them.

Whoever reads it may rely on it: `tests/fuzz` sends thousands of requests out of it and holds the answers to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from threading import Lock
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from service.api.problems import MEDIA_TYPE

PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
# Before a route is reached: by whoever carries the request, by its address, and by its body.
ALWAYS = (408, 414, 422, 429, 431, 500, 503)
WITH_BODY = (400, 413, 415, 504)
WITH_ANSWER = (406,)
STANDING = {
    "RateLimit": {
        "description": "What is left, and in how many seconds all is there again",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {"description": "How much the caller may send", "schema": {"type": "string"}},
}
# Where the parts of an answer lead to: operation, status, and the parameter with what fills it.
LINKS: tuple[tuple[tuple[str, str], str, str, str, str], ...] = (
    (("post", "/runs"), "201", "/runs/{run_id}", "run_id", "$response.body#/id"),
    (("post", "/runs/{run_id}/retry"), "201", "/runs/{run_id}", "run_id", "$response.body#/id"),
    (("get", "/runs"), "200", "/runs/{run_id}", "run_id", "$response.body#/data/0/id"),
    (("post", "/teams"), "201", "/teams/{team}", "team", "$response.body#/name"),
    (("post", "/teams/{team}/keys"), "201", "/teams/{team}/keys/{key_id}", "key_id", "$response.body#/id"),
    (("get", "/teams/{team}/keys"), "200", "/teams/{team}/keys/{key_id}", "key_id", "$response.body#/data/0/id"),
    (("post", "/webhooks"), "201", "/webhooks/{endpoint_id}", "endpoint_id", "$response.body#/id"),
    (("get", "/webhooks"), "200", "/webhooks/{endpoint_id}", "endpoint_id", "$response.body#/data/0/id"),
)


def install(app: FastAPI) -> None:
    """Complete the document once, when it is first asked for: half a second's work, and several MiB. So it is done in a
    thread, where FastAPI's own route would keep all other requests waiting."""
    made, making = app.openapi, Lock()

    def openapi() -> dict[str, Any]:
        with making:
            if app.openapi_schema is None:
                _complete(made())
        return made()

    def answer(_request: Request) -> JSONResponse:
        return JSONResponse(openapi())

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route("/openapi.json", answer, include_in_schema=False)


def _complete(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            statuses = [*ALWAYS, *(WITH_BODY if method != "get" else ()), *WITH_ANSWER]
            if any((one["in"], one["name"]) == ("query", "team") for one in operation.get("parameters", ())):
                statuses.append(404)
            for status in statuses:
                _add_problem(operation["responses"], str(status))
            for answer in operation["responses"].values():
                answer.setdefault("headers", {}).update(STANDING)
            _add_links(document["paths"], (method, path), operation)


def _add_problem(responses: dict[str, Any], status: str) -> None:
    given = responses.setdefault(status, {"description": HTTPStatus(int(status)).phrase})
    # a route that says what it answers is heard; FastAPI's own 422 is none of ours
    if status == "422" or MEDIA_TYPE not in given.get("content", {}):
        given["content"] = PROBLEM if status == "422" else {**given.get("content", {}), **PROBLEM}


def _add_links(paths: Mapping[str, Any], at: tuple[str, str], operation: dict[str, Any]) -> None:
    for source, status, base, parameter, value in LINKS:
        if source != at or status not in operation["responses"]:
            continue
        for path, operations in paths.items():
            if path != base and not path.startswith(f"{base}/"):
                continue
            for target in operations.values():
                operation["responses"][status].setdefault("links", {})[target["operationId"]] = {
                    "operationId": target["operationId"],
                    "parameters": {parameter: value},
                }
