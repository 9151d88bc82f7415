"""Buckets: where jobs keep what is no model yet. Made, listed and deleted with the jobs' token.

Read here as raw JSON, as huggingface_hub's own pages sleep within on a 429.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from service.hub.faults import HubRefused, HubUnavailable, connection_fault
from service.hub.session import HubSession, check, read_json

MOST_PAGES = 50  # of a thousand entries each


class Buckets:
    """One call per method, and one per page of a list. Raises HubFault."""

    def __init__(self, session: HubSession, job_token: str) -> None:
        self._session = session
        self._job_token = job_token

    def make(self, bucket: str) -> None:
        """A private bucket, if it is not there already. Raises HubRefused where there is one that others may read."""
        if self._send("POST", bucket, {"visibility": "private"}, is_well=409) == 409:
            there = read_json(self._session.read(f"/api/buckets/{bucket}", self._job_token))
            if not isinstance(there, dict) or there.get("private") is not True:
                raise HubRefused(f"the bucket {bucket} is there already, and is not private")

    def files(self, bucket: str) -> list[tuple[str, int]] | None:
        """Paths and bytes of what it holds; None where there is no such bucket."""
        try:
            return [(one["path"], one["size"]) for one in self._entries(bucket) if one["type"] == "file"]
        except HubRefused as error:
            if error.status == 404:
                return None
            raise
        except (KeyError, TypeError):
            raise HubUnavailable("a list of files that is none") from None

    def delete(self, bucket: str) -> None:
        """With all that it holds; one that is gone needs no deleting."""
        self._send("DELETE", bucket, None, is_well=404)

    def _entries(self, bucket: str) -> Iterator[dict[str, Any]]:
        for page in self._session.pages(f"/api/buckets/{bucket}/tree?recursive=true", self._job_token, MOST_PAGES):
            yield from read_json(page)

    def _send(self, method: str, bucket: str, body: dict[str, Any] | None, is_well: int) -> int:
        try:
            response = self._session.send(method, f"/api/buckets/{bucket}", self._job_token, body)
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
        if response.status_code != is_well:
            check(response)
        return response.status_code
