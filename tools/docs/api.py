"""`docs/api.md`: every route, from the OpenAPI document and the roles that the routes ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.api.auth import AREAS, Requires
from service.api.document import ALWAYS, WITH_ANSWER, WITH_BODY
from service.app import RESOURCES, create_app
from service.domain.access import Role, scope_of
from tools.docs.calls import call
from tools.docs.forms import fields, kind, named, reached, told

PROSE = Path(__file__).with_suffix(".md")

# The parts of the API by the routes' tags, in the order in which somebody meets them.
TAGS = {
    "runs": ("Runs", "Submitting, reading, ending; what a run tells."),
    "estimates": ("Estimates", "What a run would need and cost, with nothing stored."),
    "queue": ("The queue", "In which order runs start, and why one does not."),
    "steering": ("Steering", "Changes, pauses, approvals, and the kill switch."),
    "schedules": ("Schedules", "Runs that come by themselves."),
    "triggers": ("Triggers", "Runs that come with commits on the Hub."),
    "sweeps": ("Sweeps", "The same training at every point of a grid."),
    "teams": ("Teams and users", "Who owns runs."),
    "keys": ("Keys", "Who is calling."),
    "limits": ("Limits and shares", "How many runs are active, and whose turn it is."),
    "budgets": ("Budgets", "What may be spent."),
    "usage": ("Usage and bills", "What was spent."),
    "webhooks": ("Webhooks", "Who is told."),
    "secrets": ("Tokens and secrets", "What a team brings to its runs."),
    "audit": ("Audit log", "Who changed what."),
    "strays": ("Strays", "Jobs that nobody asked for."),
    "flavors": ("Hardware", "What there is, and what it costs."),
    "recipes": ("Recipes", "What `trl_sft` takes."),
    "health": ("Health", "Whether the service is well. Neither route needs a key."),
    "metrics": ("Metrics", "For Prometheus."),
}


LONGEST_BODY = 14

# What these ask for hangs on the request.
WITHIN = {
    ("put", "/teams/{team}/budget"): Role.ADMIN,
    ("delete", "/teams/{team}/budget"): Role.ADMIN,
    ("post", "/teams/{team}/budget/grants"): Role.ADMIN,
}


def page() -> str:
    """The page as it should be. Raises ValueError for a route whose tag has no place here."""
    document = create_app(None, on_stop=lambda: None).openapi()
    routes = {(method, route.path): route.dependant for route in _routes() for method in route.methods}
    sections: dict[str, list[str]] = {tag: [] for tag in TAGS}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            [tag] = operation["tags"]
            if tag not in sections:
                raise ValueError(f"{method} {path}: no section for the tag '{tag}'")
            sections[tag].append(_operation(document, method, path, operation, routes[method.upper(), path]))
    body = "\n".join(f"## {title}\n\n{says}\n\n{''.join(sections[tag])}" for tag, (title, says) in TAGS.items())
    forms = _forms(document["components"]["schemas"], document["paths"])
    parts = {
        "{{always}}": ", ".join(map(str, sorted((*ALWAYS, *WITH_ANSWER)))),
        "{{with_body}}": ", ".join(map(str, WITH_BODY)),
        "{{routes}}": body.rstrip(),
        "{{forms}}": forms.rstrip(),
    }
    text = PROSE.read_text()
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


def _routes() -> Iterator[APIRoute]:
    for resource in RESOURCES:
        for route in resource.router.routes:
            if isinstance(route, APIRoute):
                yield route


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    """Everything that is called before a route is."""
    for one in dependant.dependencies:
        if one.call is not None:
            yield one.call
        yield from _calls(one)


def _role(dependant: Dependant) -> Role | None:
    """The least role that a route asks for; None where it asks for none."""
    found = [one.role for one in _calls(dependant) if isinstance(one, Requires) and one.role is not None]
    return max(found, key=list(Role).index, default=None)


def _forms(schemas: dict[str, Any], paths: dict[str, Any]) -> str:
    sent = reached(schemas, [one.get("requestBody") for operations in paths.values() for one in operations.values()])
    parts = []
    for name in reached(schemas, paths):
        says = " ".join(schemas[name].get("description", "").split())
        table = fields(schemas, schemas[name], name in sent) or f"Is {kind(schemas, schemas[name])}."
        parts += [f"### {name}", says, table] if says else [f"### {name}", table]
    return "\n\n".join(parts)


def _operation(
    document: dict[str, Any], method: str, path: str, operation: dict[str, Any], dependant: Dependant
) -> str:
    bodies = operation.get("requestBody", {}).get("content", {})
    content = next(iter(bodies), None)
    schemas = document["components"]["schemas"]
    who, role = _access(method, path, operation["tags"][0], dependant)
    parts = [
        f"### {operation['summary']}",
        f"`{method.upper()} {path}`: {who}",
        " ".join(operation["description"].split()),
        _parameters(schemas, operation),
        "" if content is None else _body(schemas, bodies[content]["schema"]),
        f"```bash route\n{call(method, path, role, content)}\n```",
        _answers(schemas, method, operation),
    ]
    return "\n\n".join(part for part in parts if part) + "\n\n"


def _body(schemas: dict[str, Any], schema: dict[str, Any]) -> str:
    """A body that has a name of its own is told once, beside the other forms, where it is large."""
    table = fields(schemas, schema, is_sent=True)
    return f"The body is {kind(schemas, schema)}." if table.count("\n") > LONGEST_BODY else table


def _access(method: str, path: str, tag: str, dependant: Dependant) -> tuple[str, Role | None]:
    """Who may call, in words, and the least role; None where no key is needed."""
    if (method, path) in WITHIN:
        role, less = WITHIN[method, path], ", or with `user` a lead"
    else:
        role, less = _role(dependant), ""
    if role is None:
        return (
            ("any key", Role.VIEWER)
            if any(isinstance(one, Requires) for one in _calls(dependant))
            else ("no key", None)
        )
    scope = f", scope `{scope_of(AREAS[tag], method == 'get')}`" if tag in AREAS else ""
    return f"role `{role}`{less}{scope}", role


def _parameters(schemas: dict[str, Any], operation: dict[str, Any]) -> str:
    given = [one for one in operation.get("parameters", ()) if one["in"] != "path"]
    if not given:
        return ""
    rows = (
        f"| `{one['name']}` ({one['in']}) | {told(schemas, one['schema'], one.get('description'))} |\n" for one in given
    )
    return "| parameter | |\n|---|---|\n" + "".join(rows).rstrip()


def _answers(schemas: dict[str, Any], method: str, operation: dict[str, Any]) -> str:
    standing = {*map(str, (*ALWAYS, *WITH_ANSWER, *(() if method == "get" else WITH_BODY)))}
    good = [status for status in operation["responses"] if status.startswith(("2", "3"))]
    refused = [status for status in operation["responses"] if status not in good and status not in standing]
    says = f"Answers {', '.join(map(_code, good))}{named(schemas, operation['responses'][good[0]])}"
    return f"{says}; besides, {', '.join(map(_code, refused))}." if refused else f"{says}."


def _code(status: str) -> str:
    return f"`{status}`"
