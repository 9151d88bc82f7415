"""The values of a run's secrets: what it brought, and what its team keeps under the names that it refers to.

A team's secret is looked up for each attempt anew, so that one that was replaced is what the next job gets.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.fernet import InvalidToken
from sqlmodel import Session

from service.domain.clear_text import refuse_secrets
from service.domain.errors import Invalid
from service.domain.request import RunRequest
from service.domain.secret_ref import JOB_TOKEN, plain_in, refs_in
from service.flow.gate import Gate
from service.store import team_secrets
from service.store.tables import Run
from service.store.vault import Vault


class SecretsLost(Exception):
    """Values that cannot be had any more: sealed under another key, or gone."""


def values_of(gate: Gate, run: Run) -> dict[str, str]:
    """By the variable's name, as a job made now would get them. Raises SecretsLost."""
    return {**own_values(gate, run), **referred(gate, run)}


def own_values(gate: Gate, run: Run) -> dict[str, str]:
    """Those that came with the run. Raises SecretsLost."""
    try:
        return gate.vault.open(run.sealed_secrets) if run.sealed_secrets is not None else {}
    except InvalidToken:
        raise SecretsLost("the run's secrets are sealed under another key") from None


def referred(gate: Gate, run: Run) -> dict[str, str]:
    """Those that the team keeps, as they are now. Raises SecretsLost."""
    refs = of_team(run.secret_refs)
    if not refs:
        return {}
    with gate.db.read() as session:
        try:
            return _kept(session, run.team, refs, gate.vault)
        except KeyError as missing:
            raise SecretsLost(f"the team has no secret {missing} any more") from None
        except InvalidToken:
            raise SecretsLost("the team's secrets are sealed under another key") from None


def refuse_refs(session: Session, request: RunRequest, team: str, vault: Vault, *, hold: bool = True) -> None:
    """Raise Invalid for a name that the team keeps no secret under, and SecretInText where the value of one stands in
    clear in the request. With `hold`, in a transaction that writes, none of them is taken away before its end."""
    refs = of_team(refs_in(request.secrets))
    known = team_secrets.named(session, team, refs.values(), hold=hold) if refs else {}
    for name, ref in refs.items():
        if ref not in known:
            has = ", ".join(one.name for one in team_secrets.every(session, team))
            raise Invalid(
                f"team {team} keeps no secret '{ref}'",
                field=f"secrets.{name}.ref",
                remedy=f"It keeps {has or 'none yet'}; PUT /teams/{team}/secrets/{ref} adds one.",
            )
    if refs:
        try:
            values = _kept(session, team, refs, vault)
        except InvalidToken:
            lost = "the team's secrets are sealed under another key than the one here"
            raise Invalid(lost, field="secrets", remedy="An admin puts the key back, or they are set anew.") from None
        body = request.model_dump(mode="json", exclude={"secrets"})
        refuse_secrets({**body, "secrets": {**plain_in(request.secrets), **values}})


def of_team(refs: Mapping[str, str]) -> dict[str, str]:
    """References to what the team keeps: all but those to the job's own token."""
    return {name: ref for name, ref in refs.items() if ref != JOB_TOKEN}


def _kept(session: Session, team: str, refs: Mapping[str, str], vault: Vault) -> dict[str, str]:
    rows = team_secrets.named(session, team, refs.values())
    return {name: vault.open(rows[ref].sealed_value)["value"] for name, ref in refs.items()}
