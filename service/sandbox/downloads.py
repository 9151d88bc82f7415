"""Downloading: `resolve` answers HEAD and GET of one file at one revision, whole or in part."""

from __future__ import annotations

import re

from service.sandbox.calls import Call
from service.sandbox.wire import Refusal, Response

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def resolve(call: Call) -> Response:
    """HEAD or GET resolve/{revision}/{path}; raises Refusal 404 RevisionNotFound or EntryNotFound, 401/403, 416.

    The client needs X-Repo-Commit, a quoted ETag and Content-Length on HEAD, and remembers an absent file by the
    X-Repo-Commit of the 404 (huggingface_hub 2.4.0 file_download.py). No X-Xet-Hash is sent, so that clients with
    Xet on download over plain http. A real LFS file answers with a redirect to a CDN; here it comes directly.
    """
    commit, path = call.repo.split(call.rest)
    call.require_contents()
    headers = {"x-repo-commit": commit.sha}
    if (blob := commit.tree.get(path)) is None:
        raise Refusal(404, "Entry not found", "EntryNotFound", headers=headers)
    size = len(blob.data)
    headers |= {"etag": f'"{blob.etag}"', "accept-ranges": "bytes", "content-type": "application/octet-stream"}
    if blob.in_lfs:
        headers |= {"x-linked-etag": f'"{blob.etag}"', "x-linked-size": str(size)}
    status, body = 200, blob.data
    if (part := part_wanted(call.request.headers.get("range", ""), size)) is not None:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        status, body = 206, blob.data[part.start : part.stop]
    headers["content-length"] = str(len(body))
    return Response(status, headers, b"" if call.request.method == "HEAD" else body)


def part_wanted(header: str, size: int) -> range | None:
    """The bytes that a Range header asks for, None for the whole file (RFC 9110, 14.2: other forms are ignored)."""
    match = RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first:
        part = range(int(first), min(int(last) + 1, size) if last else size)
    else:
        part = range(max(size - int(last), 0), size)
    if not part:
        raise Refusal(416, "Range not satisfiable", headers={"content-range": f"bytes */{size}"})
    return part
