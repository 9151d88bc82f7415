"""Whose a token is and what it may do, from the answer of `whoami`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.facts import AccountFact, Outcome
from service.domain.text import cleaned
from service.domain.token_rights import WRITING_ROLES, Scope, TokenRights
from service.hub.faults import HubUnavailable


def account_from_json(told: object) -> AccountFact:
    """Whose it is and where it may write. Raises HubUnavailable where the answer names no account."""
    rights = rights_from_json(told)
    return AccountFact(outcome=Outcome.FOUND, name=rights.account, writable=rights.writable)


def rights_from_json(told: object) -> TokenRights:
    """The rights of a classic token are its user's, those of a fine-grained one are listed. Raises HubUnavailable where
    the answer names no account."""
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise HubUnavailable("an answer that names no account")
    token = _object(_object(told, "auth"), "accessToken")
    listed = _object(token, "fineGrained")
    orgs = [one for one in _list(told, "orgs") if isinstance(one.get("name"), str)]
    return TokenRights(
        account=cleaned(told["name"]),
        role=str(token.get("role") or "write"),
        orgs=tuple(cleaned(org["name"]) for org in orgs if org.get("roleInOrg") in WRITING_ROLES),
        scopes=tuple(map(_scope, _list(listed, "scoped"))),
        everywhere=_texts(listed.get("global")),
    )


def _scope(one: Mapping[str, Any]) -> Scope:
    entity = _object(one, "entity")
    return Scope(cleaned(str(entity.get("type"))), cleaned(str(entity.get("name"))), _texts(one.get("permissions")))


def _texts(value: object) -> frozenset[str]:
    return frozenset(cleaned(one) for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def _list(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    inner = value.get(name)
    return [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []
