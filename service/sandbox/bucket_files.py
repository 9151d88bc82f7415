"""What a bucket holds: listed, looked up, downloaded, changed by batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from service.sandbox.accounts import Token
from service.sandbox.bucket_shelf import BucketShelf
from service.sandbox.buckets import Bucket, BucketFile
from service.sandbox.calls import is_on, json_fields, text_field
from service.sandbox.downloads import part_wanted
from service.sandbox.wire import Refusal, Request, Response, json_response, timestamp

PAGE, MOST = 1000, 10_000  # hf-mount asks for pages of 10,000; what the real service gives unasked is not documented


@dataclass(frozen=True)
class BucketCall:
    """A request about a bucket that its caller may see. `rest` is the decoded path after the verb."""

    request: Request
    bucket: Bucket
    caller: Token | None
    shelf: BucketShelf
    rest: str = ""

    def writer(self) -> Token:
        """The caller, who may change the bucket; raises Refusal 401 or 403."""
        if self.caller is None:
            raise Refusal(401, "Invalid username or password.", "RepoNotFound")
        self.shelf.require_rights(self.caller, self.bucket.id)
        return self.caller


def list_tree(call: BucketCall) -> Response:
    """GET tree[/{prefix}]: files and folders one level below, with `recursive` all files and no folders.

    The prefix is one of text, so `logs` finds `logs2/a.txt` too, and one that nothing begins with is an empty list
    (huggingface_hub 2.4.0 hf_file_system.py, `_list_bucket_tree_with_folders`). `Link` leads to the next page.
    """
    files = [file for file in call.bucket.files() if file.path.startswith(call.rest)]
    entries = {file.path: _entry(file) for file in files}
    if not is_on(call.request.query("recursive")):
        entries = dict(_one_level(files, len(call.rest.strip("/").split("/")) if call.rest.strip("/") else 0))
    after = (call.request.query("cursor") or [""])[-1]
    names = sorted(name for name in entries if name > after)
    limit = (call.request.query("limit") or [str(PAGE)])[-1]
    size = min(int(limit), MOST) if limit.isascii() and limit.isdigit() and len(limit) < 9 and int(limit) else PAGE
    headers = {}
    if len(names) > size:
        query = [(name, value) for name in ("recursive", "limit") for value in call.request.query(name)]
        query.append(("cursor", names[size - 1]))
        below = f"/{quote(call.rest, safe='')}" if call.rest else ""
        page = f"{call.request.base_url}/api/{call.bucket.path}/tree{below}"
        headers["link"] = f'<{page}?{urlencode(query, errors="surrogateescape")}>; rel="next"'
    return json_response([entries[name] for name in names[:size]], headers=headers)


def paths_info(call: BucketCall) -> Response:
    """POST paths-info: the entries among the named paths that are files."""
    paths = json_fields(call.request).get("paths")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise Refusal(400, "`paths` must be a list of strings")
    return json_response([_entry(file) for path in paths if (file := call.bucket.find(path))])


def resolve(call: BucketCall) -> Response:
    """HEAD or GET /buckets/{id}/resolve/{path}; raises Refusal 404 EntryNotFound, 416.

    The real one redirects a GET to its storage; here the file comes directly.
    """
    if (file := call.bucket.find(call.rest)) is None:
        raise Refusal(404, "Entry not found", "EntryNotFound")
    headers = {
        "etag": f'"{file.xet_hash}"',
        "accept-ranges": "bytes",
        "content-type": "application/octet-stream",
        "x-linked-size": str(file.size),
        "x-linked-etag": f'"{file.xet_hash}"',
        "x-xet-hash": file.xet_hash,
        "x-xet-refresh-route": f"{call.request.base_url}/api/{call.bucket.path}/xet-read-token",
    }
    status, part = 200, part_wanted(call.request.headers.get("range", ""), file.size)
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
        status = 206
    part = part if part is not None else range(file.size)
    headers["content-length"] = str(len(part))
    return Response(status, headers, b"" if call.request.method == "HEAD" else file.read(part))


def batch(call: BucketCall) -> Response:
    """POST batch: each ndjson line on its own; what fails is listed, with 422 where nothing succeeded.

    Lines as huggingface_hub 2.4.0 sends them (hf_api.py, `_batch_bucket_files`). That a deletion of what is not there
    fails is assumed.
    """
    call.writer()
    lines = list(_lines(call.request.body))
    failed = []
    for line in lines:
        path = text_field(line, "path")
        try:
            _apply(call, path, line)
        except Refusal as refusal:
            failed.append({"path": path, "error": refusal.message})
        except (OSError, ValueError) as error:
            failed.append({"path": path, "error": getattr(error, "strerror", None) or "Invalid path"})
    done = len(lines) - len(failed)
    answer = {"success": not failed, "processed": len(lines), "succeeded": done, "failed": failed}
    return json_response(answer, status=422 if failed and not done else 200)


def _apply(call: BucketCall, path: str, line: dict[str, Any]) -> None:
    match line.get("type"):
        case "deleteFile":
            if (file := call.bucket.find(path)) is None:
                raise Refusal(404, "File not found")
            call.bucket.remove(file)
        case "addFile" | "copyFile" as kind:
            source = call.bucket
            if kind == "copyFile":
                if line.get("sourceRepoType") != "bucket":
                    raise Refusal(400, "The sandbox copies from buckets only")
                source = call.shelf.visible(text_field(line, "sourceRepoId"), call.caller)
            call.bucket.write(path, _content(source, text_field(line, "xetHash")), line.get("mtime"))
        case kind:
            raise Refusal(400, f"Unknown operation: {kind}")


def _content(bucket: Bucket, xet_hash: str) -> bytes:
    """What a Xet hash names: a file that was just uploaded, or one that is there; Xet's hash of nothing is zeros."""
    if not xet_hash.strip("0"):
        return b""
    if xet_hash in bucket.received:
        return bucket.received[xet_hash]
    if (file := bucket.stored(xet_hash)) is None:
        raise Refusal(404, f"No file was uploaded with Xet hash {xet_hash}")
    return file.read(range(file.size))


def _one_level(files: list[BucketFile], depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Entries with one more part than the prefix has; a folder is as young as its youngest file."""
    youngest: dict[str, BucketFile] = {}
    for file in files:
        parts = file.path.split("/")
        if len(parts) <= depth + 1:
            yield file.path, _entry(file)
            continue
        folder = "/".join(parts[: depth + 1])
        youngest[folder] = max(file, youngest.get(folder, file), key=lambda one: one.changed_at)
    for folder, file in youngest.items():
        yield folder, {"type": "directory", "path": folder, "uploadedAt": timestamp(file.changed_at)}


def _entry(file: BucketFile) -> dict[str, Any]:
    changed = timestamp(file.changed_at)
    return {
        "type": "file",
        "path": file.path,
        "size": file.size,
        "xetHash": file.xet_hash,
        "mtime": changed,
        "uploadedAt": changed,
    }


def _lines(body: bytes) -> Iterator[dict[str, Any]]:
    for raw in filter(None, body.splitlines()):
        try:
            line = json.loads(raw)
        except ValueError as error:
            raise Refusal(400, f"A line of the batch is not JSON: {error}") from error
        if not isinstance(line, dict):
            raise Refusal(400, "Each line of a batch must be an object")
        yield line
