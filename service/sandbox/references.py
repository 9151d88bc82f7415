"""Branches, tags and pull request refs."""

from __future__ import annotations

import re

from service.sandbox.calls import Call, text_field
from service.sandbox.repos import MAIN, PULL_REF
from service.sandbox.wire import Refusal, Response, json_response

NAME = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock$))[^\s~^:?*\[\\/.-][^\s~^:?*\[\\]*(?<![/.])")


def list_refs(call: Call) -> Response:
    """GET refs: every name and the commit it points at; pull requests with `include_prs=1`."""
    groups: dict[str, list[dict[str, str]]] = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
    kinds = {"refs/heads/": "branches", "refs/tags/": "tags", "refs/pr/": "pullRequests"}
    for ref, commit in call.repo.refs.items():
        for prefix, group in kinds.items():
            if ref.startswith(prefix):
                groups[group].append({"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit.sha})
    if not call.flag("include_prs"):
        del groups["pullRequests"]
    return json_response(groups)


def create_branch(call: Call) -> Response:
    """POST branch/{name}: a branch at `startingPoint`, or at the head of main; raises Refusal 409 where it exists."""
    call.writer()
    start = call.fields().get("startingPoint") or "main"
    return _create(call, f"refs/heads/{call.rest}", str(start))


def create_tag(call: Call) -> Response:
    """POST tag/{revision}: a tag at that revision; raises Refusal 409 where it exists."""
    call.writer()
    return _create(call, f"refs/tags/{text_field(call.fields(), 'tag')}", call.rest)


def delete_branch(call: Call) -> Response:
    """DELETE branch/{name}; raises Refusal 403 for main, 404 for an unknown one. Its commits stay readable by sha."""
    call.writer()
    return _delete(call, f"refs/heads/{call.rest}")


def delete_tag(call: Call) -> Response:
    """DELETE tag/{name}; raises Refusal 404 for an unknown one."""
    call.writer()
    return _delete(call, f"refs/tags/{call.rest}")


def _create(call: Call, ref: str, start: str) -> Response:
    name = ref.split("/", 2)[2]
    if not NAME.fullmatch(name) or PULL_REF.fullmatch(name):
        raise Refusal(400, f"Invalid reference name: {name}")
    if ref in call.repo.refs:
        raise Refusal(409, f"Reference already exists: {ref}")
    group = ref.removesuffix(name)
    if any(other.startswith(group) and _nested(ref, other) for other in call.repo.refs):
        raise Refusal(400, f"{ref} cannot be made beside a reference that it would lie in or hold")
    call.repo.refs[ref] = call.repo.at(start)
    return json_response({})


def _delete(call: Call, ref: str) -> Response:
    if ref == MAIN:
        raise Refusal(403, "Cannot delete the default branch")
    if call.repo.refs.pop(ref, None) is None:
        raise Refusal(404, f"Reference not found: {ref}", "RevisionNotFound")
    return json_response({})


def _nested(ref: str, other: str) -> bool:
    """Whether one name is a folder of the other, which git's refs cannot store."""
    return other.startswith(f"{ref}/") or ref.startswith(f"{other}/")
