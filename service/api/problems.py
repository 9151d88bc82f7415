"""Every error as an RFC 9457 problem document with a stable `code`: the field, the rule, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from service.api.wire import Wire
from service.api.wording import words_for
from service.domain.errors import BrokenRule, DatabaseAway, Invalid, ServiceError
from service.domain.follow_up import FOLLOW_UPS
from service.domain.mask import mask_tokens
from service.store.away import is_away

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"
LONGEST = 1000
MOST_ERRORS = 20
# what tells one kind of object from another is no field of the caller's, and after how many parts of a path it stands
TAGS = {"trl_sft", "script", *FOLLOW_UPS}
TAG_AFTER = {"recipe": 1, "then": 2}
# Rules that are told as a sentence about their field.
VERBS = ("takes ", "needs ", "is missing", "has a ", "is no ")


class FieldError(Wire):
    """One rule that one field broke."""

    field: str
    rule: str
    remedy: str | None


class Problem(Wire):
    """RFC 9457. `type` is stable and names the `code`; further members carry numbers, such as `need_usd`."""

    type: str = Field(examples=["urn:tunegate:problem:exceeds_budget"])
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None
    remedy: str | None = None
    errors: list[FieldError] | None = None


def install(app: FastAPI) -> None:
    """Render whatever is raised below."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(SQLAlchemyError, _database_error)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of a route's errors."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in (401, *statuses, 500)
    }


def problem(
    status: int, code: str, title: str, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    """One problem document; members that are None are left out. Whatever rules quote of a request, no token and no
    endless text comes back with it."""
    document = {
        "type": f"urn:tunegate:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        **extra,
    }
    content = {name: _shown(value) for name, value in document.items() if value is not None}
    return JSONResponse(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def answer(error: ServiceError) -> JSONResponse:
    """The problem document of a fault in the caller's terms; of one wrong field, `errors` is a list of one."""
    extra = dict(error.extra)
    if isinstance(error, Invalid) and error.field is not None:
        extra.setdefault("errors", [{"field": error.field, "rule": error.detail, "remedy": error.remedy}])
    return problem(
        error.status,
        error.code,
        error.title,
        error.detail,
        error.headers,
        field=error.field,
        remedy=error.remedy,
        **extra,
    )


async def _service_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return answer(error)


async def _database_error(_request: Request, error: Exception) -> JSONResponse:
    if not is_away(error):
        raise error
    log.warning("database_unreachable", problem=str(error).splitlines()[0])
    return answer(DatabaseAway("the database did not answer", remedy="Nothing was changed; send it again in a moment."))


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | ValidationError)
    return answer(as_invalid(error))


def as_invalid(error: RequestValidationError | ValidationError) -> Invalid:
    """The first of what is wrong, with all of it in `errors`."""
    errors = validation_faults(error)
    field, rule = errors[0].field, errors[0].rule
    told = f"{field or 'the body'} {rule}" if rule.startswith(VERBS) else f"{field}: {rule}" if field else rule
    every = [one.model_dump() for one in errors]
    return fault_kind(error)(told, field=field or None, remedy=errors[0].remedy, errors=every)


def validation_faults(error: RequestValidationError | ValidationError) -> list[FieldError]:
    """What was found, each by its field as a caller knows it."""
    found = [(_path(one), *words_for(one)) for one in error.errors()]
    return [FieldError(field=field, rule=rule, remedy=remedy) for field, rule, remedy in found]


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status, headers = error.status_code, {name.lower(): value for name, value in (error.headers or {}).items()}
    phrase = HTTPStatus(status).phrase
    if status == 404:
        return problem(404, "not_found", phrase, "there is nothing at this address", remedy=_nearest(request))
    if status == 405:
        allowed = ", ".join(sorted(_methods(request)))
        headers["allow"] = allowed
        detail = f"{request.method} is not for this address"
        return problem(405, "method_not_allowed", phrase, detail, headers, remedy=f"It takes {allowed}.")
    code = phrase.lower().replace(" ", "_")
    return problem(status, code, phrase, str(error.detail), headers, remedy="GET /openapi.json describes every call.")


def unexpected(scope: Scope, error: Exception) -> JSONResponse:
    """The answer to a fault of our own. What went wrong is in the log; strangers are told nothing of the inside."""
    log.error("request_failed", method=scope["method"], path=scope["path"], exc_info=error)
    return problem(500, "internal_error", "Something went wrong here", "the fault is in the service and was logged")


def _shown(value: object) -> object:
    """A member of a problem document, without tokens in it, and no longer than anybody reads."""
    match value:
        case str():
            masked = mask_tokens(value)
            return masked if len(masked) <= LONGEST else f"{masked[:LONGEST]} …"
        case list():
            return [_shown(item) for item in value[:MOST_ERRORS]]
        case dict():
            return {name: _shown(item) for name, item in value.items()}
    return value


def _path(found: Mapping[str, Any]) -> str:
    """`body.recipe.trl_sft.args` as `recipe.args`: the tag of a union is no field of the caller's."""
    parts = [str(part) for part in found["loc"] if part not in ("body", "query", "path", "header")]
    within = [parts.pop(0)] if parts[:1] == ["run"] and len(parts) > 1 else []  # a template of runs
    at = TAG_AFTER.get(parts[0], 0) if parts else 0
    if at and len(parts) > at and parts[at] in TAGS:
        del parts[at]
    if parts and parts[-1] == "[key]":
        parts.pop()
    error = (found.get("ctx") or {}).get("error")
    if isinstance(error, BrokenRule) and error.at is not None:
        parts.append(error.at)
    if found["type"].startswith("union_tag"):
        parts.append("kind")
    return ".".join(within + parts)


def fault_kind(error: RequestValidationError | ValidationError) -> type[Invalid]:
    """What class of problem the first of what was found is."""
    first = (error.errors()[0].get("ctx") or {}).get("error")
    return first.kind if isinstance(first, BrokenRule) else Invalid


def _methods(request: Request) -> set[str]:
    """All methods of the address, whichever of its routes takes them."""
    return {
        method
        for one in _described(request)
        if _fits(one.path_format, request.url.path)
        for method in one.methods or ()
    }


def _described(request: Request) -> Iterator[APIRoute]:
    """The routes that the document has."""
    return (one for one in request.app.routes if isinstance(one, APIRoute) and one.include_in_schema)


def _nearest(request: Request) -> str:
    path = "/" + request.url.path.strip("/").lower()
    known = list(dict.fromkeys(one.path_format for one in _described(request)))
    fits = [one for one in known if _fits(one, path)] or get_close_matches(path, known, n=1)
    return f"Did you mean {fits[0]}?" if fits else "GET /openapi.json lists all addresses."


def _fits(template: str, path: str) -> bool:
    """Whether an address is one of a route's (`/runs/{run_id}`)."""
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        one == other or (one.startswith("{") and other != "") for one, other in zip(wanted, given, strict=True)
    )
