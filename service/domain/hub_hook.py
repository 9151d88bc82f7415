"""What the Hub's webhooks say (huggingface.co/docs/hub/webhooks, version 3), and which of it is news of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTENT = "repo.content"
# Changes of a repository's settings, discussions and comments are told of as well; and of its creation.
OF_CONTENT = ("create", "update")


def tells_of(payload: Mapping[str, Any], repo_type: str, repo: str) -> bool:
    """Whether a payload says that the files of this repository have changed. It is a hint: it may be late, come twice,
    or be of a commit that is not the newest any more. A text that is none of the Hub's is none."""
    event, named = payload.get("event"), payload.get("repo")
    if not isinstance(event, Mapping) or not isinstance(named, Mapping):
        return False
    scope, name = event.get("scope"), named.get("name")
    return (
        event.get("action") in OF_CONTENT
        and isinstance(scope, str)
        and (scope == CONTENT or scope.startswith(f"{CONTENT}."))
        and named.get("type") == repo_type
        and isinstance(name, str)
        and name.lower() == repo.lower()
    )
