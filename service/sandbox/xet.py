"""Xet storage: xorbs come in, then a shard that says how files are made of them; files of buckets go out.

Every file of a shard is put together at once and given to its repository or bucket, where commits, batches and
downloads find it. Nothing of a repository is ever downloaded by Xet: `resolve` does not offer it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from service.sandbox import xet_reads
from service.sandbox.accounts import Token
from service.sandbox.buckets import BucketFile
from service.sandbox.calls import Call
from service.sandbox.wire import Refusal, Request, Response, json_response
from service.sandbox.xet_formats import Segment, read_shard, read_xorb

TOKEN_SECONDS = 3600
T = TypeVar("T")


class Shelf(Protocol):
    """What files are uploaded to: a repository or a bucket."""

    @property
    def path(self) -> str:
        """The path of its page, no other's."""

    def receive(self, xet_hash: str, data: bytes) -> None:
        """Keep a file that was uploaded."""

    def stored(self, xet_hash: str) -> BucketFile | None:
        """The file to download."""


class XetStorage:
    """The chunks by xorb, and the short-lived tokens that stand for one repository or bucket each."""

    def __init__(self) -> None:
        self._xorbs: dict[str, list[bytes]] = {}
        self._shelves: dict[str, tuple[str, Shelf]] = {}
        self._born: int | None = None

    def write_token(self, call: Call) -> Response:
        """GET xet-write-token/{revision} of a repository; raises Refusal 401 or 403."""
        caller = call.signed_in() if call.flag("create_pr") else call.writer()
        return self.token(call.request, caller, "write", call.repo, call.now)

    def token(self, request: Request, caller: Token | None, right: str, shelf: Shelf, now: datetime) -> Response:
        """Where to go and with which token, to `read` or to `write`.

        The address holds the moment of the first such request: a client remembers what it has uploaded to an address,
        and must not take a new sandbox at the same port for the one that had it.
        """
        secret = f"{right} {caller.value if caller else ''} {shelf.path}"
        token = f"xet_{hashlib.sha256(secret.encode()).hexdigest()[:40]}"
        self._shelves[token] = (right, shelf)
        self._born = self._born or _milliseconds(now)
        url = f"{request.base_url}/sandbox/xet/{self._born}"
        expires = _milliseconds(now) // 1000 + TOKEN_SECONDS
        headers = {"x-xet-cas-url": url, "x-xet-access-token": token, "x-xet-token-expiration": str(expires)}
        return json_response({"casUrl": url, "accessToken": token, "exp": expires}, headers=headers)

    def handle(self, request: Request, born: str, parts: list[str]) -> Response | None:
        """A call below the address, `parts` being its path after /v1/; raises Refusal 400, 401, 404 or 416.

        None for no route: there is no newer /v2, from which hf_xet 1.8 falls back to /v1; no chunk is known beforehand.
        """
        match request.method, parts:
            case "POST", ["xorbs", _, name]:
                self._shelf("write", request.bearer)
                self._xorbs[name] = _read(read_xorb, request.body)
                return json_response({"was_inserted": True})
            case "POST", ["shards"]:
                shelf = self._shelf("write", request.bearer)
                for xet_hash, segments in _read(lambda shard: list(read_shard(shard)), request.body):
                    shelf.receive(xet_hash, b"".join(self._chunks(segment) for segment in segments))
                return json_response({"result": 1})
            case "GET", ["reconstructions", xet_hash]:
                file = _stored(self._shelf("read", request.bearer), xet_hash)
                # pieces are fetched without a token, so their address has it
                address = f"{request.base_url}/sandbox/xet/{born}/v1/pieces/{request.bearer}/{xet_hash}"
                return xet_reads.reconstruction(request, file, address)
            case "GET", ["pieces", token, xet_hash, number]:
                return xet_reads.piece(request, _stored(self._shelf("read", token), xet_hash), number)
        return None

    def _shelf(self, right: str, token: str | None) -> Shelf:
        known, shelf = self._shelves.get(token or "", (None, None))
        if shelf is None or known != right:
            raise Refusal(401, "Unknown Xet token")
        return shelf

    def _chunks(self, segment: Segment) -> bytes:
        chunks = self._xorbs.get(segment.xorb, [])[segment.first : segment.end]
        if not chunks or len(chunks) != segment.end - segment.first:
            raise Refusal(400, f"The shard needs chunks that were not uploaded, of xorb {segment.xorb}")
        return b"".join(chunks)


def _stored(shelf: Shelf, xet_hash: str) -> BucketFile:
    if (file := shelf.stored(xet_hash)) is None:
        raise Refusal(404, f"No file has Xet hash {xet_hash}")
    return file


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _read(reader: Callable[[bytes], T], body: bytes) -> T:
    try:
        return reader(body)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
