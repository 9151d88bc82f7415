"""The sandbox's own endpoints, beside the Hub's: they switch faults and end jobs as only the real service could.

- GET  /sandbox/faults       the faults in force
- POST /sandbox/faults       replaces them all: {"scheduling_seconds": 5}; {} resets
- POST /sandbox/jobs/{id}    ends a job: {"stage": "CANCELED", "message": null, "cancelReason": "NO_CREDITS"},
                             or makes it vanish (404): {"delete": true}

They ask for no token: the server listens on loopback.
"""

from __future__ import annotations

from datetime import datetime

from service.sandbox import shapes
from service.sandbox.faults import Faults, FaultSwitch
from service.sandbox.job_rules import checked
from service.sandbox.job_store import JobStore
from service.sandbox.jobs import TERMINAL
from service.sandbox.lifecycle import Lifecycle
from service.sandbox.wire import Refusal, Request, Response, json_response

ENDING = shapes.record(
    {
        "stage": shapes.choice(tuple(sorted(TERMINAL))),
        "message": shapes.nullable(shapes.text()),
        "cancelReason": shapes.nullable(shapes.text()),
        "delete": shapes.boolean(),
    }
)


class Controls:
    """Answers /sandbox/…"""

    def __init__(self, store: JobStore, lifecycle: Lifecycle, faults: FaultSwitch) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._faults = faults

    def handle(self, request: Request, parts: list[str], now: datetime) -> Response | None:
        """The answer to a call, `parts` being its path after /sandbox/; None where there is no such route."""
        match request.method, parts:
            case "GET", ["faults"]:
                return json_response(self._faults.json())
            case "POST", ["faults"]:
                self._faults.set(_faults(request))
                return json_response(self._faults.json())
            case "POST", ["jobs", job_id]:
                return self._end(request, job_id, now)
        return None

    def _end(self, request: Request, job_id: str, now: datetime) -> Response:
        ending = checked(request, ENDING)
        job = self._store.find(job_id)
        if job is None:
            raise Refusal(404, "Job not found")
        if ending.get("delete"):
            self._lifecycle.force(job, "DELETED", None, None, now)
            self._store.drop(job)
        else:
            stage = ending.get("stage", "CANCELED")
            self._lifecycle.force(job, stage, ending.get("message"), ending.get("cancelReason"), now)
        return json_response(job.json(now))


def _faults(request: Request) -> Faults:
    values = checked(request, shapes.mapping(shapes.text(), lambda _value, _path: iter(())))
    try:
        return Faults.parse(values)
    except ValueError as error:
        raise Refusal(400, str(error)) from None
