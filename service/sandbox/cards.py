"""The card of a repository: the YAML block that opens its README.md, read and checked as the Hub does."""

from __future__ import annotations

import re
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with huggingface_hub

from service.sandbox.blobs import Tree
from service.sandbox.calls import json_fields
from service.sandbox.wire import Request, Response, json_response

FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n(?:(.*?)\r?\n)?---[ \t]*(?:\r?\n|$)", re.DOTALL)
MOST_VALUES = 100_000
MOST_DEPTH = 100
TAG_KEYS = {"license": "license", "datasets": "dataset", "base_model": "base_model", "language": "", "tags": ""}


def validate(request: Request) -> Response:
    """POST /api/validate-yaml: 200 for a card that can be read, 400 with the reasons for one that cannot.

    Clients ask before each upload of a README.md and give up on any other answer (huggingface_hub 2.4.0
    hf_api.py, `_validate_yaml`). A card without metadata is a warning, not an error.
    """
    content = json_fields(request).get("content")
    try:
        data = metadata(content if isinstance(content, str) else "")
    except ValueError as error:
        return json_response({"errors": [{"message": str(error)}], "warnings": []}, 400)
    warnings = [] if data else [{"message": "empty or missing yaml metadata in repo card"}]
    return json_response({"errors": [], "warnings": warnings})


def metadata(text: str) -> dict[str, Any]:
    """The metadata of a README's text, empty where it has none; raises ValueError for YAML that cannot be read."""
    if (match := FRONT.match(text)) is None:
        return {}
    try:
        data = _plain(yaml.safe_load(match[1] or ""), [MOST_VALUES], 0)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"Invalid YAML metadata: {error}") from error
    if not isinstance(data, dict | None):
        raise ValueError("The metadata of a card must be a mapping")
    return data or {}


def _plain(value: Any, left: list[int], depth: int) -> Any:
    """YAML's values as JSON has them. Raises ValueError for more than a card holds: a few aliases of aliases stand for
    more values than any memory has."""
    left[0] -= 1
    if left[0] < 0 or depth > MOST_DEPTH:
        raise ValueError("The metadata of a card is too large, or nested too deeply")
    match value:
        case dict():
            return {str(key): _plain(item, left, depth + 1) for key, item in value.items()}
        case set():
            return [_plain(item, left, depth + 1) for item in sorted(value, key=str)]
        case list() | tuple():
            return [_plain(item, left, depth + 1) for item in value]
        case None | bool() | int() | float() | str():
            return value
    return str(value)  # dates, bytes


def card_of(tree: Tree) -> dict[str, Any]:
    """The metadata of a repository's card, empty where it has none or an unreadable one."""
    if "README.md" not in tree:
        return {}
    try:
        return metadata(tree["README.md"].data.decode(errors="replace"))
    except ValueError:
        return {}


def tags_of(card: dict[str, Any]) -> list[str]:
    """The tags that the Hub derives from a card: `license:mit`, `dataset:acme/chats`, plain tags as they are."""
    tags = []
    for key, prefix in TAG_KEYS.items():
        value = card.get(key)
        values = value if isinstance(value, list) else [value]
        tags += [f"{prefix}:{item}" if prefix else item for item in values if isinstance(item, str)]
    return tags
