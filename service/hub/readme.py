"""Writes a model's README as the jobs' token. The only thing that the service itself commits to a repository."""

from __future__ import annotations

import httpx2
from huggingface_hub.errors import HfHubHTTPError

from service.hub.faults import HubUnavailable, connection_fault, refusal
from service.hub.session import UNREADABLE, HubSession

README = "README.md"


class Readme:
    """Reads and replaces one file; a commit is refused by the Hub where the repository has moved on meanwhile."""

    def __init__(self, session: HubSession, job_token: str) -> None:
        self._session = session
        self._job_token = job_token

    def read(self, repo: str, sha: str) -> str:
        """The README at a commit; empty where there is none. Raises HubFault."""
        try:
            answer = self._session.send("GET", f"/{repo}/resolve/{sha}/{README}", self._job_token, follow=True)
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
        if answer.status_code == 404:
            return ""
        if not answer.is_success:
            raise HubUnavailable(f"README.md could not be read (HTTP {answer.status_code})", answer.status_code)
        return answer.text

    def write(self, repo: str, text: str, parent: str, title: str) -> None:
        """One commit on top of `parent`. Raises HubFault."""
        from huggingface_hub import CommitOperationAdd, HfApi  # 7 MiB, and a tenth of a second of each start

        try:
            HfApi(endpoint=self._session.endpoint, token=self._job_token).create_commit(
                repo,
                [CommitOperationAdd(README, text.encode())],
                commit_message=title,
                parent_commit=parent,
            )
        except HfHubHTTPError as error:
            raise refusal(error) from None
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
        except UNREADABLE as error:  # the library's own validation of the card, or an answer that it cannot read
            raise HubUnavailable(f"README.md was not accepted ({type(error).__name__})") from None
