"""Before a commit: how each file should travel, and the storage for those that travel by LFS."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from service.sandbox.calls import Call, text_field
from service.sandbox.gitignore import Gitignore
from service.sandbox.repos import PREFIXES, Repo
from service.sandbox.wire import Refusal, Request, Response, json_response

SHA256 = re.compile(r"[0-9a-f]{64}")
# The Hub takes no larger file within a commit (its docs, "Repository limitations": 10 MB without LFS).
MOST_REGULAR_BYTES = 10 * 2**20
LFS_JSON = {"content-type": "application/vnd.git-lfs+json"}


def preupload(call: Call) -> Response:
    """POST preupload/{revision}: the way each file should take, and the name of its present content.

    Files are asked for inside the commit (`regular`), which needs the fewest requests, but for a few kinds. datasets
    5.2 deletes each parquet file after this answer, before the commit (arrow_dataset.py), so those must go ahead of
    it: `lfs`, as in reality, as must files of more than 10 MiB. And a repository can be told to ask for all files so.
    Clients send `lfs` files to Xet storage where hf_xet is installed and not disabled, else by LFS (huggingface_hub
    2.4.0 _commit_api.py).
    `oid` lets the client drop unchanged files: git's name of the content for regular files, its sha256 for LFS.
    """
    if call.flag("create_pr"):
        call.signed_in()
    else:
        call.writer()
    tree = call.repo.refs[call.repo.writable_ref(call.rest)].tree
    fields = call.fields()
    ignored = fields.get("gitIgnore")
    if not isinstance(ignored, str):
        ignored = tree[".gitignore"].data.decode(errors="replace") if ".gitignore" in tree else ""
    rules = Gitignore(ignored)
    answers = []
    for file in _objects(fields, "files"):
        path = text_field(file, "path")
        now = tree.get(path)
        size = file.get("size")
        is_large = isinstance(size, int) and size > MOST_REGULAR_BYTES
        lfs = call.repo.asks_for_lfs or is_large or path.endswith(".parquet")
        answer = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": rules.match(path)}
        if now is not None:
            answer["oid"] = now.sha256 if lfs else now.content_oid
        answers.append(answer)
    return json_response({"files": answers})


def lfs_batch(call: Call) -> Response:
    """POST {repo}.git/info/lfs/objects/batch: where to put each large file; none for those that are there.

    No `chunk_size` is offered, so that the client sends each file in one piece (huggingface_hub 2.4.0 lfs.py).
    """
    call.writer()
    fields = call.fields()
    if fields.get("operation") != "upload":
        raise Refusal(400, "The sandbox serves LFS uploads only; download by `resolve`")
    objects = [_announce(call, item) for item in _objects(fields, "objects")]
    return json_response({"transfer": "basic", "objects": objects}, headers=LFS_JSON)


def lfs_verify(call: Call) -> Response:
    """POST {repo}.git/info/lfs/objects/verify: whether a large file arrived whole; raises Refusal 404."""
    call.writer()
    fields = call.fields()
    data = call.repo.lfs.get(text_field(fields, "oid"))
    if data is None or len(data) != fields.get("size"):
        raise Refusal(404, "The object was not uploaded")
    return json_response({})


def lfs_put(repo: Repo, oid: str, request: Request) -> Response:
    """PUT of a large file. The client sends no token here: an announcement by one who may write is the permission.

    Raises Refusal 403 for a file that no batch request announced, 400 for one that is not what was announced.
    """
    if oid not in repo.announced:
        raise Refusal(403, "No batch request announced this object")
    if len(request.body) != repo.announced[oid] or hashlib.sha256(request.body).hexdigest() != oid:
        raise Refusal(400, "The content does not match the announced oid and size")
    repo.lfs[oid] = request.body
    del repo.announced[oid]
    return Response(200)


def _announce(call: Call, item: dict[str, Any]) -> dict[str, Any]:
    oid, size = text_field(item, "oid"), item.get("size")
    if not SHA256.fullmatch(oid) or not isinstance(size, int) or size < 0:
        raise Refusal(400, "An object needs a sha256 `oid` and a `size`")
    if oid in call.repo.lfs:
        return {"oid": oid, "size": size}
    call.repo.announced[oid] = size
    base = call.request.base_url
    put = f"{base}/sandbox/lfs/{call.repo.kind}s/{call.repo.id}/{oid}"
    verify = f"{base}/{PREFIXES[call.repo.kind]}{call.repo.id}.git/info/lfs/objects/verify"
    return {"oid": oid, "size": size, "actions": {"upload": {"href": put}, "verify": {"href": verify}}}


def _objects(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = fields.get(name)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Refusal(400, f"`{name}` must be a list of objects")
    return items
