"""All buckets of the sandbox: created, described, listed, deleted. They live as long as the sandbox does."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from service.sandbox.accounts import Accounts, Token
from service.sandbox.buckets import Bucket
from service.sandbox.calls import json_fields
from service.sandbox.catalog import NAME
from service.sandbox.wire import Refusal, Request, Response, json_response, timestamp


class BucketShelf:
    """The buckets by id, their files in a folder of the shelf's own below `folder` (None: the system's temporary one).

    The folder is made with the first bucket and removed by `close`, or with the shelf; `keep` leaves it.
    """

    def __init__(self, accounts: Accounts, folder: Path | None = None, keep: bool = False) -> None:
        self._accounts = accounts
        self._below = folder
        self._keep = keep
        self._folder: Path | None = None
        self._remove: Callable[[], object] = lambda: None
        self._buckets: dict[str, Bucket] = {}
        self._made = 0

    def find(self, bucket_id: str) -> Bucket | None:
        """The bucket, whoever may see it, or None."""
        return self._buckets.get(bucket_id)

    def visible(self, bucket_id: str, caller: Token | None) -> Bucket:
        """The bucket; raises Refusal 404, also for a private one of others, and 401 to an anonymous caller for both.

        The client's own tests of the real service await these (huggingface_hub tests/test_buckets.py).
        """
        bucket = self.find(bucket_id)
        if bucket is None or (bucket.private and not sees_private(caller, bucket)):
            if caller is None:
                raise Refusal(401, "Invalid username or password.", "RepoNotFound")
            raise Refusal(404, "Bucket not found", "RepoNotFound")
        return bucket

    def create(self, request: Request, namespace: str, name: str, now: datetime) -> Response:
        """POST /api/buckets/{namespace}/{name}; raises Refusal 400, 401, 403, or 409 whose body has the `url`."""
        caller = self._accounts.token(request)
        bucket_id = f"{self._meant(namespace, caller)}/{name}"
        self.require_rights(caller, bucket_id)
        fields = json_fields(request) if request.body else {}
        if not NAME.fullmatch(name):
            raise Refusal(400, f"Invalid bucket name: {name}")
        url = f"{request.base_url}/buckets/{bucket_id}"
        if bucket_id in self._buckets:
            raise Refusal(409, f"You already created this bucket: {bucket_id}", extra={"url": url})
        private = fields.get("visibility") == "private" or fields.get("private") is True
        self.add(bucket_id, now, private=private)
        return json_response({"url": url, "name": bucket_id, "id": bucket_id})

    def add(self, bucket_id: str, now: datetime, private: bool = False) -> Bucket:
        """Make an empty bucket, without a request."""
        self._made += 1
        # a folder of its own each: what a running job still writes to a deleted bucket is in no later one
        folder = self._home() / f"{self._made}" / bucket_id
        folder.mkdir(parents=True)
        bucket = self._buckets[bucket_id] = Bucket(bucket_id, folder, now, private)
        return bucket

    def delete(self, request: Request, namespace: str, name: str) -> Response:
        """DELETE /api/buckets/{namespace}/{name}, with all files; raises Refusal 401, 403 or 404."""
        caller = self._accounts.token(request)
        bucket = self.visible(f"{self._meant(namespace, caller)}/{name}", caller)
        self.require_rights(caller, bucket.id)
        del self._buckets[bucket.id]
        shutil.rmtree(bucket.folder, ignore_errors=True)
        return json_response({})

    def listing(self, request: Request, namespace: str) -> Response:
        """GET /api/buckets/{namespace}: those that the caller may see, by `search`; raises Refusal 401 or 404."""
        caller = self._accounts.optional_token(request)
        namespace = self._meant(namespace, caller)
        self._accounts.id_of(namespace)
        search = (request.query("search") or [""])[-1].lower()
        found = [
            bucket
            for bucket in self._buckets.values()
            if bucket.namespace == namespace
            and search in bucket.id.partition("/")[2].lower()
            and (not bucket.private or sees_private(caller, bucket))
        ]
        return json_response([describe(bucket) for bucket in found])

    def require_rights(self, caller: Token, bucket_id: str) -> None:
        """Let pass who may write in the bucket's namespace; raises Refusal 403."""
        namespace = bucket_id.partition("/")[0]
        if not caller.may("repo.write", namespace):
            raise Refusal(403, f'You don\'t have the rights to write a bucket under the namespace "{namespace}"')

    def close(self) -> None:
        """Remove the folder with everything in it."""
        self._remove()

    def _home(self) -> Path:
        if self._folder is None:
            if self._below:
                self._below.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="buckets-", dir=self._below)).resolve()
            if not self._keep:
                self._remove = weakref.finalize(self, shutil.rmtree, self._folder, True)
        return self._folder

    def _meant(self, namespace: str, caller: Token | None) -> str:
        """The namespace: `me` is the caller's own (huggingface_hub 2.4.0 hf_api.py, `create_bucket`)."""
        if namespace != "me":
            return namespace
        if caller is None:
            raise Refusal(401, "Invalid username or password.")
        return caller.user.name


def describe(bucket: Bucket) -> dict[str, Any]:
    """A bucket as the API shows it (huggingface_hub 2.4.0 `BucketInfo`; hf-mount reads `updatedAt`)."""
    files = bucket.files()
    return {
        "id": bucket.id,
        "private": bucket.private,
        "createdAt": timestamp(bucket.created_at),
        "updatedAt": timestamp(max([bucket.created_at, *(file.changed_at for file in files)])),
        "size": sum(file.size for file in files),
        "totalFiles": len(files),
    }


def sees_private(caller: Token | None, bucket: Bucket) -> bool:
    """Whether a caller may read a private bucket, which for all others does not exist."""
    return caller is not None and caller.may("repo.content.read", bucket.namespace)
