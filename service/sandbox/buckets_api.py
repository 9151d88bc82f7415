"""The routes below /api/buckets/ and /buckets/ (huggingface_hub 2.4.0 hf_api.py, `create_bucket` and those after it).

Rights are those of repositories: `repo.write` on the namespace to write, `repo.content.read` to read a private bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from service.sandbox import bucket_files
from service.sandbox.accounts import Accounts
from service.sandbox.bucket_files import BucketCall
from service.sandbox.bucket_shelf import BucketShelf, describe
from service.sandbox.calls import json_fields
from service.sandbox.wire import Refusal, Request, Response, json_response
from service.sandbox.xet import XetStorage

VERBS: dict[tuple[str, str], Callable[[BucketCall], Response]] = {
    ("GET", "tree"): bucket_files.list_tree,
    ("POST", "paths-info"): bucket_files.paths_info,
    ("POST", "batch"): bucket_files.batch,
}


class BucketsApi:
    """Answers about the buckets of a shelf."""

    def __init__(self, accounts: Accounts, shelf: BucketShelf, xet: XetStorage) -> None:
        self._accounts = accounts
        self._shelf = shelf
        self._xet = xet

    def handle(self, request: Request, parts: list[str], now: datetime) -> Response | None:
        """The answer to a call, `parts` being its path after /api/buckets/; None where there is no such route."""
        match request.method, parts:
            case "GET", [namespace]:
                return self._shelf.listing(request, namespace)
            case _, [_]:
                raise Refusal(404, "Bucket not found", "RepoNotFound")
            case "POST", [namespace, name]:
                return self._shelf.create(request, namespace, name, now)
            case "DELETE", [namespace, name]:
                return self._shelf.delete(request, namespace, name)
            case "GET", [_, _]:
                return json_response(describe(self._call(request, parts).bucket))
            case "PUT", [_, _, "settings"]:
                return self._settings(self._call(request, parts))
            case "GET", [_, _, ("xet-read-token" | "xet-write-token") as verb]:
                call = self._call(request, parts)
                if verb == "xet-write-token":
                    return self._xet.token(request, call.writer(), "write", call.bucket, now)
                return self._xet.token(request, call.caller, "read", call.bucket, now)
            case method, [_, _, verb, *_] if (method, verb) in VERBS:
                return VERBS[method, verb](self._call(request, parts))
        return None

    def download(self, request: Request, namespace: str, name: str, path: list[str]) -> Response:
        """GET or HEAD /buckets/{namespace}/{name}/resolve/{path}."""
        return bucket_files.resolve(self._call(request, [namespace, name, "resolve", *path]))

    def _call(self, request: Request, parts: list[str]) -> BucketCall:
        caller = self._accounts.optional_token(request)
        bucket = self._shelf.visible("/".join(parts[:2]), caller)
        rest = "/".join(parts[3:])
        if rest and request.path.endswith("/"):
            rest += "/"  # a prefix may end so
        return BucketCall(request, bucket, caller, self._shelf, rest)

    def _settings(self, call: BucketCall) -> Response:
        """PUT settings: `private`; raises Refusal 400, 401 or 403."""
        call.writer()
        private = json_fields(call.request).get("private")
        if not isinstance(private, bool):
            raise Refusal(400, "`private` must be true or false")
        call.bucket.private = private
        return json_response({"private": private})
