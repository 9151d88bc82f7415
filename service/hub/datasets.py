"""Private dataset repositories for uploaded files: made, filled, read and deleted with the jobs' token.

What is sent goes by huggingface_hub, which knows how large files travel; a file is given by its path, so that no more
than a part of it is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from service.hub.faults import HubRefused, HubUnavailable, connection_fault, refusal
from service.hub.session import UNREADABLE, HubSession, check, headers

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")
KIND = "dataset"


@dataclass(frozen=True)
class Head:
    """The newest commit of a repository, and its files with their sizes in bytes."""

    sha: str
    files: Mapping[str, int | None]


class Datasets:
    """One repository per method. Raises HubFault."""

    def __init__(self, session: HubSession, job_token: str) -> None:
        self._session = session
        self._job_token = job_token

    def make(self, repo: str) -> Head:
        """A private repository, if it is not there already, and what it holds. Raises HubRefused where there is one
        that others may read."""
        _told(lambda: self._repos().create_repo(repo, repo_type=KIND, private=True, exist_ok=True))
        head, is_private = self._state(repo)
        if not is_private:
            raise HubRefused(f"the dataset {repo} is there already, and is not private")
        return head

    def head(self, repo: str) -> Head:
        """What a repository holds."""
        return self._state(repo)[0]

    def put(
        self, repo: str, files: Mapping[str, Path | bytes], parent: str, title: str, without: Sequence[str] = ()
    ) -> str:
        """One commit on top of `parent` with these files, and without those; its sha. Refused by the Hub where the
        repository has moved on meanwhile."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        put = [CommitOperationAdd(name, file) for name, file in files.items()]
        gone = [CommitOperationDelete(name) for name in without]
        made = _told(
            lambda: self._repos().create_commit(
                repo, [*put, *gone], repo_type=KIND, commit_message=title, parent_commit=parent
            )
        )
        return made.oid

    def delete(self, repo: str) -> None:
        """With all that it holds; one that is gone needs no deleting."""
        _told(lambda: self._repos().delete_repo(repo, repo_type=KIND, missing_ok=True))

    def read(self, repo: str, sha: str, name: str, most: int) -> Iterator[bytes]:
        """A file's content at a commit, in parts, `most` bytes at most. Redirects are followed: files lie elsewhere,
        and the token does not go there."""
        url = f"{self._session.endpoint}/datasets/{repo}/resolve/{sha}/{name}"
        given = 0
        try:
            with self._session.streaming.stream(
                "GET", url, headers=headers(self._job_token), follow_redirects=True
            ) as answer:
                if not answer.is_success:
                    answer.read()
                    check(answer)
                for part in answer.iter_bytes():
                    given += len(part)
                    if given > most:
                        raise HubUnavailable(f"{name} is larger than it was")
                    yield part
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None

    def _repos(self) -> HfApi:
        from huggingface_hub import HfApi  # 7 MiB, and a tenth of a second of each start

        return HfApi(endpoint=self._session.endpoint, token=self._job_token)

    def _state(self, repo: str) -> tuple[Head, bool]:
        info = _told(
            lambda: self._repos().dataset_info(repo, files_metadata=True, timeout=self._session.timeout_seconds)
        )
        if info.sha is None:
            raise HubUnavailable("a repository without a commit")
        return Head(info.sha, {one.rfilename: one.size for one in info.siblings or ()}), bool(info.private)


def _told(call: Callable[[], T]) -> T:
    try:
        return call()
    except RepositoryNotFoundError as error:
        raise HubRefused("there is no such repository, or this token does not see it", 404) from error
    except HfHubHTTPError as error:
        raise refusal(error) from None
    except httpx2.HTTPError as error:
        raise connection_fault(error) from None
    except UNREADABLE as error:  # the library's own validation, or an answer that it cannot read
        raise HubUnavailable(f"an answer that cannot be read ({type(error).__name__})") from None
    except (OSError, RuntimeError) as error:  # of the storage behind large files, which is no client of ours
        raise HubUnavailable(f"the file was not taken ({type(error).__name__})") from None
