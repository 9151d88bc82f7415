"""Downloads by Xet: a file of a bucket, told as pieces that a client fetches and unpacks (huggingface.co/docs/xet).

Nothing is stored for it: a piece is a stretch of the file that is packed as a xorb, uncompressed, when it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from service.sandbox.buckets import BucketFile
from service.sandbox.downloads import part_wanted
from service.sandbox.wire import Refusal, Request, Response, json_response

CHUNK = 64 * 1024  # what Xet aims at
CHUNK_HEADER = 8
PIECE = 256 * CHUNK


def reconstruction(request: Request, file: BucketFile, address: str) -> Response:
    """GET reconstructions/{hash}: the pieces of a file, or of the part in the Range header; raises Refusal 416.

    A piece is fetched at `address` and its number.
    """
    part = part_wanted(request.headers.get("range", ""), file.size) or range(file.size)
    terms, fetched = [], {}
    for number in range(part.start // PIECE, -(-part.stop // PIECE)):
        stretch = range(number * PIECE, min((number + 1) * PIECE, file.size))
        name = hashlib.sha256(f"{file.xet_hash} {number}".encode()).hexdigest()
        chunks = {"start": 0, "end": len(list(_chunks(stretch)))}
        packed = len(stretch) + CHUNK_HEADER * chunks["end"]
        terms.append({"hash": name, "unpacked_length": len(stretch), "range": chunks})
        whole = {"start": 0, "end": packed - 1}
        fetched[name] = [{"range": chunks, "url": f"{address}/{number}", "url_range": whole}]
    skipped = part.start % PIECE if terms else 0
    return json_response({"offset_into_first_range": skipped, "terms": terms, "fetch_info": fetched})


def piece(request: Request, file: BucketFile, number: str) -> Response:
    """GET of one piece, or of the part in the Range header; raises Refusal 404 or 416."""
    first = int(number) * PIECE if number.isascii() and number.isdigit() and len(number) < 9 else file.size
    stretch = range(first, min(first + PIECE, file.size))
    if not stretch:
        raise Refusal(404, "The file has no such piece")
    packed = b"".join(_header(len(chunk)) + file.read(chunk) for chunk in _chunks(stretch))
    part = part_wanted(request.headers.get("range", ""), len(packed))
    if part is None:
        return Response(200, {}, packed)
    told = f"bytes {part.start}-{part.stop - 1}/{len(packed)}"
    return Response(206, {"content-range": told}, packed[part.start : part.stop])


def _chunks(stretch: range) -> Iterator[range]:
    for start in range(stretch.start, stretch.stop, CHUNK):
        yield range(start, min(start + CHUNK, stretch.stop))


def _header(size: int) -> bytes:
    """A chunk's header: version 0, stored length, scheme 0 (as it is), plain length (xet_formats.py reads the same)."""
    return b"\0" + size.to_bytes(3, "little") + b"\0" + size.to_bytes(3, "little")
