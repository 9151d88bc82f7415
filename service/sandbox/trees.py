"""Listing what a revision holds: folders, single paths, and the history behind them."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode

from service.sandbox.blobs import Tree
from service.sandbox.calls import Call, is_on
from service.sandbox.repos import Commit, stamp
from service.sandbox.wire import Refusal, Response, json_response

SCANNED = {"status": "safe", "avScan": None, "pickleImportScan": None}


def list_tree(call: Call) -> Response:
    """GET tree/{revision}[/{folder}]: its entries, with `recursive` those below too; raises Refusal 404.

    A folder that is not there is EntryNotFound, never an empty list: transformers 5.23 and datasets 5.2 look for
    optional folders this way.
    """
    commit, folder = call.repo.split(call.rest)
    below = f"{folder}/" if folder else ""
    inside = [path for path in commit.tree if path.startswith(below)]
    if folder and not inside:
        raise Refusal(404, f"{folder} does not exist on this revision", "EntryNotFound")
    paths = set(inside) | {parent for path in inside for parent in _folders(path) if parent.startswith(below)}
    if not call.flag("recursive"):
        paths = {path for path in paths if "/" not in path.removeprefix(below)}
    return json_response(_entries(commit, sorted(paths), expand=call.flag("expand")))


def paths_info(call: Call) -> Response:
    """POST paths-info/{revision}: the entries among the named paths that exist.

    huggingface_hub 2.4.0 sends a form (hf_api.py, `get_paths_info`), other clients JSON.
    """
    commit = call.repo.at(call.rest)
    if "json" in call.request.headers.get("content-type", ""):
        fields = call.fields()
        paths, expand = fields.get("paths"), fields.get("expand") is True
    else:
        form = parse_qs(call.request.body.decode(errors="replace"))
        paths, expand = form.get("paths", []), is_on(form.get("expand", []))
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise Refusal(400, "`paths` must be a list of strings")
    known = [path for path in (path.strip("/") for path in paths) if _oid(commit.tree, path)]
    return json_response(_entries(commit, known, expand=expand))


def list_commits(call: Call) -> Response:
    """GET commits/{revision}: newest first, `limit` (1 to 1000, default 50) on a page; `Link` leads to the next."""
    history = list(call.repo.at(call.rest or "main").history())
    limit, page = _number(call, "limit", 50) or 1, _number(call, "p", 0)
    items = [
        {
            "id": commit.sha,
            "title": commit.title,
            "message": commit.message,
            "authors": [{"user": commit.author}],
            "date": stamp(commit.date),
        }
        for commit in history[page * limit : (page + 1) * limit]
    ]
    headers = {"x-total-count": str(len(history))}
    if (page + 1) * limit < len(history):
        query = urlencode({"limit": limit, "p": page + 1})
        headers["link"] = f'<{call.request.base_url}{call.request.path}?{query}>; rel="next"'
    return json_response(items, headers=headers)


def _number(call: Call, name: str, default: int) -> int:
    """A number in the query; raises Refusal 400 for what is none, or is out of range."""
    text = (call.request.query(name) or [str(default)])[-1]
    if not text.isascii() or not text.isdigit() or len(text) > 4 or int(text) > 1000:
        raise Refusal(400, f"`{name}` must be a number up to 1000")
    return int(text)


def _entries(commit: Commit, paths: list[str], *, expand: bool) -> list[dict[str, Any]]:
    entries = [_entry(commit.tree, path) for path in paths]
    if expand:
        for entry in entries:
            last = _last_change(commit, entry["path"])
            entry["lastCommit"] = {"id": last.sha, "title": last.title, "date": stamp(last.date)}
            if entry["type"] == "file":
                entry["securityFileStatus"] = SCANNED
    return entries


def _entry(tree: Tree, path: str) -> dict[str, Any]:
    if (blob := tree.get(path)) is None:
        return {"type": "directory", "oid": _oid(tree, path), "size": 0, "path": path}
    entry: dict[str, Any] = {"type": "file", "oid": blob.oid, "size": len(blob.data), "path": path}
    if blob.in_lfs:
        entry["lfs"] = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}
    return entry


def _last_change(commit: Commit, path: str) -> Commit:
    """The newest commit in which this path became what it is."""
    oid = _oid(commit.tree, path)
    last = commit
    for earlier in commit.history():
        if _oid(earlier.tree, path) != oid:
            break
        last = earlier
    return last


def _oid(tree: Tree, path: str) -> str | None:
    """The name of a file's or folder's content, None where there is nothing."""
    if path in tree:
        return tree[path].oid
    lines = [f"{name} {blob.oid}" for name, blob in sorted(tree.items()) if name.startswith(f"{path}/")]
    return hashlib.sha1("\n".join(lines).encode(), usedforsecurity=False).hexdigest() if lines else None


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]
