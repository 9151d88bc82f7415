"""Xet storage, as far as uploads need it: xorbs come in, then a shard that says how files are made of them.

Every file of a shard is put together at once and kept as a large file of its repository, where the commit and the
downloads find it. Nothing is ever downloaded by Xet: `resolve` does not offer it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from service.sandbox.calls import Call
from service.sandbox.repos import Repo
from service.sandbox.wire import Refusal, Request, Response, json_response
from service.sandbox.xet_formats import Segment, read_shard, read_xorb

TOKEN_SECONDS = 3600
T = TypeVar("T")


class XetStorage:
    """The chunks by xorb, and the short-lived tokens that stand for one repository each."""

    def __init__(self) -> None:
        self._xorbs: dict[str, list[bytes]] = {}
        self._repos: dict[str, Repo] = {}
        self._born: int | None = None

    def write_token(self, call: Call) -> Response:
        """GET xet-write-token/{revision}: where to upload and with which token; raises Refusal 401 or 403.

        The address holds the moment of the first such request: a client remembers what it has uploaded to an address,
        and must not take a new sandbox at the same port for the one that had it.
        """
        caller = call.signed_in() if call.flag("create_pr") else call.writer()
        secret = f"{caller.value} {call.repo.path}"
        token = f"xet_{hashlib.sha256(secret.encode()).hexdigest()[:40]}"
        self._repos[token] = call.repo
        self._born = self._born or _milliseconds(call.now)
        url = f"{call.request.base_url}/sandbox/xet/{self._born}"
        expires = _milliseconds(call.now) // 1000 + TOKEN_SECONDS
        headers = {"x-xet-cas-url": url, "x-xet-access-token": token, "x-xet-token-expiration": str(expires)}
        return json_response({"casUrl": url, "accessToken": token, "exp": expires}, headers=headers)

    def handle(self, request: Request, parts: list[str]) -> Response | None:
        """A POST below the address, `parts` being its path after /v1/; raises Refusal 400 or 401, None for no route.

        There is no newer /v2/shards: hf_xet 1.8 falls back to /v1. No chunk is known beforehand.
        """
        match parts:
            case ["xorbs", _, name]:
                self._repo(request)
                self._xorbs[name] = _read(read_xorb, request.body)
                return json_response({"was_inserted": True})
            case ["shards"]:
                repo = self._repo(request)
                for segments in _read(lambda shard: list(read_shard(shard)), request.body):
                    data = b"".join(self._chunks(segment) for segment in segments)
                    repo.lfs[hashlib.sha256(data).hexdigest()] = data
                return json_response({"result": 1})
        return None

    def _repo(self, request: Request) -> Repo:
        if (repo := self._repos.get(request.bearer or "")) is None:
            raise Refusal(401, "Unknown Xet token")
        return repo

    def _chunks(self, segment: Segment) -> bytes:
        chunks = self._xorbs.get(segment.xorb, [])[segment.first : segment.end]
        if not chunks or len(chunks) != segment.end - segment.first:
            raise Refusal(400, f"The shard needs chunks that were not uploaded, of xorb {segment.xorb}")
        return b"".join(chunks)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _read(reader: Callable[[bytes], T], body: bytes) -> T:
    try:
        return reader(body)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
