"""Committing: read the client's ndjson lines, apply all of them to the newest tree or none."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

from service.sandbox.blobs import Blob
from service.sandbox.calls import Call, text_field
from service.sandbox.pulls import open_pull
from service.sandbox.repos import Repo
from service.sandbox.wire import Refusal, Response, json_response

CONFLICT = "A commit has happened since. Please refresh and try again."


def create_commit(call: Call) -> Response:
    """POST commit/{revision}: one new commit on a branch, or with `create_pr=1` on a new pull request.

    Lines as huggingface_hub 2.4.0 sends them (_commit_api.py, `_prepare_commit_payload`). Raises Refusal 412 where
    `parentCommit` is no longer the head, 404 for a revision that is no branch or a deletion of what is not there,
    400 for a line that cannot be applied. A commit without any change is made, as the real Hub does: it is the
    client that leaves unchanged files out.
    """
    opens_pull = call.flag("create_pr")
    author = call.signed_in() if opens_pull else call.writer()
    ref = call.repo.writable_ref(call.rest)
    _fail_if_told(call.repo)
    lines = list(_lines(call.request.body))
    header = next((value for key, value in lines if key == "header"), None)
    if header is None:
        raise Refusal(400, "A commit needs a `header` line")
    title = text_field(header, "summary")
    if (parent := header.get("parentCommit")) and parent != call.repo.refs[ref].sha:
        raise Refusal(412, CONFLICT)
    tree = apply(call.repo, dict(call.repo.refs[ref].tree), [line for line in lines if line[0] != "header"])
    if opens_pull:
        ref = open_pull(call.repo, ref)
    message = str(header.get("description") or "")
    commit = call.repo.commit(ref, tree, title, message, author.user.name, call.now)
    page = f"{call.request.base_url}/{call.repo.path}"
    answer = {"success": True, "commitOid": commit.sha, "commitUrl": f"{page}/commit/{commit.sha}", "hookOutput": ""}
    if opens_pull:
        answer["pullRequestUrl"] = f"{page}/discussions/{ref.rpartition('/')[2]}"
    return json_response(answer)


def apply(repo: Repo, tree: dict[str, Blob], lines: list[tuple[str, dict[str, Any]]]) -> dict[str, Blob]:
    """The tree after all operations; deletions come first, so that a folder can be replaced in one commit."""
    for key, value in sorted(lines, key=lambda line: not line[0].startswith("deleted")):
        path = valid_path(text_field(value, "path"))
        if key == "deletedFile":
            if tree.pop(path, None) is None:
                raise Refusal(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        elif key == "deletedFolder":
            inside = [name for name in tree if name.startswith(f"{path}/")]
            if not inside:
                raise Refusal(404, f"A folder with this name doesn't exist: {path}", "EntryNotFound")
            for name in inside:
                del tree[name]
        elif key == "file":
            tree[path] = Blob(_content(value))
        elif key == "lfsFile":
            tree[path] = Blob(_uploaded(repo, value), in_lfs=True)
        else:
            raise Refusal(400, f"Unknown commit operation: {key}")
    for path in tree:
        for parent in _parents(path):
            if parent in tree:
                raise Refusal(400, f"{parent} cannot be both a file and a folder")
    return tree


def valid_path(path: str) -> str:
    """A path in a repository, without the slash that marks folders; raises Refusal 400 for what git would not store."""
    parts = path.rstrip("/").split("/")
    if any(part in ("", ".", "..", ".git") for part in parts):
        raise Refusal(400, f"Invalid path in repo: {path}")
    return "/".join(parts)


def _lines(body: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for raw in filter(None, body.splitlines()):
        try:
            line = json.loads(raw)
        except ValueError as error:
            raise Refusal(400, f"A line of the commit is not JSON: {error}") from error
        match line:
            case {"key": str(key), "value": dict(value)}:
                yield key, value
            case _:
                raise Refusal(400, "Each line of a commit must hold a key and a value")


def _content(value: dict[str, Any]) -> bytes:
    content = value.get("content")
    if not isinstance(content, str):
        raise Refusal(400, "`content` must be a string")
    if value.get("encoding") != "base64":
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise Refusal(400, f"`content` is not base64: {error}") from error


def _uploaded(repo: Repo, value: dict[str, Any]) -> bytes:
    if (data := repo.lfs.get(text_field(value, "oid"))) is None:
        raise Refusal(400, f"LFS pointer pointed to a file that does not exist: {value['oid']}")
    return data


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _fail_if_told(repo: Repo) -> None:
    """A fault switched on by a test: the push of a finished training that the Hub does not take."""
    if (fault := repo.commit_fault) is None:
        return
    if fault.after <= 0:
        text = "Internal Error - We're working hard to fix this as soon as possible!"
        raise Refusal(fault.status, text if fault.status >= 500 else "Forbidden: this repository refuses commits.")
    fault.after -= 1
