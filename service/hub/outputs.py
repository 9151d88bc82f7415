"""Reads what jobs have published, as the jobs' token: a repository's commits and the small files of one."""

from __future__ import annotations

from service.domain.model_files import MAX_DOCUMENT_BYTES
from service.domain.publication import Commit
from service.hub.downloads import Downloads
from service.hub.faults import HubRefused
from service.hub.models import commits_from_json
from service.hub.session import HubSession, read_json

MOST_COMMITS = 100


class Outputs:
    """One call per method."""

    def __init__(self, session: HubSession, job_token: str) -> None:
        self._session = session
        self._job_token = job_token
        self._downloads = Downloads(session, job_token)

    def commits(self, repo: str) -> tuple[Commit, ...] | None:
        """The last commits of a model's main branch, newest first; None where this endpoint does not list them, or not
        to this token. Raises HubUnavailable."""
        path = f"/api/models/{repo}/commits/main?limit={MOST_COMMITS}"
        try:
            return commits_from_json(read_json(self._session.read(path, self._job_token, follow=True)))
        except (HubRefused, ValueError, RecursionError):
            return None

    def document(self, repo: str, sha: str, name: str) -> bytes | None:
        """A file at the top of a model repository; None where it is larger than is read. Raises HubFault."""
        return self._downloads.no_larger(f"{repo}/resolve/{sha}/{name}", MAX_DOCUMENT_BYTES)
