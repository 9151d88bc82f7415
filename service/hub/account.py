"""Whose a token is and where it may write, from the answer of `whoami`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.facts import AccountFact, Outcome
from service.hub.faults import HubUnavailable

WRITING_ROLES = ("admin", "write", "contributor")


def account_from_json(told: object) -> AccountFact:
    """The rights of a classic token are its user's, those of a fine-grained one are listed. Raises HubUnavailable where
    the answer names no account."""
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise HubUnavailable("an answer that names no account")
    orgs = [one for one in _list(told, "orgs") if isinstance(one.get("name"), str)]
    token = _object(_object(told, "auth"), "accessToken")
    if token.get("role") == "read":
        writable: set[str] = set()
    elif token.get("role") == "fineGrained":
        scoped = _list(_object(token, "fineGrained"), "scoped")
        rights = [one for one in scoped if "repo.write" in (one.get("permissions") or ())]
        writable = {str(_object(one, "entity").get("name")) for one in rights}
    else:
        writable = {told["name"], *(org["name"] for org in orgs if org.get("roleInOrg") in WRITING_ROLES)}
    return AccountFact(outcome=Outcome.FOUND, name=told["name"], writable=frozenset(writable))


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def _list(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    inner = value.get(name)
    return [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []
