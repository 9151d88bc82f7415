"""Asks what a client's two tokens may do."""

from __future__ import annotations

import httpx2

from service.domain.token_rights import TokenRights
from service.hub.account import rights_from_json
from service.hub.faults import connection_fault
from service.hub.paths import jobs_path
from service.hub.session import HubSession, check, read_json


class Tokens:
    """One call or two per method. Raises HubFault where Hugging Face does not say."""

    def __init__(self, session: HubSession, control_token: str, job_token: str) -> None:
        self._session = session
        self._control_token = control_token
        self._job_token = job_token

    def control_rights(self) -> TokenRights:
        """Of the token that starts jobs."""
        return rights_from_json(read_json(self._session.read("/api/whoami-v2", self._control_token)))

    def job_rights(self) -> TokenRights:
        """Of the token that jobs are given."""
        return rights_from_json(read_json(self._session.read("/api/whoami-v2", self._job_token)))

    def job_token_may_start_jobs(self, namespace: str) -> bool:
        """Whether the token that jobs are given could start jobs itself. `auth-check` decides, unless `whoami` lists
        the token's rights and this one is not among them; without `auth-check` only a listed right counts."""
        try:
            check_answer = self._session.send("POST", f"{jobs_path(namespace)}/auth-check/write", self._job_token)
            if check_answer.status_code in (401, 403):
                return False
            whoami = self._session.send("GET", "/api/whoami-v2", self._job_token)
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
        for answer in (check_answer, whoami):
            if answer.status_code >= 500 or answer.status_code in (408, 429):
                check(answer)
        listed = _lists_job_write(whoami, namespace)
        return check_answer.is_success if listed is None else listed


def _lists_job_write(answer: httpx2.Response, namespace: str) -> bool | None:
    """Whether a fine-grained token's listed rights hold `job.write` on a namespace; None for tokens without a list."""
    try:
        token = answer.json()["auth"]["accessToken"]
        if token["role"] == "read":
            return False
        scoped = token["fineGrained"]["scoped"]
        return any(one["entity"].get("name") == namespace and "job.write" in one["permissions"] for one in scoped)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
