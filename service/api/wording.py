"""What pydantic found, in the words of this API: the rule that a value breaks, and what to send instead. The only place
that knows pydantic's kinds of errors, so none of its own sentences reaches a caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service.domain.errors import BrokenRule

Words = tuple[str, str]


def words_for(found: Mapping[str, Any]) -> Words:
    """The rule and the remedy for one item of `ValidationError.errors()`."""
    context = found.get("ctx") or {}
    if isinstance(error := context.get("error"), BrokenRule):
        return error.rule, error.remedy
    kind = str(found["type"])
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", "not valid")), "Correct it; the rule says what is taken."
    if (told := BOUNDS.get(kind)) is not None:
        return told(context)
    for beginning, words in KINDS.items():
        if kind.startswith(beginning):
            return words
    return "has a value that this field does not take", "GET /openapi.json says what it takes."


def _bound(words: str) -> Callable[[Mapping[str, Any]], Words]:
    def tell(context: Mapping[str, Any]) -> Words:
        bound = next(context[name] for name in ("ge", "le", "gt", "lt") if name in context)
        return f"takes a number {words} {bound}", f"Send a number {words} {bound}."

    return tell


def _long_text(context: Mapping[str, Any]) -> Words:
    return f"takes a text of at most {context['max_length']} characters", "Send a shorter one."


def _short_text(context: Mapping[str, Any]) -> Words:
    least = context["min_length"]
    return f"takes a text of at least {least} character{'s' if least > 1 else ''}", "Send one, or leave the field out."


def _many(context: Mapping[str, Any]) -> Words:
    return f"takes at most {context['max_length']} items, not {context.get('actual_length') or 'more'}", "Send fewer."


def _few(context: Mapping[str, Any]) -> Words:
    return f"takes at least {context['min_length']} items", "Send more, or leave the field out."


def _choice(context: Mapping[str, Any]) -> Words:
    expected = str(context.get("expected", context.get("expected_tags", ""))).replace("'", "").replace(" or ", ", ")
    one_of = "one of " if "," in expected else ""
    return f"takes {one_of}{expected}", f"Send {one_of}{expected}, as it is written here."


def _digits(context: Mapping[str, Any]) -> Words:
    most = context.get("decimal_places", context.get("max_digits", ""))
    return f"takes a number of at most {most} digits after the point", "Round it."


def _tag(_context: Mapping[str, Any]) -> Words:
    return "needs 'kind', which says what else it holds", 'Add it, as in "kind": "trl_sft" or "kind": "smoke_test".'


BOUNDS: dict[str, Callable[[Mapping[str, Any]], Words]] = {
    "greater_than_equal": _bound("of at least"),
    "less_than_equal": _bound("of at most"),
    "greater_than": _bound("above"),
    "less_than": _bound("below"),
    "string_too_long": _long_text,
    "string_too_short": _short_text,
    "bytes_too_long": _long_text,
    "too_long": _many,
    "too_short": _few,
    "literal_error": _choice,
    "enum": _choice,
    "union_tag_invalid": _choice,
    "union_tag_not_found": _tag,
    "decimal_max_places": _digits,
    "decimal_max_digits": _digits,
    "decimal_whole_digits": _digits,
}
# By the beginning of the error's kind; the first that fits counts.
KINDS: dict[str, Words] = {
    "missing": ("is missing", "Add it."),
    "string_pattern": ("takes a text of another form", "GET /openapi.json has its pattern."),
    "string": ("takes a text", 'Send a text in double quotes, such as "…".'),
    "int": ("takes a whole number", "Send a whole number, without quotes and without a point."),
    "float": ("takes a number", "Send a number, without quotes."),
    "decimal": ("takes a finite number", "Send a number, without quotes."),
    "finite_number": ("takes a finite number", "Send a finite number, or leave it out."),
    "bool": ("takes true or false", "Send true or false, without quotes."),
    "list": ("takes a list", "Send a list: [first, second, …]."),
    "dict": ("takes an object", 'Send an object: {"name": value, …}.'),
    "model": ("takes an object", 'Send an object: {"name": value, …}.'),
    "none_required": ("takes null", "Send null, or leave it out."),
    "date": ("takes a time with its zone", "Write it as 2026-12-01T00:00:00Z."),
    "time": ("takes a time with its zone", "Write it as 2026-12-01T00:00:00Z."),
    "url": ("takes an address", "Write it as https://host/path."),
    "extra_forbidden": ("is no field that is known here", "Leave it out."),
}
