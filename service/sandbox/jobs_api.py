"""The routes below /api/jobs/: who may call them and what they answer (Hub OpenAPI 2026-08, huggingface_hub 2.4.0).

A foreign namespace and a token without the right are 403; jobs are read with a `read` token or with `job.write`.
Texts of 403 and 404 are the sandbox's own: those of the real service are not documented.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from service.sandbox import job_rules
from service.sandbox.accounts import Accounts, Token
from service.sandbox.faults import FaultSwitch
from service.sandbox.hardware import HARDWARE
from service.sandbox.hub import Hub
from service.sandbox.job_store import JobStore
from service.sandbox.jobs import Job
from service.sandbox.lifecycle import Lifecycle
from service.sandbox.submission import Submission
from service.sandbox.wire import LogStream, Refusal, Request, Response, json_response


class JobsApi:
    """Answers /api/jobs/…; `page_size` jobs are in a page of a list."""

    def __init__(
        self, accounts: Accounts, hub: Hub, store: JobStore, lifecycle: Lifecycle, faults: FaultSwitch, page_size: int
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._lifecycle = lifecycle
        self._faults = faults
        self._page_size = page_size
        self._submission = Submission(accounts, hub, store, lifecycle, faults)
        self._cut: set[str] = set()

    def handle(self, request: Request, parts: list[str], now: datetime) -> Response | None:
        """The answer to a call, `parts` being its path after /api/jobs/; None where there is no such route."""
        match request.method, parts:
            case "GET", ["hardware"]:
                self._accounts.optional_token(request)
                return json_response(HARDWARE)
            case "POST", [namespace]:
                return self._submission.create(request, namespace, self._writer(request, namespace), now)
            case "GET", [namespace]:
                return self._list(request, namespace, now)
            case "GET", [namespace, "count"]:
                return json_response({"count": sum(1 for _ in self._matching(request, namespace, now))})
            case "POST", [namespace, "auth-check", ("read" | "write") as right]:
                return self._auth_check(request, namespace, right)
            case "POST", [namespace, job_id, "auth-check", right]:
                answer = self._auth_check(request, namespace, right)
                self._store.get(namespace, job_id)
                return answer
            case "GET", [namespace, job_id]:
                self._reader(request, namespace)
                return self._shown(self._store.get(namespace, job_id), now)
            case "GET", [namespace, job_id, ("logs" | "metrics" | "events") as kind]:
                return self._stream(request, namespace, job_id, kind)
            case "POST", [namespace, job_id, ("cancel" | "duplicate") as action]:
                token = self._writer(request, namespace)
                job = self._store.get(namespace, job_id)
                if action == "duplicate":
                    return self._submission.duplicate(request, job, token, now)
                self._lifecycle.cancel(job, now)
                return self._shown(job, now)
            case "PUT", [namespace, job_id, ("labels" | "expose") as field]:
                self._writer(request, namespace)
                job = self._store.get(namespace, job_id)
                if field == "labels":
                    job.labels = job_rules.labels(request)
                else:
                    job.expose = job_rules.exposed_ports(request)
                return self._shown(job, now)
        return None

    def _matching(self, request: Request, namespace: str, now: datetime, before: int | None = None) -> Iterator[Job]:
        self._reader(request, namespace)
        stages, labels = job_rules.stages_wanted(request), job_rules.labels_wanted(request)
        return self._store.matching(namespace, now, stages, labels, before)

    def _list(self, request: Request, namespace: str, now: datetime) -> Response:
        found = self._matching(request, namespace, now, before=job_rules.whole_number(request, "cursor"))
        page = list(islice(found, self._page_size))
        headers = {}
        if len(page) == self._page_size and next(found, None) is not None:
            query = [(name, value) for name in ("stage", "label") for value in request.query(name)]
            query.append(("cursor", str(page[-1].sequence)))
            headers["link"] = f'<{request.base_url}{request.path}?{urlencode(query)}>; rel="next"'
        return json_response([self._json(job, now) for job in page], headers=headers)

    def _stream(self, request: Request, namespace: str, job_id: str, kind: str) -> Response:
        self._reader(request, namespace)
        job = self._store.get(namespace, job_id)
        tail = job_rules.whole_number(request, "tail")
        if kind == "metrics" and job.is_terminal:
            raise Refusal(406, "Job is not running")
        cut_after = None
        if kind == "logs" and self._faults.now.log_cut_after_lines and job.id not in self._cut:
            self._cut.add(job.id)
            cut_after = self._faults.now.log_cut_after_lines
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache"}
        return Response(headers=headers, stream=LogStream(job.id, kind, tail, cut_after))

    def _auth_check(self, request: Request, namespace: str, right: str) -> Response:
        token = self._reader(request, namespace) if right == "read" else self._writer(request, namespace)
        return json_response(
            {
                "namespace": {"id": self._accounts.id_of(namespace), "name": namespace},
                "user": {"id": token.user.id, "name": token.user.name},
            }
        )

    def _writer(self, request: Request, namespace: str) -> Token:
        token = self._accounts.token(request)
        if not token.may("job.write", namespace):
            raise Refusal(403, f"You don't have permission to run Jobs in namespace {namespace}")
        return token

    def _reader(self, request: Request, namespace: str) -> Token:
        token = self._accounts.token(request)
        if not (token.may("job.read", namespace) or token.may("job.write", namespace)):
            raise Refusal(403, f"You don't have permission to see the Jobs of namespace {namespace}")
        return token

    def _shown(self, job: Job, now: datetime) -> Response:
        return json_response(self._json(job, now))

    def _json(self, job: Job, now: datetime) -> dict[str, Any]:
        shown = job.json(now)
        if job.stage == "RUNNING" and self._faults.now.stage_unknown:
            shown["status"]["stage"] = self._faults.now.stage_unknown
        return shown
