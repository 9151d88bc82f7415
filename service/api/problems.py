"""Every error as an RFC 9457 problem document with a stable `code`: the field, the rule, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from service.domain.errors import Invalid, ServiceError

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One rule that one field broke."""

    field: str
    rule: str


class Problem(BaseModel):
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
    app.add_exception_handler(Exception, _unexpected)


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
    """One problem document; members that are None are left out."""
    document = {
        "type": f"urn:tunegate:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        **extra,
    }
    content = {name: value for name, value in document.items() if value is not None}
    return JSONResponse(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


async def _service_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return problem(
        error.status,
        error.code,
        error.title,
        error.detail,
        error.headers,
        field=error.field,
        remedy=error.remedy,
        **error.extra,
    )


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | ValidationError)
    if any(found["type"] == "json_invalid" for found in error.errors()):
        return problem(422, "invalid", Invalid.title, "the body is not JSON", remedy="Send one JSON object, as UTF-8.")
    errors = [FieldError(field=_path(found["loc"]), rule=_rule(found)).model_dump() for found in error.errors()]
    first = errors[0] if errors else {"field": "", "rule": "not valid"}
    where = f"{first['field']}: " if first["field"] else ""
    return problem(
        Invalid.status, Invalid.code, Invalid.title, where + first["rule"], field=first["field"] or None, errors=errors
    )


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, phrase.lower().replace(" ", "_"))
    return problem(error.status_code, code, phrase, str(error.detail), error.headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # What went wrong is in the log; an answer tells strangers nothing of the inside.
    log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
    return problem(500, "internal_error", "Something went wrong here", "the fault is in the service and was logged")


def _path(location: Sequence[int | str]) -> str:
    """`body.recipe.trl_sft.args` as `recipe.args`: the tag of a union is no field of the caller's."""
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    tags = {"trl_sft", "script"}
    return ".".join(part for index, part in enumerate(parts) if not (index and part in tags))


def _rule(found: Any) -> str:
    message: str = found["msg"]
    return message.removeprefix("Value error, ")
