"""Buckets: where jobs keep what is no model yet. Made, listed and deleted with the jobs' token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import httpx2
from huggingface_hub import BucketFile, HfApi
from huggingface_hub.errors import BucketNotFoundError, HfHubHTTPError

from service.hub.faults import HubUnavailable, connection_fault, refusal

T = TypeVar("T")
MOST_FILES = 20_000


class Buckets:
    """One call per method. Raises HubFault."""

    def __init__(self, repos: HfApi) -> None:
        self._repos = repos

    def make(self, bucket: str) -> None:
        """A private bucket, if it is not there already."""
        _told(lambda: self._repos.create_bucket(bucket, private=True, exist_ok=True))

    def files(self, bucket: str) -> list[tuple[str, int]] | None:
        """Paths and bytes of what it holds; None where there is no such bucket."""

        def read() -> list[tuple[str, int]] | None:
            found = []
            try:
                for one in self._repos.list_bucket_tree(bucket, recursive=True):
                    if isinstance(one, BucketFile):
                        found.append((one.path, one.size))
                    if len(found) > MOST_FILES:
                        raise HubUnavailable(f"{bucket} holds more than {MOST_FILES} files")
            except BucketNotFoundError:
                return None
            return found

        return _told(read)

    def delete(self, bucket: str) -> None:
        """With all that it holds; one that is gone needs no deleting."""
        _told(lambda: self._repos.delete_bucket(bucket, missing_ok=True))


def _told(call: Callable[[], T]) -> T:
    try:
        return call()
    except HfHubHTTPError as error:
        raise refusal(error) from None
    except httpx2.HTTPError as error:
        raise connection_fault(error) from None
    except ValueError as error:  # the library's own validation, or an answer that it cannot read
        raise HubUnavailable(f"the bucket could not be read ({type(error).__name__})") from None
