"""Takes a job in: from a create request or as a duplicate, and commits the faults that can hit that moment.

The order is that of the checks' cost to the caller: rights, form, volumes, credit. Only then does a job exist.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from service.sandbox import job_rules, volumes
from service.sandbox.accounts import Accounts, Token
from service.sandbox.faults import FaultSwitch
from service.sandbox.hub import Hub
from service.sandbox.job_store import JobStore
from service.sandbox.jobs import Job
from service.sandbox.lifecycle import Lifecycle
from service.sandbox.wire import Refusal, Request, Response, json_response

# this text is what public logs of the real service show
NO_CREDIT = "Pre-paid credit balance is insufficient - add more credits to your account to use Jobs."
INTERNAL = "Internal Error - We're working hard to fix this as soon as possible!"


class Submission:
    """Makes jobs. The token given has the right to."""

    def __init__(
        self, accounts: Accounts, hub: Hub, store: JobStore, lifecycle: Lifecycle, faults: FaultSwitch
    ) -> None:
        self._accounts = accounts
        self._hub = hub
        self._store = store
        self._lifecycle = lifecycle
        self._faults = faults

    def create(self, request: Request, namespace: str, token: Token, now: datetime) -> Response:
        """POST /api/jobs/{namespace}: the new job; raises Refusal 400, 402, 403, 404, 500."""
        if self._faults.strikes("create_500_before_accept"):
            raise Refusal(500, INTERNAL)
        spec, labels, expose = job_rules.job_spec(request)
        volumes.require(spec.volumes, self._hub, request, token, now)
        initiator = {"type": "user", "id": token.user.id, "name": token.user.name, "avatarUrl": ""}
        return self._accept(spec, labels, expose, namespace, token, initiator, now)

    def duplicate(self, request: Request, job: Job, token: Token, now: datetime) -> Response:
        """POST …/duplicate: a new job like this one; raises Refusal 402, 403 or 404."""
        volumes.require(job.spec.volumes, self._hub, request, token, now)
        initiator = {"type": "duplicated-job", "id": job.id}
        return self._accept(job.spec, dict(job.labels), job.expose, job.namespace, token, initiator, now)

    def _accept(
        self,
        spec: job_rules.JobSpec,
        labels: dict[str, str],
        expose: dict[str, Any] | None,
        namespace: str,
        token: Token,
        initiator: dict[str, Any],
        now: datetime,
    ) -> Response:
        if not token.user.has_credit:
            raise Refusal(402, NO_CREDIT)
        job_id, sequence = self._store.next_id(now)
        kind = "org" if self._accounts.is_org(namespace) else "user"
        job = Job(
            id=job_id,
            sequence=sequence,
            owner={"id": self._accounts.id_of(namespace), "name": namespace, "type": kind, "avatarUrl": ""},
            created_by={"id": token.user.id, "name": token.user.name},
            initiator=initiator,
            spec=spec,
            labels=labels,
            created_at=now,
            visible_at=now + timedelta(seconds=self._faults.now.listing_lag_seconds),
            expose=expose,
            hf_token=self._recognised(spec.secrets),
        )
        self._lifecycle.accept(job, self._faults.now.scheduling_seconds)
        return self._answer(json_response(job.json(now)))

    def _answer(self, answer: Response) -> Response:
        """The answer to an accepted create, as the faults let it through."""
        if self._faults.strikes("create_500_after_accept"):
            answer = Refusal(500, INTERNAL).response()
        lost = self._faults.strikes("create_lost_reply")
        return replace(answer, delay_seconds=self._faults.now.reply_delay_seconds, lost=lost)

    def _recognised(self, secrets: dict[str, str]) -> dict[str, Any] | None:
        """The Hub recognises a token of its own among the secrets, and names its owner."""
        for value in secrets.values():
            if token := self._accounts.known(value):
                return {"ownerName": token.user.name, "tokenRole": token.role}
        return None
