"""Hugging Face: headers and error classes are huggingface_hub's own; the Jobs endpoints are read here as raw JSON,
because its JobInfo drops `cancelReason` and `timeout`, and a paid job must not be lost to a field that it cannot parse.
So are repositories; what is committed to them goes by its HfApi (`readme.py`, `datasets.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx2
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import hf_raise_for_status, set_client_factory

from service.domain.job import JobSpec
from service.domain.volume import Volume
from service.hub.buckets import Buckets
from service.hub.datasets import Datasets
from service.hub.faults import HubRefused, HubUnavailable, HubUnclear, connection_fault, create_fault, refusal
from service.hub.lookup import Lookup
from service.hub.models import Job, RepoState, bills_from_json, job_from_json, repo_from_json
from service.hub.outputs import Outputs
from service.hub.paths import JOB_ID, job_path, jobs_path, model_path
from service.hub.readme import Readme
from service.hub.session import UNREADABLE, HubSession, check, read_json
from service.hub.streams import Streams
from service.hub.tokens import Tokens

MAX_PAGES = 1000
NOTHING_WAS_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class HubClient:
    """Talks to one Hugging Face endpoint: with the control token about jobs, with the jobs' own about repositories."""

    def __init__(
        self,
        endpoint: str,
        control_token: str,
        job_token: str,
        *,
        clock: Callable[[], datetime],
        timeout_seconds: float = 30,
        datasets_server: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.timeout_seconds = timeout_seconds
        self._datasets_server = datasets_server
        session = HubSession(endpoint, clock, timeout_seconds, transport)
        # huggingface_hub's own session waits for ever by default. It is one for the whole process: each call names its
        # token.
        set_client_factory(lambda: session.new_http(follow_redirects=True))
        self._hold(session, control_token, job_token)

    def with_tokens(self, control_token: str, job_token: str) -> HubClient:
        """The same endpoint for those who hold other tokens: nothing is shared but its connections."""
        other = copy.copy(self)
        other._hold(self._session.for_other_tokens(), control_token, job_token)
        return other

    def _hold(self, session: HubSession, control_token: str, job_token: str) -> None:
        """Make all parts, each for its token."""
        self._session = session
        self.governor = session.governor
        # what was last learnt of the job token, by namespace: when, and whether it is too broad
        self.job_token_checks: dict[str, tuple[datetime, bool]] = {}
        self._control_token = control_token
        self.job_token = job_token
        self.readme = Readme(session, job_token)
        self.outputs = Outputs(session, job_token)
        self.streams = Streams(session, control_token)
        self.lookup = Lookup(session, control_token, job_token, self._datasets_server)
        self.tokens = Tokens(session, control_token, job_token)
        self.buckets = Buckets(session, job_token)
        self.datasets = Datasets(session, job_token)

    @property
    def trouble(self) -> str | None:
        """What was wrong with the last call, such as `HTTP 401` or `ConnectError`; None where nothing was."""
        return self._session.trouble

    @property
    def calls(self) -> dict[tuple[str, str], int]:
        """Calls so far by kind and outcome, with whatever tokens."""
        return self._session.calls.counts()

    def close(self) -> None:
        """Close the connections, also of clients with other tokens."""
        self._session.close()

    def create_job(self, namespace: str, spec: JobSpec) -> Job:
        """Start a paid job. Raises HubRefused or HubUnavailable where it is certain that none was made, and HubUnclear
        for any other outcome."""
        try:
            response = self._session.post_within_deadline(jobs_path(namespace), self._control_token, _job_body(spec))
        except NOTHING_WAS_SENT as error:
            raise connection_fault(error) from None
        except httpx2.HTTPError as error:
            raise HubUnclear(connection_fault(error).message) from None
        try:
            hf_raise_for_status(response)
            job = job_from_json(response.json())
        except HfHubHTTPError as error:
            raise create_fault(error) from None
        except Exception:
            raise HubUnclear(f"an answer that is no job (HTTP {response.status_code})", response.status_code) from None
        if not JOB_ID.fullmatch(job.id):
            raise HubUnclear("an answer with a job id of unknown form", response.status_code)
        return job

    def list_jobs(
        self, namespace: str, labels: Mapping[str, str], *, only_active: bool = False, since: datetime | None = None
    ) -> list[Job]:
        """All jobs with these labels, newest first, every page; with `since`, no further than the first page that holds
        an older job. Raises HubFault rather than give part of a list."""
        params = [("label", f"{name}={value}") for name, value in labels.items()]
        if only_active:
            params += [("stage", "SCHEDULING"), ("stage", "RUNNING")]
        jobs: dict[str, Job] = {}
        first = str(httpx2.URL(self.endpoint + jobs_path(namespace), params=params))
        pages = 0
        for response in self._session.pages(first, self._control_token, MAX_PAGES):
            pages += 1
            page = read_json(response)
            if not isinstance(page, list):
                raise HubUnavailable("a job list that is no list", response.status_code)
            try:
                jobs.update((job.id, job) for job in map(job_from_json, page))
            except ValueError:
                # An item that cannot be read might be the one that is looked for.
                raise HubUnavailable("a job list with an item that is no job", response.status_code) from None
            if since is not None and any(
                job.created_at is not None and job.created_at < since for job in jobs.values()
            ):
                break
        if only_active:
            self.governor.listed(namespace, pages, self._session.now())
        return list(jobs.values())

    def get_job(self, namespace: str, job_id: str) -> Job | None:
        """One job, or None where it is gone."""
        try:
            return job_from_json(read_json(self._session.read(job_path(namespace, job_id), self._control_token)))
        except ValueError:
            raise HubUnavailable("an answer that is no job") from None
        except HubRefused as error:
            if error.status == 404:
                return None
            raise

    def cancel_job(self, namespace: str, job_id: str) -> None:
        """Ask for a job's end; that it came is seen by reading the job. A job that is gone needs no cancel."""
        try:
            response = self._session.send("POST", job_path(namespace, job_id) + "/cancel", self._control_token)
            check(response)
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
        except HubRefused as error:
            if error.status != 404:
                raise

    def job_url(self, namespace: str, job_id: str) -> str:
        """The job's page."""
        return f"{self.endpoint}/jobs/{namespace}/{job_id}"

    def hardware(self) -> list[dict[str, Any]]:
        """The price list as it stands, one object per flavor."""
        listed = read_json(self._session.read("/api/jobs/hardware", self._control_token))
        if not isinstance(listed, list):
            raise HubUnavailable("a price list that is no list")
        return listed

    def billed_jobs(self) -> dict[str, int]:
        """What the token's own user was billed in the present month for jobs that have ended, in micro-USD by job id.
        Raises HubRefused (401, 403, 404) where this token may not read that."""
        answer = read_json(self._session.read("/api/settings/billing/usage/jobs", self._control_token))
        try:
            return bills_from_json(answer)
        except ValueError as error:
            raise HubUnavailable(str(error)) from None

    def repo_state(self, repo: str, revision: str | None = None) -> RepoState | None:
        """A model repository at a revision, its head by default, as the job's token sees it; None where there is
        none."""
        try:
            answer = self._session.send("GET", model_path(repo, revision), self.job_token, follow=True)
            hf_raise_for_status(answer)
            return repo_from_json(answer.json())
        except RepositoryNotFoundError:
            return None
        except HfHubHTTPError as error:
            if error.response.status_code == 404:
                return None
            raise refusal(error) from None
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
        except UNREADABLE as error:  # what is no repository's name, or an answer that cannot be read
            raise HubUnavailable(f"the repository could not be read ({type(error).__name__})") from None

    def job_token_may_start_jobs(self, namespace: str) -> bool:
        """Whether the token that jobs are given could start jobs itself. Raises HubFault."""
        return self.tokens.job_token_may_start_jobs(namespace)

    def repo_url(self, repo: str, revision: str) -> str:
        """A model's page at a commit."""
        return f"{self.endpoint}/{repo}/tree/{revision}"


def _job_body(spec: JobSpec) -> dict[str, Any]:
    body: dict[str, Any] = {
        "dockerImage": spec.image,
        "command": list(spec.command),
        "arguments": [],
        "environment": dict(spec.environment),
        "flavor": spec.flavor,
        "timeoutSeconds": spec.timeout_seconds,
        "labels": dict(spec.labels),
    }
    # what is empty is left out: the Hub refuses an empty list of volumes
    more = {
        "secrets": dict(spec.secrets),
        "volumes": [_volume(volume) for volume in spec.volumes],
        "resourceGroupId": spec.resource_group,
    }
    return {**body, **{name: value for name, value in more.items() if value}}


def _volume(volume: Volume) -> dict[str, Any]:
    body = {"type": volume.type, "source": volume.source, "mountPath": volume.mount_path}
    more = {"revision": volume.revision, "path": volume.path}
    return {**body, "readOnly": volume.is_read_only, **{name: value for name, value in more.items() if value}}
