"""Reads what the Hub says of models, datasets, tokens and what a job is to mount, as facts.

Only reading calls; none raises: what could not be read is an unknown fact. Redirects are followed here, as renamed
repositories and files are answered with one; the token stays with its own host (httpx2 drops it on the way).
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import httpx2

from service.domain.facts import AccountFact, DatasetFact, JobsFact, ModelFact, MountFact, Outcome
from service.domain.wanted import MAIN
from service.hub.account import account_from_json
from service.hub.content import TooDeep, parsed
from service.hub.dataset_card import describe_dataset
from service.hub.downloads import Downloads
from service.hub.faults import HubFault, HubRefused, HubUnavailable, connection_fault
from service.hub.first_row import FirstRow, first_row
from service.hub.model_repo import describe_model
from service.hub.nearby import hint
from service.hub.session import HubSession, check, headers, read_json

REPO_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
F = TypeVar("F", ModelFact, DatasetFact, MountFact)


class Lookup:
    """Asks as the job's token where it is about what a job will read, and as the control token about jobs, and about
    what is mounted: that is decided when the job is made."""

    def __init__(self, session: HubSession, control_token: str, job_token: str, datasets_server: str | None) -> None:
        self._session = session
        self._control_token = control_token
        self._job_token = job_token
        self._datasets_server = datasets_server

    def model(self, repo: str, revision: str) -> ModelFact:
        """A model at a revision: its config.json, and whether it has weights, a tokenizer and a chat template."""
        try:
            info = self._info("models", repo, revision, self._job_token)
            sha, downloads = _sha(info), Downloads(self._session, self._job_token)
            return describe_model(
                sha, info, _file_names(info), lambda name: downloads.whole(f"{repo}/resolve/{sha}/{name}")
            )
        except HubFault as error:
            return self._not_found(ModelFact, error, "models", repo)

    def dataset(self, repo: str, revision: str) -> DatasetFact:
        """A dataset at a revision: its configurations, splits, columns and sizes, from whoever knows them."""
        try:
            info = self._info("datasets", repo, revision, self._job_token)
            sha, downloads = _sha(info), Downloads(self._session, self._job_token)
            if info.get("gated") and (names := _file_names(info)):
                # its description is given to everybody, its files are not
                downloads.probe(f"datasets/{repo}/resolve/{sha}/{names[0]}")
            served = self._served(repo) if revision == MAIN else None

            def row_of(name: str) -> FirstRow | None:
                try:
                    return first_row(name, downloads.beginning(f"datasets/{repo}/resolve/{sha}/{name}"))
                except HubRefused:
                    return None  # one file that is not given out says nothing of the dataset

            return describe_dataset(repo, sha, info, served, row_of)
        except HubFault as error:
            return self._not_found(DatasetFact, error, "datasets", repo)

    def mount(self, kind: str, repo: str, revision: str, path: str) -> MountFact:
        """What a job is to mount: a `model`, `dataset`, `space` or `bucket`, or a folder of it."""
        try:
            if kind == "bucket":
                _require_names(repo, MAIN)
                self._session.read(f"/api/buckets/{repo}", self._control_token, follow=True)
                return MountFact(outcome=Outcome.FOUND)
            info = self._info(f"{kind}s", repo, revision, self._control_token)
            sha, names = _sha(info), _file_names(info)
            if info.get("gated") and names:
                place = repo if kind == "model" else f"{kind}s/{repo}"
                Downloads(self._session, self._control_token).probe(f"{place}/resolve/{sha}/{names[0]}")
            is_there = any(name == path or name.startswith(f"{path}/") for name in names) if path else True
            return MountFact(outcome=Outcome.FOUND, sha=sha, has_path=is_there if names or not path else None)
        except HubFault as error:
            if kind == "bucket" and error.status == 404 and error.code != "RepoNotFound":
                return MountFact(outcome=Outcome.FOUND, message="this Hub cannot be asked about buckets")
            return self._not_found(MountFact, error, f"{kind}s", repo)

    def head(self, kind: str, repo: str) -> str:
        """The newest commit of a repository, of `models` or `datasets`. Raises HubFault."""
        return _sha(self._info(kind, repo, MAIN, self._job_token))

    def job_account(self) -> AccountFact:
        """Whose the token is that jobs are given, and where it may write."""
        try:
            return account_from_json(read_json(self._session.read("/api/whoami-v2", self._job_token)))
        except HubFault as error:
            outcome, message = _outcome(error)
            return AccountFact(outcome=outcome, message=message)

    def may_start_jobs(self, namespace: str) -> JobsFact:
        """Whether the control token may start jobs here; MISSING from a server that does not know this question."""
        try:
            check(self._session.send("POST", f"/api/jobs/{namespace}/auth-check/write", self._control_token))
            return JobsFact(outcome=Outcome.FOUND)
        except httpx2.HTTPError as error:
            return JobsFact(outcome=Outcome.UNKNOWN, message=connection_fault(error).message)
        except HubRefused as error:
            told = {401: Outcome.UNKNOWN, 403: Outcome.DENIED}.get(error.status or 0, Outcome.MISSING)
            return JobsFact(outcome=told, message=error.message)
        except HubFault as error:
            return JobsFact(outcome=Outcome.UNKNOWN, message=error.message)

    def _info(self, kind: str, repo: str, revision: str, token: str) -> dict[str, Any]:
        _require_names(repo, revision)
        at = revision.replace("/", "%2F")
        response = self._session.read(f"/api/{kind}/{repo}/revision/{at}?blobs=true", token, follow=True)
        try:
            info = parsed(response.content, prune=True)
        except (ValueError, TooDeep):
            raise HubUnavailable("an answer that cannot be read", response.status_code) from None
        if not isinstance(info, dict):
            raise HubUnavailable("an answer that describes no repository")
        return info

    def _not_found(self, fact: type[F], error: HubFault, kind: str, repo: str) -> F:
        outcome, message = _outcome(error)
        is_revision = error.code == "RevisionNotFound"
        may_hint = outcome is Outcome.MISSING and not is_revision and kind != "buckets" and REPO_ID.fullmatch(repo)
        return fact(
            outcome=outcome,
            message=message,
            revision_missing=is_revision,
            hint=hint(self._session, self._job_token, kind, repo) if may_hint else "",
        )

    def _served(self, repo: str) -> dict[str, Any] | None:
        """The dataset viewer's own description, of the main branch; None where there is no such server, where it knows
        nothing, or not yet everything."""
        if self._datasets_server is None:
            return None
        try:
            url = f"{self._datasets_server}/info"
            answer = self._session.http.get(url, params={"dataset": repo}, headers=headers(self._job_token))
            told = parsed(answer.content, prune=True) if answer.is_success else None
        except (httpx2.HTTPError, ValueError, TooDeep):
            return None
        is_whole = isinstance(told, dict) and not any(told.get(name) for name in ("pending", "failed", "partial"))
        return told if is_whole else None


def _require_names(repo: str, revision: str) -> None:
    """Raise for what would be another address: no such thing is there."""
    if not REPO_ID.fullmatch(repo):
        raise HubRefused(f"'{repo}' is no name on the Hub", 404, code="RepoNotFound")
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise HubRefused(f"'{revision}' is no revision on the Hub", 404, code="RevisionNotFound")


def _outcome(error: HubFault) -> tuple[Outcome, str]:
    if not isinstance(error, HubRefused):
        return Outcome.UNKNOWN, error.message
    if error.code == "GatedRepo":
        return Outcome.GATED, error.message
    if error.status == 404 or error.code in ("RepoNotFound", "RevisionNotFound", "EntryNotFound"):
        return Outcome.MISSING, error.message
    return (Outcome.DENIED if error.status in (401, 403) else Outcome.UNKNOWN), error.message


def _sha(info: dict[str, Any]) -> str:
    sha = info.get("sha")
    if not isinstance(sha, str) or not sha:
        raise HubUnavailable("a repository without a commit")
    return sha


def _file_names(info: dict[str, Any]) -> list[str]:
    siblings = info.get("siblings")
    listed = [one for one in siblings if isinstance(one, dict)] if isinstance(siblings, list) else []
    return [one["rfilename"] for one in listed if isinstance(one.get("rfilename"), str)]
