"""weigh: what POST /runs would refuse of a body, told with its estimate and nothing stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlmodel import Session

from service.domain import gpus
from service.domain.errors import Invalid
from service.domain.flavor_name import AUTO
from service.domain.place import Place
from service.domain.recipe import auto_refusal, read
from service.domain.request import RunRequest
from service.flow.ceiling import refuse_impossible
from service.flow.enqueue import (
    Submitter,
    open_dependencies,
    pilot_run,
    place_of,
    refuse_by_limits,
    refuse_late,
    run_of,
)
from service.flow.follow_up import then
from service.flow.gate import Limits
from service.flow.look_ahead import look_ahead, refuse_short
from service.flow.run_secrets import refuse_refs
from service.store import credentials, flavors, runs
from service.store.vault import Vault


def weigh(
    session: Session,
    request: RunRequest,
    submitter: Submitter,
    namespace: str | None,
    vault: Vault,
    now: datetime,
    limits: Limits,
) -> list[Invalid]:
    """Each thing for which `enqueue` would refuse the request, by its own rules. What may be left out of an estimate is
    not missed: without a bound, the recommended timeout stands in, without a flavor whatever `auto` takes."""
    found: list[Invalid] = []
    if (lacking := request.lacks()) is not None:
        found.append(lacking)
    is_named = "flavor" in request.model_fields_set
    if is_named and request.flavor == AUTO and (refusal := auto_refusal(request.recipe)) is not None:
        found.append(Invalid(refusal[0], field="flavor", remedy=refusal[1]))
    place = Place(None, request.namespace or namespace or "")
    with _told(found if request.namespace is not None else []):
        place = place_of(session, request.namespace, submitter.team, namespace, credentials.get)
    gpu_count = gpus.count(flavors.hardware(session, request.flavor))
    run = run_of(request, submitter, place, vault, gpu_count, now)
    with _told(found):
        refuse_by_limits(request, run, limits)
    with _told(found):
        refuse_refs(session, request, submitter.team, vault, hold=False)
    settled = None
    with _told(found if is_named else []):
        settled = look_ahead(session, run, read(run.recipe), now)
    if run.requested_timeout_seconds is None and run.max_cost_micro_usd is None:
        run.requested_timeout_seconds = (run.estimate or {}).get("timeout_seconds")
    if run.output_repo is not None:  # may be left out here
        with _told(found):
            then(session, run, request.then, run.requested_by, now)
    if run.requested_timeout_seconds is not None or run.max_cost_micro_usd is not None:
        with _told(found):
            refuse_impossible(session, run, now)
        if settled is not None:
            with _told(found):
                refuse_short(run)
    if request.pilot is not None:
        with _told(found):
            pilot_run(session, run, request.pilot, now)
    with _told(found):
        open_dependencies(session, run, request.after, runs.get)
    with _told(found):
        refuse_late(run, now)
    return list({one.detail: one for one in found}.values())


@contextmanager
def _told(found: list[Invalid]) -> Iterator[None]:
    """Keep what is raised within."""
    try:
        yield
    except Invalid as refusal:
        found.append(refusal)
