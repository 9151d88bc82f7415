"""Forms of bodies and answers, from JSON Schema, in few words. Named forms link to their place on the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

PAGE = "Page_"  # how FastAPI calls a list's page
NAMES = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "object": "object"}


def fields(schemas: dict[str, Any], schema: dict[str, Any], is_sent: bool) -> str:
    """The fields of an object as a table; empty for what is no object of named fields. Of what callers send, what is
    needed is marked; of what they are answered, what may be null."""
    form = resolve(schemas, schema)
    needed = form.get("required", ()) if is_sent else ()
    rows = [
        f"| `{name}`{' (needed)' if name in needed else ''} | {told(schemas, one, one.get('description'), is_sent)} |"
        for name, one in form.get("properties", {}).items()
    ]
    return "\n".join(["| field | |", "|---|---|", *rows]) if rows else ""


def told(schemas: dict[str, Any], schema: dict[str, Any], description: str | None, is_sent: bool = True) -> str:
    """What a value is, and what it means."""
    null = "" if is_sent or {"type": "null"} not in schema.get("anyOf", ()) else " or null"
    said = " ".join((description or "").split()).rstrip(".")
    return f"{kind(schemas, schema)}{null}. {said}".rstrip(" .").replace("|", "\\|")


def named(schemas: dict[str, Any], answer: dict[str, Any]) -> str:
    """What an answer holds: ` with a …`; empty for what is no JSON."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    return "" if schema is None else f" with {kind(schemas, schema)}"


def resolve(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema by its name, or as it is; of several, the first that is more than null."""
    if "$ref" in schema:
        found: dict[str, Any] = schemas[schema["$ref"].rpartition("/")[2]]
        return found
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return resolve(schemas, choices[0]) if choices else schema


def kind(schemas: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a value is, in a word or two."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name.startswith(PAGE):
            return f"a page of {kind(schemas, schemas[name]['properties']['data']['items'])}"
        return kind(schemas, schemas[name]) if "enum" in schemas[name] else f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if choices := [one for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())) if one.get("type") != "null"]:
        return " or ".join(dict.fromkeys(kind(schemas, one) for one in choices))
    if schema.get("type") == "array":
        return f"list of {kind(schemas, schema.get('items', {}))}"
    return "time" if schema.get("format") == "date-time" else NAMES.get(schema.get("type", ""), "text")


def reached(schemas: dict[str, Any], start: Any) -> list[str]:
    """The names of all forms that something leads to, but for pages and enumerations, which are told where they are
    met."""
    found: set[str] = set()
    waiting = list(_names(start))
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += _names(schemas[name])
    return sorted(name for name in found if not name.startswith(PAGE) and "enum" not in schemas[name])


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for one in node.values():
            yield from _names(one)
    elif isinstance(node, list):
        for one in node:
            yield from _names(one)
