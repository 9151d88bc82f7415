"""clone: what a run that has ended was asked for, as a body of POST /runs, to be asked for again with changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import InvalidToken
from sqlmodel import Session

from service.domain.errors import Conflict, Invalid
from service.domain.follow_up import FOLLOW_UPS
from service.domain.money import to_usd
from service.domain.recipe import ADOPTED, read
from service.domain.run import RunState
from service.domain.secret_ref import SecretRef
from service.domain.trl_sft import TrlSft
from service.store import webhooks as endpoint_store
from service.store.sealed_address import unseal
from service.store.tables import Run
from service.store.vault import Vault

# What a script is: its text, its address, or a command in its place.
CONTENTS = frozenset({"source", "url", "command"})


def body_of(
    run: Run,
    overrides: Mapping[str, Any],
    secrets: Mapping[str, str | SecretRef],
    *,
    webhooks: Sequence[Mapping[str, Any]] = (),
    with_remedy: bool = False,
) -> dict[str, Any]:
    """The run as it would be sent now. `overrides` are fields of POST /runs in place of its own, but for `recipe` and
    its `args`, of which only those that are named are replaced. `webhooks` are its own endpoints, with their secrets.
    `with_remedy`: with the change that its failure offers. Raises Conflict for a run that goes on, or offers none, and
    Invalid where secrets are missing."""
    if not RunState(run.state).is_terminal:
        raise Conflict("only a run that has ended is submitted anew", remedy="Cancel it first, or wait for its end.")
    if run.kind in FOLLOW_UPS:
        raise Conflict(
            f"it followed {run.parent}, on whose model it worked",
            remedy=f"POST /runs/{run.parent}/then asks for it again.",
        )
    if run.recipe == ADOPTED:
        raise Conflict("its job was found on Hugging Face: what it ran is not known here", remedy="Submit it as a run.")
    body = {**_asked(run), "secrets": _secrets(run, secrets), "webhooks": [*webhooks]}
    for setting in _remedy(run) if with_remedy else ():
        _set(body, str(setting["field"]).split("."), setting["to"])
    recipe = overrides.get("recipe", {})
    if not isinstance(recipe, Mapping):
        return {**body, **overrides}
    merged = {**body["recipe"], **recipe}
    if not recipe.keys().isdisjoint(CONTENTS):  # one in place of another
        for name in CONTENTS - recipe.keys():
            merged.pop(name, None)
    if isinstance(args := recipe.get("args"), Mapping) and isinstance(body["recipe"]["args"], Mapping):
        merged["args"] = {**body["recipe"]["args"], **args}
    return {**body, **overrides, "recipe": merged}


def endpoints_of(session: Session, run: Run, vault: Vault) -> list[dict[str, Any]]:
    """A run's own endpoints as they were sent with it, but for those that are disabled. Raises Invalid where their
    secrets cannot be read any more."""
    try:
        return [
            {"kind": one.kind, "events": one.events, "url": address.url, "secret": address.secret}
            for one in endpoint_store.of_run(session, [run.id])
            if one.disabled_at is None and (address := unseal(vault, one.sealed_address)) is not None
        ]
    except InvalidToken:
        raise Invalid(
            "the secrets of its webhooks are sealed under another key than the service's",
            field="overrides.webhooks",
            remedy="Send them again in 'overrides', or [] for none.",
        ) from None


def _asked(run: Run) -> dict[str, Any]:
    """What was asked for, as far as it is not a matter of its time: what it was to come after, and to start before."""
    asked: dict[str, Any] = {
        "recipe": _recipe(run),
        "flavor": run.flavor,
        "optimize": run.optimize if run.flavor == "auto" else None,
        "force": run.force,
        "timeout": run.requested_timeout_seconds,
        "max_cost_usd": None if run.max_cost_micro_usd is None else to_usd(run.max_cost_micro_usd),
        "output_repo": run.output_repo,
        "namespace": run.namespace,
        "image": run.image,
        "volumes": run.volumes,
        "resource_group": run.resource_group,
        "env": run.env,
        "priority": run.priority,
        "labels": run.labels,
        "reuse": run.reuse,
        "lineage_card": run.card is not None,
        "retry": run.retry,
        "checkpoints": run.checkpoints,
        "guards": run.guards,
        "then": [{name: value for name, value in one.items() if name != "run_id"} for one in run.then or ()] or None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _recipe(run: Run) -> dict[str, Any]:
    recipe = read(run.recipe)
    recipe = recipe.as_asked() if isinstance(recipe, TrlSft) else recipe
    # what was fetched from an address is what ran: its text is sent, and `read` leaves the address out
    return recipe.model_dump(mode="json", exclude_none=True, exclude={"sha256"})


def _secrets(run: Run, given: Mapping[str, str | SecretRef]) -> dict[str, Any]:
    """As they are sent: what the team keeps is taken by its name again, where nothing else was given."""
    again = {name: {"ref": ref} for name, ref in run.secret_refs.items()}
    if missing := [name for name in run.secret_names if name not in {**again, **given}]:
        raise Invalid(
            f"the values of {', '.join(missing)} were wiped when the run ended",
            field="secrets",
            remedy="Send them again in 'secrets', or name secrets of the team's.",
        )
    sent = {name: one.model_dump() if isinstance(one, SecretRef) else one for name, one in given.items()}
    return {**again, **sent}


def _remedy(run: Run) -> Sequence[Mapping[str, Any]]:
    offer = (run.failure or {}).get("repair")
    if offer is None:
        raise Conflict(
            "nothing is known that would repair the run by itself",
            remedy="failure.remedy says what to do; send it as 'overrides', or leave 'with_remedy' out.",
        )
    settings: Sequence[Mapping[str, Any]] = offer["settings"]
    return settings


def _set(body: dict[str, Any], path: Sequence[str], value: Any) -> None:
    place = body
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
