"""What the Jobs API accepts: the rules of the Hub's OpenAPI (2026-08) for a job's body, labels and exposed ports.

Each function returns the checked value or raises Refusal 400 with the Hub's text for every broken rule at once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from service.sandbox import shapes
from service.sandbox.hardware import FLAVORS
from service.sandbox.wire import Refusal, Request

DEFAULT_TIMEOUT_SECONDS = 1800  # hub-docs jobs-manage.md: 30 minutes
STAGES = ("COMPLETED", "CANCELED", "ERROR", "DELETED", "RUNNING", "SCHEDULING")
LABEL_PAIR = r"[a-zA-Z0-9._-]+=[a-zA-Z0-9._-]*"

LABELS = shapes.mapping(shapes.text(r"[a-zA-Z0-9._-]+", 1, 100), shapes.text(r"[a-zA-Z0-9._-]*", 0, 100))
PORTS = shapes.array(shapes.integer(1, 65535), most=20)
EXPOSE = {"ports": PORTS, "portsPublic": PORTS}
VOLUME = {
    "type": shapes.choice(("bucket", "model", "dataset", "space")),
    "source": shapes.text(least=1),
    "mountPath": shapes.text(r"/.*"),
    "revision": shapes.text(),
    "readOnly": shapes.boolean(),
    "path": shapes.text(),
}
NETWORK_NAME = r"[a-z0-9-]+"  # huggingface_hub 2.4.0 run_job: lower-case letters, digits, hyphens
NETWORK = {
    "group": shapes.text(NETWORK_NAME, 1, 46),
    "aliases": shapes.array(shapes.text(NETWORK_NAME, 1, 34)),
}
JOB_FIELDS = {
    "dockerImage": shapes.text(least=1),
    "spaceId": shapes.text(least=1),
    "command": shapes.array(shapes.text(least=1), least=1),
    "arguments": shapes.array(shapes.text()),
    "environment": shapes.mapping(shapes.text(r"[a-zA-Z][_a-zA-Z0-9]+"), shapes.text()),
    "secrets": shapes.mapping(shapes.text(r"[a-zA-Z][_a-zA-Z0-9]*"), shapes.text()),
    "flavor": shapes.choice(tuple(FLAVORS)),
    "arch": shapes.choice(("amd64", "arm64")),
    "timeoutSeconds": shapes.nullable(shapes.integer(1, 2**53 - 1)),
    "attempts": shapes.integer(1, 2**53 - 1),
    "labels": LABELS,
    "volumes": shapes.array(shapes.record(VOLUME, ("type", "source", "mountPath")), least=1),
    "expose": shapes.record(EXPOSE, ("ports",)),
    "ssh": shapes.record({"enabled": shapes.boolean()}, ("enabled",)),
    "network": shapes.record(NETWORK, ("group",)),
    "resourceGroupId": shapes.text(r"[0-9a-f]{24}"),
}
# `command` is required here although the schema marks it optional: the sandbox has no image whose entry point could run
JOB_BODY = shapes.record(JOB_FIELDS, ("command", "flavor"))


@dataclass(frozen=True)
class JobSpec:
    """What a job is asked to run; `secrets` holds values and is never shown, `extras` are echoed as they came."""

    command: tuple[str, ...]
    flavor: str
    docker_image: str | None = None
    space_id: str | None = None
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    attempts: int = 1
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """What is to be mounted, as it came."""
        volumes: list[dict[str, Any]] = self.extras.get("volumes", [])
        return volumes


def job_spec(request: Request) -> tuple[JobSpec, dict[str, str], dict[str, Any] | None]:
    """The spec, labels and exposed ports of a create request; raises Refusal 400."""
    body = checked(request, JOB_BODY)
    if ("dockerImage" in body) == ("spaceId" in body):
        raise Refusal(400, "✖ Exactly one of dockerImage or spaceId must be given")
    spec = JobSpec(
        command=tuple(body["command"]),
        arguments=tuple(body.get("arguments", ())),
        flavor=body["flavor"],
        docker_image=body.get("dockerImage"),
        space_id=body.get("spaceId"),
        environment=body.get("environment", {}),
        secrets=body.get("secrets", {}),
        timeout_seconds=int(body.get("timeoutSeconds") or DEFAULT_TIMEOUT_SECONDS),
        attempts=int(body.get("attempts", 1)),
        extras=_extras(body),
    )
    return spec, body.get("labels", {}), body.get("expose")


def _extras(body: dict[str, Any]) -> dict[str, Any]:
    """What the job's JSON shows as it came; but a mounted repository is read-only, whatever was asked for."""
    extras: dict[str, Any] = {
        name: body[name] for name in ("arch", "volumes", "network", "resourceGroupId") if name in body
    }
    if "volumes" in extras:
        extras["volumes"] = [
            volume if volume["type"] == "bucket" else {**volume, "readOnly": True} for volume in extras["volumes"]
        ]
    return extras


def labels(request: Request) -> dict[str, str]:
    """The labels of PUT …/labels, which replace all; raises Refusal 400."""
    value: dict[str, str] = checked(request, shapes.record({"labels": LABELS}, ("labels",)))["labels"]
    return value


def exposed_ports(request: Request) -> dict[str, Any]:
    """The ports of PUT …/expose, which replace all; raises Refusal 400."""
    value: dict[str, Any] = checked(request, shapes.record(EXPOSE, ("ports",)))
    return value


def stages_wanted(request: Request) -> list[str]:
    """The `stage` filters of a list, any of which may hold; raises Refusal 400."""
    wanted = request.query("stage")
    _demand(shapes.problems(shapes.array(shapes.choice(STAGES)), wanted))
    return wanted


def labels_wanted(request: Request) -> list[tuple[str, str]]:
    """The `label` filters of a list (`name=value`), all of which must hold; raises Refusal 400."""
    wanted = request.query("label")
    _demand(shapes.problems(shapes.array(shapes.text(LABEL_PAIR)), wanted))
    return [(name, value) for name, _, value in (pair.partition("=") for pair in wanted)]


def whole_number(request: Request, name: str) -> int | None:
    """A query parameter that counts (`tail`, `cursor`), None where it is absent; raises Refusal 400."""
    value = next(iter(request.query(name)), None)
    if value is not None and not re.fullmatch("[0-9]{1,15}", value):
        raise Refusal(400, f"✖ Invalid input: expected a whole number from 0\n  → at {name}")
    return None if value is None else int(value)


def checked(request: Request, shape: shapes.Check) -> Any:
    """The request's JSON body, of that shape; raises Refusal 400."""
    try:
        body = request.json()
        json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"Invalid JSON in request body: {error}") from None
    _demand(shapes.problems(shape, body))
    return body


def _demand(broken: str | None) -> None:
    if broken:
        raise Refusal(400, broken)
