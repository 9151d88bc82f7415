"""The Inference Endpoint that a model fits: the command that makes it, and what it costs an hour."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib.resources import files
from typing import Any

_TOLD: dict[str, Any] = tomllib.loads(files("service.domain.use").joinpath("endpoints.toml").read_text("utf-8"))
# Inference Endpoints' own rule of names: lower-case letters, digits and '-', at most 32 of them
LONGEST_NAME = 32


def endpoint_for(repo: str, revision: str, weights_bytes: int) -> dict[str, Any] | None:
    """The cheapest instance that holds weights of so many bytes as they are stored; None where the largest does not."""
    need_gb = _TOLD["more_than_weights"] * weights_bytes / 1e9
    fitting = [one for one in _TOLD["instance"] if need_gb <= _TOLD["used_of_memory"] * one["memory_gb"]]
    if not fitting:
        return None
    one = min(fitting, key=lambda instance: float(instance["usd_per_hour"]))
    return {
        "command": _command(repo, revision, one["type"], one["size"]),
        "instance": f"{one['type']} {one['size']}",
        "memory_gb": one["memory_gb"],
        "price_per_hour_usd": one["usd_per_hour"],
        "source": _TOLD["source"],
        "read_on": _TOLD["read_on"],
    }


def _command(repo: str, revision: str, instance: str, size: str) -> str:
    """huggingface_hub 2.4, `hf endpoints deploy`."""
    namespace, _, name = repo.partition("/")
    options = {
        "repo": repo,
        "revision": revision,
        "namespace": namespace,
        "framework": "pytorch",
        "task": "text-generation",
        "accelerator": "gpu",
        "vendor": _TOLD["vendor"],
        "region": _TOLD["region"],
        "instance-type": instance,
        "instance-size": size,
    }
    short = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST_NAME].strip("-") or "model"
    given = [item for key, value in options.items() for item in (f"--{key}", value)]
    return shlex.join(["hf", "endpoints", "deploy", short, *given])
