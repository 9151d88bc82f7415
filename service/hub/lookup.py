"""Reads what the Hub says of models, datasets and tokens, as facts.

Only reading calls; none raises: what could not be read is an unknown fact. Redirects are followed here, as renamed
repositories and files are answered with one; the token stays with its own host (httpx2 drops it on the way).
"""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2

from service.domain.facts import AccountFact, DatasetFact, JobsFact, ModelFact, Outcome
from service.domain.wanted import MAIN
from service.hub.account import account_from_json
from service.hub.dataset_card import describe_dataset
from service.hub.faults import HubFault, HubRefused, HubUnavailable, connection_fault
from service.hub.session import HubSession, check, headers, read_json

MAX_FILE_BYTES = 8 * 1024 * 1024  # tokenizer_config.json of some models holds thousands of added tokens
FIRST_LINES_BYTES = 64 * 1024
REPO_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}")
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")


class Lookup:
    """Asks as the job's token where it is about what a job will read, and as the control token about jobs."""

    def __init__(self, session: HubSession, control_token: str, job_token: str, datasets_server: str | None) -> None:
        self._session = session
        self._control_token = control_token
        self._job_token = job_token
        self._datasets_server = datasets_server

    def model(self, repo: str, revision: str) -> ModelFact:
        """A model at a revision, with its config.json, and whether its tokenizer has a chat template."""
        try:
            info = self._info("models", repo, revision)
            sha = _sha(info)
            names = _file_names(info)
            config = self._json_file(f"{repo}/resolve/{sha}/config.json") if "config.json" in names else None
            return ModelFact(
                outcome=Outcome.FOUND,
                sha=sha,
                config=config,
                parameters=_parameters(info),
                has_chat_template=self._has_template(repo, sha, names),
            )
        except HubFault as error:
            outcome, message = _outcome(error)
            return ModelFact(outcome=outcome, message=message)

    def dataset(self, repo: str, revision: str) -> DatasetFact:
        """A dataset at a revision: its configurations, splits, columns and sizes, from whoever knows them."""
        try:
            info = self._info("datasets", repo, revision)
            sha = _sha(info)
            fact = describe_dataset(
                sha,
                info,
                self._served(repo) if revision == MAIN else None,
                lambda path: self._first_line(f"datasets/{repo}/resolve/{sha}/{path}"),
            )
            if info.get("gated"):
                self._probe(repo, sha, _file_names(info))
            return fact
        except HubFault as error:
            outcome, message = _outcome(error)
            return DatasetFact(outcome=outcome, message=message)

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

    def _info(self, kind: str, repo: str, revision: str) -> dict[str, Any]:
        if not REPO_ID.fullmatch(repo) or not REVISION.fullmatch(revision) or ".." in revision:
            raise HubRefused(f"'{repo}' at '{revision}' is no name on the Hub", 404)
        at = revision.replace("/", "%2F")
        info = read_json(
            self._session.read(f"/api/{kind}/{repo}/revision/{at}?blobs=true", self._job_token, follow=True)
        )
        if not isinstance(info, dict):
            raise HubUnavailable("an answer that describes no repository")
        return info

    def _has_template(self, repo: str, sha: str, names: list[str]) -> bool | None:
        if any(name in names for name in TEMPLATE_FILES) or any(
            n.startswith("additional_chat_templates/") for n in names
        ):
            return True
        if "tokenizer_config.json" not in names:
            return False if names else None
        config = self._json_file(f"{repo}/resolve/{sha}/tokenizer_config.json")
        return None if config is None else bool(config.get("chat_template"))

    def _served(self, repo: str) -> dict[str, Any] | None:
        """The dataset viewer's own description, of the main branch; None where there is no such server, where it knows
        nothing, or not yet everything."""
        if self._datasets_server is None:
            return None
        try:
            url = f"{self._datasets_server}/info"
            answer = self._session.http.get(url, params={"dataset": repo}, headers=headers(self._job_token))
            told = answer.json() if answer.is_success else None
        except (httpx2.HTTPError, ValueError):
            return None
        is_whole = isinstance(told, dict) and not any(told.get(name) for name in ("pending", "failed", "partial"))
        return told if is_whole else None

    def _probe(self, repo: str, sha: str, names: list[str]) -> None:
        """Raise where a gated dataset's files are not given out. Its description is given to everybody."""
        if names:
            self._read(f"datasets/{repo}/resolve/{sha}/{names[0]}", 1)

    def _json_file(self, path: str) -> dict[str, Any] | None:
        try:
            value = json.loads(self._read(path))
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def _first_line(self, path: str) -> str | None:
        text = self._read(path, FIRST_LINES_BYTES).decode(errors="replace").lstrip("\ufeff")
        line, newline, _ = text.partition("\n")
        return line if newline or len(text) < FIRST_LINES_BYTES else None

    def _read(self, path: str, only_first: int | None = None) -> bytes:
        held = self._session.read_bytes(f"/{path}", self._job_token, MAX_FILE_BYTES, only_first=only_first)
        if held is None:
            raise HubUnavailable(f"{path.rpartition('/')[2]} is larger than is read")
        return held


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


def _files(info: dict[str, Any]) -> list[dict[str, Any]]:
    siblings = info.get("siblings")
    return [one for one in siblings if isinstance(one, dict)] if isinstance(siblings, list) else []


def _file_names(info: dict[str, Any]) -> list[str]:
    return [one["rfilename"] for one in _files(info) if isinstance(one.get("rfilename"), str)]


def _parameters(info: dict[str, Any]) -> dict[str, int]:
    told = info.get("safetensors")
    counts = told.get("parameters") if isinstance(told, dict) else None
    if not isinstance(counts, dict):
        return {}
    return {str(kind): count for kind, count in counts.items() if isinstance(count, int) and count > 0}
