"""The ground of every request body: unknown fields are refused with a suggestion, values are not bent to fit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from service.domain.errors import BrokenRule, UnknownField
from service.domain.text import is_carried


class Body(BaseModel):
    """Frozen, and strict about types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if not is_carried(value):
            raise BrokenRule(
                "a text holds NUL or half of a surrogate pair", "Send text that UTF-8 can carry, without NUL."
            )
        for name in value:
            if name not in cls.model_fields:
                raise BrokenRule(
                    f"there is no field '{name}'", cls.suggestion(str(name)), at=str(name), kind=UnknownField
                )
        return value

    @classmethod
    def suggestion(cls, name: str) -> str:
        """A sentence that names what was probably meant by a field that there is not."""
        close = get_close_matches(name, cls.model_fields, n=1)
        return f"Did you mean '{close[0]}'?" if close else f"Known fields: {', '.join(cls.model_fields)}."


def _decimal(value: object) -> object:
    # A JSON number arrives as a double; its shortest decimal text is what was written.
    if value is None or isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BrokenRule("an amount is a number of dollars, such as 2.5, and no text", "Send a number, without quotes.")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return value


def _moment(value: object) -> object:
    # JSON has no times: one is a text with its zone
    if value is None or isinstance(value, datetime):
        return value
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
        if parsed is not None and parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BrokenRule("a time is a text with its zone", "Write it as 2026-12-01T00:00:00Z.")


AwareMoment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
MOST_USD = 1_000_000_000
Usd = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    Field(ge=0, le=MOST_USD, decimal_places=6, allow_inf_nan=False),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MOST_USD, "multipleOf": 0.000001}),
]
# More, or less.
UsdChange = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    Field(ge=-MOST_USD, le=MOST_USD, decimal_places=6, allow_inf_nan=False),
    WithJsonSchema({"type": "number", "minimum": -MOST_USD, "maximum": MOST_USD, "multipleOf": 0.000001}),
]
