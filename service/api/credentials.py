"""What a caller comes with, and whom it stands for: a key, a token of the issuer, or the cookie of a session."""

from __future__ import annotations

import hmac
from typing import Any

from sqlmodel import Session

from service.api.state import State
from service.domain.access import USER, Role, Scope
from service.domain.errors import NotAllowed, NotAuthenticated
from service.domain.grants import Grant, granted
from service.store import keys, sign_ins, teams, users
from service.store.sign_ins import Who
from service.store.tables import ApiKey

NEW_KEY = "Ask a lead of the team for a new one."
# OpenID Connect Core 5.1 has a boolean; some issuers send a text.
UNVERIFIED = (False, "false")


def by_secret(state: State, secret: str, team: str | None = None) -> Who:
    """Whom a bearer's text stands for. `team`: for which of their teams somebody with several calls. Raises
    NotAuthenticated, NotAllowed where nothing is granted to them, and IssuerDown."""
    is_token = state.issuer is not None and secret.count(".") == 2 and not _is_first_key(state, secret)
    who = _by_token(state, secret, team) if is_token else by_key(state, secret)
    state.rates.welcome(secret)
    return who


def by_key(state: State, secret: str) -> Who:
    """Whom a key stands for; raises NotAuthenticated."""
    if _is_first_key(state, secret):
        return Who("admin", None, Role.ADMIN, "setting", admin_key_hash=keys.hash_of(state.admin_key))
    with state.gate.db.read() as session:
        if (key := keys.by_secret(session, secret)) is None:
            raise NotAuthenticated("the key is not valid", remedy=NEW_KEY)
        who = _holder(session, state, key)
    if key.last_used_at is None or state.now() - key.last_used_at > keys.NOTED_EVERY:
        state.gate.db.submit(lambda session: keys.note_use(session, key.id, state.now()))
    return who


def _is_first_key(state: State, secret: str) -> bool:
    """Whether it is the first admin's, which may be of any form."""
    return hmac.compare_digest(secret.encode("utf-8", "surrogatepass"), state.admin_key.encode())


def _by_token(state: State, token: str, team: str | None) -> Who:
    assert state.issuer is not None
    return by_claims(state, state.issuer.claims(token), team)


def by_claims(state: State, claims: dict[str, Any], team: str | None) -> Who:
    """Whom a token of the issuer stands for, by what its claims are granted here. Who is new to a team is its user
    afterwards."""
    assert state.issuer is not None
    terms = state.issuer.terms
    user, values = claims.get(terms.user_claim), claims.get(terms.claim, [])
    if not isinstance(user, str) or not USER.fits(user):
        raise NotAuthenticated(f"the token's '{terms.user_claim}' names no user", remedy="Ask for a scope that has it.")
    if terms.user_claim == "email" and claims.get("email_verified") in UNVERIFIED:
        raise NotAuthenticated("the address in the token was never verified", remedy="Verify it at the issuer.")
    # an address means the same person however it is written
    user = user.lower() if terms.user_claim == "email" else user
    held = values if isinstance(values, list) else [values]
    grant = granted(terms.grants, map(str, held), team)
    if grant is None:
        raise NotAllowed(f"nothing is granted to '{user}' here", remedy="Ask the operator (TUNEGATE_OIDC_GRANTS).")
    if grant.team is not None:
        _take_in(state, grant, user)
    return Who(user, grant.team, grant.role, "oidc")


def by_cookie(state: State, cookie: str) -> Who:
    """Whom a session stands for; it ends with what it was begun with. Raises NotAuthenticated."""
    with state.gate.db.read() as session:
        found = sign_ins.find(session, cookie, state.now())
        if found is None:
            raise NotAuthenticated("the session is over", remedy="Sign in at /sign-in.")
        state.rates.welcome(cookie)
        if found.key_id is not None:
            return _holder(session, state, session.get_one(ApiKey, found.key_id), via="session")
        if found.via == "setting" and found.admin_key_hash != keys.hash_of(state.admin_key):
            raise NotAuthenticated("the first admin's key is another one now", remedy="Sign in at /sign-in.")
        if found.team is not None:
            users.refuse_shut_out(users.get(session, found.team, found.user))
            if teams.is_closed(session, found.team):
                raise NotAuthenticated(f"team {found.team} is archived", remedy="Sign in at /sign-in.")
        return Who(found.user, found.team, Role(found.role), "session")


def _holder(session: Session, state: State, key: ApiKey, via: str = "key") -> Who:
    """The user of a key that holds; raises NotAuthenticated for any other, and for a user who is shut out."""
    if (ended := keys.end_of(key, state.now())) is not None:
        raise NotAuthenticated(f"the key {ended}", remedy=NEW_KEY)
    if key.team is not None:
        users.refuse_shut_out(users.get(session, key.team, key.user))
    scopes = None if key.scopes is None else tuple(map(Scope, key.scopes))
    return Who(key.user, key.team, Role(key.role), via, key.id, scopes=scopes)


def _take_in(state: State, grant: Grant, user: str) -> None:
    with state.gate.db.read() as session:
        team = teams.get(session, str(grant.team))
        known = users.get(session, str(grant.team), user)
    if team is None:
        raise NotAllowed(f"there is no team '{grant.team}' yet", remedy="An admin makes it: POST /teams.")
    if team.archived_at is not None:
        raise NotAllowed(f"team {team.name} is archived", remedy=f"POST /teams/{team.name}/unarchive opens it.")
    users.refuse_shut_out(known)
    if known is None:
        state.gate.db.write(lambda session: users.ensure(session, team.name, user, state.now()))
