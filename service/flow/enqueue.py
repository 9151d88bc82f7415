"""enqueue: a request becomes a queued run, durably and once.

Everything here comes from the body and the database; Hugging Face is not asked. What can never run is refused with
its numbers, what may run later is accepted and waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.domain import gpus
from service.domain.endpoint import endpoint_refusal
from service.domain.errors import IdempotencyConflict, ImageNotAllowed, Invalid, NotAllowed
from service.domain.flavor_name import AUTO
from service.domain.image import image_refusal
from service.domain.money import to_micro_usd
from service.domain.pilot import Pilot
from service.domain.place import Place
from service.domain.recipe import read, stored
from service.domain.request import RunRequest
from service.domain.run import Reason, RunState, how_it_ended
from service.domain.script import Script
from service.domain.script_url import script_url_refusal
from service.domain.secret_ref import plain_in, refs_in
from service.domain.trl.preset import fill
from service.domain.trl_sft import TrlSft
from service.flow.cap import refuse_together
from service.flow.ceiling import refuse_impossible
from service.flow.follow_up import queue_after, then
from service.flow.gate import Limits
from service.flow.look_ahead import look_ahead, refuse_hardware, refuse_short
from service.flow.pilot import pilot_of
from service.flow.run_secrets import refuse_refs
from service.store import credentials, flavors, holds, idempotency, parked, rows, runs, teams, users, webhooks
from service.store.describe import describe_run
from service.store.ids import new_id
from service.store.tables import Run, TeamCredential
from service.store.vault import Vault

Find = Callable[[Session, str], Run | None]
FindCredential = Callable[[Session, str], TeamCredential | None]


@dataclass(frozen=True)
class Submitter:
    """Who submits, for which team, and the idempotency key that came with it; and whether they may name another user
    of the team, whose run it is then."""

    team: str
    name: str
    idempotency_key: str | None = None
    body_hmac: str = ""
    may_name_others: bool = False


def enqueue(
    session: Session,
    request: RunRequest,
    submitter: Submitter,
    namespace: str | None,
    vault: Vault,
    now: datetime,
    limits: Limits,
    retry_of: str | None = None,
    origin: str | None = None,
    waits_for: str | None = None,
) -> tuple[dict[str, Any], bool]:
    """The run object, and whether it is the run of an earlier request under the same key. `retry_of`: the run that has
    ended and that this is another try of; `origin`: what makes it, where no person does; `waits_for`: what it is parked
    for until that is there (`store.parked`).

    `namespace` is the installation's own, or None where each run names one. Raises IdempotencyConflict, Invalid,
    UnknownFlavor, ImageNotAllowed, DoesNotFit, PreflightFailed, ExceedsLimit or ExceedsBudget; then nothing was stored.
    """
    gpu_count = gpus.count(flavors.hardware(session, request.flavor))
    place = place_of(session, request.namespace, submitter.team, namespace)
    run = run_of(request, submitter, place, vault, gpu_count, now)
    run.retry_of, run.origin = retry_of, origin
    run.parked = waits_for or run.parked
    if submitter.idempotency_key is not None:
        key = idempotency.claim(session, run.team, submitter.idempotency_key, submitter.body_hmac, run.id, now)
        if key.run_id != run.id:  # another request with this key got here first
            return replay(session, key.run_id, key.body_hmac, submitter.body_hmac, now), True
    teams.refuse_archived(teams.get(session, run.team))
    refuse_user(session, run, submitter, now)
    refuse_by_limits(request, run, limits)  # what is raised from here on undoes the claim
    refuse_refs(session, request, run.team, vault)
    settled = look_ahead(session, run, read(run.recipe), now)
    followers = then(session, run, request.then, run.requested_by, now)
    refuse_impossible(session, run, now)
    if settled is not None:
        refuse_short(run)
    after = open_dependencies(session, run, request.after)
    refuse_late(run, now)
    child = None if request.pilot is None else pilot_run(session, run, request.pilot, now)
    arrival = _queue(session, run, after if child is None else [child.id], now)
    if child is not None:
        _queue(session, child, after, now)  # what the run was to come after, its pilot comes after
        holds.come_after(session, child, after)
    holds.come_after(session, run, after if child is None else [child.id])
    queue_after(session, followers, now)
    for one in request.webhooks:
        webhooks.insert(session, one, one.secret, vault, now, team=run.team, run_id=run.id)
    is_alone = not (child or followers or after or request.webhooks or run.approval)
    return arrival if is_alone else describe_run(session, run, now), False


def _queue(session: Session, run: Run, after: list[str], now: datetime) -> dict[str, Any]:
    run.open_dependencies = len(after)
    holds.hold_for_approval(session, run, now)
    if (held := holds.reason_of(run)) is not None:
        run.reason, run.message = held
    elif run.parked in parked.FIRST:
        run.message = parked.FIRST[run.parked]
    return runs.insert(session, run, now)


def pilot_run(session: Session, run: Run, asked: Pilot, now: datetime) -> Run:
    """The child run of a run, not stored; raises what can never run, also by what both cost together."""
    gpu_count = gpus.count(flavors.hardware(session, asked.flavor or run.flavor))
    child = pilot_of(run, asked, gpu_count, now)
    field = "flavor" if asked.flavor is None else "pilot.flavor"
    if child.flavor != AUTO:
        flavors.refuse_unknown(session, child.flavor, field)
    recipe = read(child.recipe)
    refuse_hardware(session, child, recipe, field=None if asked.flavor is None else field)
    is_known = look_ahead(session, child, recipe, now, field=field) is not None
    refuse_impossible(session, child, now)
    if is_known:
        refuse_short(child)
    refuse_together(session, run, child)
    run.pilot = {"run_id": child.id, "max_steps": asked.max_steps, "confirm": asked.confirm, "measured": None}
    return child


def replay(session: Session, run_id: str, stored_hmac: str, body_hmac: str, now: datetime) -> dict[str, Any]:
    """The run that a key made before. Raises IdempotencyConflict where the body was another."""
    if stored_hmac != body_hmac:
        raise IdempotencyConflict(
            f"this Idempotency-Key made {run_id} from another body",
            remedy="Use a new key for a new request.",
            run_id=run_id,
        )
    run = runs.get(session, run_id)
    assert run is not None, "a claimed key has its run"
    return describe_run(session, run, now)


def refuse_user(session: Session, run: Run, submitter: Submitter, now: datetime) -> None:
    """Raise NotAllowed where the run is another user's and the submitter may name none, or where that user is shut
    out; a user who is new to the team is there afterwards."""
    if run.submitted_by is None:
        return
    if not submitter.may_name_others:
        raise NotAllowed(
            "this key submits for its own user only",
            field="on_behalf_of",
            remedy="Leave it out, or take a key with the scope 'runs:on_behalf_of'.",
        )
    if users.ensure(session, run.team, run.requested_by, now).shut_out_at is not None:
        raise NotAllowed(
            f"the user '{run.requested_by}' is shut out", field="on_behalf_of", remedy="Ask a lead of the team."
        )


def place_of(
    session: Session, named: str | None, team: str, own: str | None, find: FindCredential = credentials.held
) -> Place:
    """The namespace that pays, and with whose tokens: a team's own where it has some, else the service's. Raises
    Invalid where no namespace is named, or one that those are not for; `own` is the installation's."""
    if (credential := find(session, team)) is not None:
        if named is not None and named not in credential.namespaces:
            taken = ", ".join(credential.namespaces)
            raise Invalid(
                f"team {team} has tokens of its own, and they start jobs in {taken}",
                field="namespace",
                remedy=f"Name {' or '.join(credential.namespaces)}, or leave 'namespace' out.",
            )
        return Place(team, named or credential.namespaces[0])
    if own is None and named is None:
        raise Invalid("no namespace is configured", field="namespace", remedy="Name the namespace that pays the job.")
    if own is not None and named not in (None, own):
        raise Invalid(f"this service starts jobs in '{own}' only", field="namespace", remedy="Leave 'namespace' out.")
    return Place(None, own or named or "")


def place_anew(session: Session, was: object, team: str, own: str | None) -> object:
    """The namespace in which another try of a run is to be: where that one was, or None where the tokens that are there
    now are for others."""
    credential = credentials.get(session, team)
    if credential is not None:
        return was if was in credential.namespaces else None
    return was if own is None else None


def refuse_by_limits(request: RunRequest, run: Run, limits: Limits) -> None:
    """Raise for what this installation does not allow: an image, where a script is to come from, or who is told."""
    if run.image is not None and (refusal := image_refusal(run.image, limits.image_allowlist)) is not None:
        raise ImageNotAllowed(
            refusal,
            field="image" if request.image is not None else "recipe.source",
            remedy="Leave it out, take one that is allowed, or ask the operator (TUNEGATE_IMAGE_ALLOWLIST).",
        )
    recipe = request.recipe
    if isinstance(recipe, Script) and recipe.url is not None:
        found = script_url_refusal(recipe.url, limits.script_allowed_targets)
        if found is not None:
            raise Invalid(found[0], field="recipe.url", remedy=found[1])
    for index, one in enumerate(request.webhooks):
        found = endpoint_refusal(one.kind, one.url, limits.webhook_allowed_targets, limits.mail is not None)
        if found is not None:
            raise Invalid(found[0], field=f"webhooks.{index}.url", remedy=found[1])


def run_of(request: RunRequest, submitter: Submitter, place: Place, vault: Vault, gpu_count: int, now: datetime) -> Run:
    """The run that a request asks for, of a flavor with so many GPUs; not stored, and nothing of it decided yet."""
    recipe = request.recipe
    if isinstance(recipe, TrlSft):
        recipe = fill(recipe, request.flavor, gpus=gpu_count)
    kept, image = stored(recipe, request.image)
    plain = plain_in(request.secrets)
    has_url = isinstance(recipe, Script) and recipe.url is not None
    return rows.new(
        Run,
        id=new_id("run", now),
        team=submitter.team,
        state=RunState.QUEUED.value,
        reason=Reason.CHECKING.value,
        message="just arrived; the gates are checked next",
        requested_by=request.on_behalf_of or submitter.name,
        submitted_by=None if request.on_behalf_of in (None, submitter.name) else submitter.name,
        recipe=kept,
        parked=parked.SCRIPT if has_url else None,
        image=image,
        volumes=[volume.model_dump(mode="json") | {"read_only": volume.is_read_only} for volume in request.volumes],
        resource_group=request.resource_group,
        flavor=request.flavor,
        requested_timeout_seconds=request.timeout,
        timeout_seconds=request.timeout,
        max_cost_micro_usd=None if request.max_cost_usd is None else to_micro_usd(request.max_cost_usd),
        output_repo=request.output_repo,
        namespace=place.namespace,
        credentials=place.credentials,
        env=request.env,
        secret_names=sorted(request.secrets),
        sealed_secrets=vault.seal(plain) if plain else None,
        secret_refs=refs_in(request.secrets),
        priority=request.priority,
        labels=request.labels,
        start_before=request.start_before,
        reuse=request.reuse,
        optimize=request.optimize,
        force=request.force,
        pilot=None if request.pilot is None else request.pilot.model_dump(),
        retry=None if request.retry is None else request.retry.model_dump(),
        checkpoints=request.checkpoints,
        guards=request.guards.model_dump(),
        card="wanted" if request.lineage_card else None,
        card_due_at=now if request.lineage_card else None,
        created_at=now,
    )


def open_dependencies(session: Session, run: Run, others: list[str], find: Find = runs.lock) -> list[str]:
    """Those of the named runs that have not ended yet. They are held, so that none ends unnoticed meanwhile. Raises
    Invalid for those that can never have succeeded."""
    waiting = []
    for other_id in sorted(set(others)):
        other = find(session, other_id)
        if other is None or other.team != run.team:
            raise Invalid(f"the team has no run '{other_id}'", field="after", remedy="Name runs of your own team.")
        if other.state in (RunState.FAILED, RunState.CANCELLED):
            raise Invalid(
                f"{other_id} {how_it_ended(other.state)}: this run could never start",
                field="after",
                remedy="Leave it out.",
            )
        if other.state != RunState.SUCCEEDED:
            waiting.append(other_id)
    return waiting


def refuse_late(run: Run, now: datetime) -> None:
    """Raise Invalid where it would have had to start already."""
    if run.start_before is not None and run.start_before <= now:
        raise Invalid("start_before has passed already", field="start_before", remedy="Name a time to come.")
