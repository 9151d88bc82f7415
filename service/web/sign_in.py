"""Signing in with a key, or at the OpenID Connect issuer (authorization code with PKCE), and out again."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import structlog
from cryptography.fernet import InvalidToken
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session

from service.api.auth import deed_of
from service.api.credentials import by_claims, by_key
from service.api.same_site import COOKIE, refuse_foreign, refuse_other_sites
from service.api.state import App, State
from service.domain.errors import IssuerDown, NotAllowed, NotAuthenticated, ServiceError
from service.domain.moment import iso
from service.store import audit, sign_ins
from service.store.sign_ins import Who
from service.web.pages import SEE_OTHER, drop_cookie, keep_cookie, own_path, page

if TYPE_CHECKING:
    from service.api.issuer import Issuer

router = APIRouter(include_in_schema=False)
log = structlog.get_logger()

# What a sign-in at the issuer was begun with: kept by the browser, sealed, for as long as one takes.
BEGUN = "__Host-tunegate-sign-in"
BEGUN_LASTS = timedelta(minutes=10)
CALLBACK = "/sign-in/callback"
# Where to go once it is done: the page that somebody asked for.
Onward = Annotated[str, Query(alias="next", max_length=1000)]


@router.get("/sign-in")
def show(request: Request, app: App, onward: Onward = "/") -> Response:
    """The ways to sign in."""
    return _form(request, app, onward)


@router.post("/sign-in")
def with_key(request: Request, app: App, key: Annotated[str, Form(max_length=500)], onward: Onward = "/") -> Response:
    """Begin a session with a key: it may do what the key may, and ends with it."""
    try:
        refuse_other_sites(request.headers)
        return _begin(request, app, by_key(app, key.strip()), onward)
    except ServiceError as error:
        return _form(request, app, onward, error)


@router.get("/sign-in/oidc")
def at_issuer(request: Request, app: App, team: str | None = None, onward: Onward = "/") -> Response:
    """Go to the issuer; `team` for somebody who has several."""
    try:
        issuer = _issuer(app)
        begun = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun["verifier"].encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": issuer.terms.client_id,
            "redirect_uri": _callback(request, app),
            "scope": issuer.terms.scope,
            "state": begun["state"],
            "nonce": begun["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        place = issuer.place("authorization_endpoint")
    except ServiceError as error:
        return _form(request, app, onward, error)
    answer = RedirectResponse(f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}", SEE_OTHER)
    until = iso(app.now() + BEGUN_LASTS)
    keep_cookie(
        answer,
        BEGUN,
        app.gate.vault.seal({**begun, "team": team or "", "next": onward, "until": until}).decode(),
        BEGUN_LASTS,
    )
    return answer


@router.get(CALLBACK)
def back(request: Request, app: App, code: str | None = None, state: str | None = None) -> Response:
    """Back from the issuer: the code is exchanged for a token, whose claims say who it is."""
    try:
        issuer, begun = _issuer(app), _begun(request, app)
        if code is None or not secrets.compare_digest((state or "").encode(), begun["state"].encode()):
            raise NotAuthenticated("the issuer's answer is not to this sign-in", remedy="Begin anew.")
        token = issuer.exchange(code, begun["verifier"], _callback(request, app))
        claims = issuer.claims(token, nonce=begun["nonce"], audiences=(issuer.terms.client_id,))
        answer = _begin(request, app, by_claims(app, claims, begun["team"] or None), begun["next"])
    except ServiceError as error:
        answer = _form(request, app, "/", error)
    drop_cookie(answer, BEGUN)
    return answer


@router.post("/sign-out")
def sign_out(request: Request, app: App, csrf_token: Annotated[str, Form(max_length=100)] = "") -> Response:
    """End the session, here and wherever its cookie is."""
    cookie = request.cookies.get(COOKIE)
    if cookie is not None:
        try:
            refuse_foreign(request.headers, cookie, csrf_token)
        except NotAllowed as error:
            return _form(request, app, "/", error)
        app.gate.db.write(partial(sign_ins.end, cookie=cookie))
    answer = RedirectResponse("/sign-in", SEE_OTHER)
    drop_cookie(answer, COOKIE)
    return answer


def _begin(request: Request, app: State, who: Who, onward: str) -> Response:
    def work(session: Session) -> str:
        audit.enter(session, deed_of(request, who), who.team, app.now())
        return sign_ins.begin(session, who, app.now(), app.session_lasts)

    cookie = app.gate.db.write(work)
    log.info("signed_in", user=who.user, team=who.team, role=who.role, via=who.via)
    answer = RedirectResponse(own_path(onward), SEE_OTHER)
    keep_cookie(answer, COOKIE, cookie, app.session_lasts)
    return answer


def _form(request: Request, app: State, onward: str, error: ServiceError | None = None) -> Response:
    status = 200 if error is None else error.status
    has_issuer = app.issuer is not None
    return page(request, "sign_in.html", None, status, error=error, has_issuer=has_issuer, onward=own_path(onward))


def _issuer(app: State) -> Issuer:
    if app.issuer is None:
        raise IssuerDown("no OpenID Connect issuer is configured", remedy="Sign in with a key.")
    return app.issuer


def _begun(request: Request, app: State) -> dict[str, str]:
    try:
        begun = app.gate.vault.open(request.cookies.get(BEGUN, "").encode())
    except InvalidToken:
        raise NotAuthenticated("this browser began no sign-in", remedy="Begin anew.") from None
    if begun["until"] <= iso(app.now()):
        raise NotAuthenticated("the sign-in took too long", remedy="Begin anew.")
    return begun


def _callback(request: Request, app: State) -> str:
    return (app.gate.public_url or str(request.base_url).rstrip("/")) + CALLBACK
