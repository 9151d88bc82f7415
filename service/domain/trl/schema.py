"""The whole `trl_sft` recipe as JSON Schema (draft 2020-12): what a form is drawn from."""

from __future__ import annotations

from typing import Any

from service.domain.trl.flags import described, release
from service.domain.trl.owned import OWNED_FLAGS
from service.domain.trl.ranges import ranges
from service.domain.trl_sft import TrlSft

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema(version: str) -> dict[str, Any]:
    """The recipe with every flag of one described release under `args`; raises Invalid for any other. Flags that the
    service sets, and `filled`, are left out. What goes together (a flag and its field, say) is not in it."""
    known = release(version)
    schema: dict[str, Any] = TrlSft.model_json_schema()
    schema["$schema"] = DRAFT
    schema["title"] = f"trl_sft with TRL {version}"
    properties = schema["properties"]
    properties["args"] = {
        "type": "object",
        "title": "args",
        "description": f"TRL's own flags, without dashes, as of {_spelt(dict(known.versions))}",
        "properties": {
            name: one.as_json_schema() | (ranges()[name].as_json_schema() if name in ranges() else {})
            for name, one in known.flags.items()
            if _offered(name, one.takes)
        },
        "additionalProperties": False,
        "default": {},
    }
    properties["trl_version"] |= {"enum": list(described()), "default": version}
    del properties["filled"]
    del schema["$defs"]["Filled"]
    return schema


def _offered(name: str, takes: tuple[str, ...]) -> bool:
    return bool(takes) and name not in OWNED_FLAGS


def _spelt(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
