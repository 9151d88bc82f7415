"""Lists: `{"data": […], "has_more": bool, "next": cursor}`, by keyset: what is added meanwhile moves nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from service.domain.errors import Invalid

T = TypeVar("T")
MAX_LIMIT = 200
MAX_DIGITS = 18  # what a signed 64-bit integer holds whatever the digits

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most")]
After = Annotated[str | None, Query(max_length=200, description="The `next` of the page before")]


class Page(BaseModel, Generic[T]):
    """One page of a list. `next` is null on the last one."""

    data: list[T]
    has_more: bool
    next: str | None


def page_of(rows: Sequence[T], limit: int, key: Callable[[T], str | int]) -> tuple[list[T], bool, str | None]:
    """Cut `limit + 1` rows to a page: the rows, whether there are more, and the cursor of the next page."""
    shown = list(rows[:limit])
    has_more = len(rows) > limit
    return shown, has_more, encode(key(shown[-1])) if has_more else None


def page_json(data: list[Any], has_more: bool, following: str | None) -> dict[str, Any]:
    """A page on the wire."""
    return {"data": data, "has_more": has_more, "next": following}


def encode(key: str | int) -> str:
    """A cursor: opaque to callers."""
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def decode_number(cursor: str | None) -> int:
    """The number in a cursor, 0 for none; raises Invalid for a text that holds no number."""
    key = decode(cursor)
    if key is None:
        return 0
    if not key.isdecimal() or len(key) > MAX_DIGITS:
        raise _no_cursor()
    return int(key)


def decode(cursor: str | None) -> str | None:
    """The key in a cursor; raises Invalid for a text that is none."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        key = ""
    if not key or not key.isprintable():
        raise _no_cursor()
    return key


def _no_cursor() -> Invalid:
    return Invalid("not a cursor of this list", field="after", remedy="Pass the 'next' of the page before.")
