"""Switches of a repository that only the sandbox has, for tests: a gated repository, large files, refused commits."""

from __future__ import annotations

from service.sandbox.calls import json_fields
from service.sandbox.repos import CommitFault, Repo
from service.sandbox.wire import Refusal, Request, Response, json_response


def set_switches(repo: Repo, request: Request) -> Response:
    """POST /sandbox/repos/{kind}s/{namespace}/{name}; needs no token. Raises Refusal 400 for what is no switch.

    `gated`: true or false. `lfs`: true makes every file travel ahead of the commit. `refuse_commits`: `{"status":
    500, "after": 1}` lets one more commit pass and refuses those after it; null ends it.
    """
    fields = json_fields(request)
    for name, value in fields.items():
        match name, value:
            case "gated", bool():
                repo.gated = "manual" if value else None
            case "lfs", bool():
                repo.asks_for_lfs = value
            case "refuse_commits", None:
                repo.commit_fault = None
            case "refuse_commits", {"status": int(status), **more} if 400 <= status < 600:
                after = more.get("after", 0)
                repo.commit_fault = CommitFault(status, after if isinstance(after, int) else 0)
            case _:
                raise Refusal(400, f"`{name}` is not a switch of a repository, or has a wrong value")
    return json_response({"id": repo.id, **fields})
