"""What every page has: who looks at it, the API as they may use it, and the templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from cryptography.fernet import InvalidToken
from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from service.api.credentials import by_cookie
from service.api.same_site import COOKIE, token_of
from service.api.state import App, State
from service.domain.access import Role
from service.domain.errors import NotAuthenticated, NotFound
from service.store.sign_ins import Who
from service.web.filters import FILTERS
from service.web.inside import Inside, Refusal
from service.web.wording import percent

HERE = Path(__file__).parent
STATIC = HERE / "static"
SEE_OTHER = 303
# What the last action told, for the next page: kept by the browser, sealed, and shown once.
NOTICE = "__Host-tunegate-notice"
NOTICE_LASTS = timedelta(seconds=60)


def _templates() -> Jinja2Templates:
    loader = FileSystemLoader(HERE / "templates")
    made = Environment(
        loader=loader,
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(percent=percent)
    return Jinja2Templates(env=made)


TEMPLATES = _templates()


class SignInFirst(Exception):
    """Nobody is signed in; `path` is where they wanted to go."""

    def __init__(self, path: str) -> None:
        self.path = path


@dataclass(frozen=True)
class Visit:
    """Somebody who is signed in looks at a page. `api` answers as them, `who` is what GET /me says of them."""

    request: Request
    app: State
    who: Who
    api: Inside

    def reaches(self, role: str) -> bool:
        """Whether their role is this one or a higher one."""
        return self.who.role.reaches(Role(role))

    def show(self, template: str, status: int = 200, **context: Any) -> Response:
        """A page of theirs."""
        answer = page(self.request, template, self.who, status, reaches=self.reaches, notice=self._notice(), **context)
        if NOTICE in self.request.cookies:
            drop_cookie(answer, NOTICE)
        return answer

    def go(self, path: str, notice: str | None = None, is_refusal: bool = False) -> Response:
        """On to another page of this service, which tells the notice once."""
        answer = RedirectResponse(path, SEE_OTHER)
        if notice is not None:
            sealed = self.app.gate.vault.seal({"text": notice, "kind": "refused" if is_refusal else "done"}).decode()
            keep_cookie(answer, NOTICE, sealed, NOTICE_LASTS)
        return answer

    def onward(self, path: str, notice: str, is_refusal: bool = False) -> Response:
        """The same after a form: a page with scripts goes there by itself."""
        answer = self.go(path, notice, is_refusal)
        if self.is_part:
            answer.status_code = 200
            answer.headers["hx-redirect"] = path
        return answer

    @property
    def is_part(self) -> bool:
        """Whether a script asks, which puts what it gets into the page."""
        return self.request.headers.get("hx-request") == "true"

    def _notice(self) -> dict[str, str] | None:
        sealed = self.request.cookies.get(NOTICE)
        try:
            return None if sealed is None else self.app.gate.vault.open(sealed.encode())
        except InvalidToken:
            return None


def look(request: Request, app: App) -> Visit:
    """Whose visit a request is; raises SignInFirst."""
    who = signed_in(request, app)
    if who is None:
        raise SignInFirst(_here(request))
    return Visit(request, app, who, Inside(request))


Looking = Annotated[Visit, Depends(look)]


def signed_in(request: Request, app: State) -> Who | None:
    """Whose session the request is of; None where nobody is signed in."""
    cookie = request.cookies.get(COOKIE)
    try:
        return None if cookie is None else by_cookie(app, cookie)
    except NotAuthenticated:
        return None


def page(request: Request, name: str, who: Who | None, status: int = 200, **context: Any) -> Response:
    """A page. `csrf_token` is what its forms send along."""
    cookie = request.cookies.get(COOKIE)
    token = None if who is None or cookie is None else token_of(cookie)
    given = {"notice": None, "reaches": lambda _role: False, **context}
    return TEMPLATES.TemplateResponse(
        request, name, {"who": who, "csrf_token": token, "here": _here(request), **given}, status_code=status
    )


def keep_cookie(answer: Response, name: str, value: str, lasts: timedelta) -> None:
    """A cookie as all of ours are: for the whole of this host, over https, out of the reach of scripts."""
    seconds = int(lasts.total_seconds())
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(answer: Response, name: str) -> None:
    """Take one back: a browser does so only for what it was kept with."""
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def _here(request: Request) -> str:
    """The address that was asked for, without its host."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def own_path(path: str | None) -> str:
    """Where to go after a sign-in or an action: a path of this service, whatever a link asks for."""
    parts = urlsplit(path or "")
    is_own = path and path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc
    return path if is_own and path and path.isprintable() else "/"


def install(app: FastAPI) -> None:
    """Answer what pages cannot show: to the sign-in, or a page that says why. After all other pages: what is below
    `/ui` and none of them is nothing."""

    @app.get("/ui/{path:path}", include_in_schema=False)
    def nothing(path: str, _visit: Looking) -> Response:
        raise Refusal.of(NotFound(f"there is no page /ui/{path}"))

    @app.exception_handler(SignInFirst)
    def sign_in_first(_request: Request, error: Exception) -> Response:
        assert isinstance(error, SignInFirst)
        onward = "" if error.path == "/" else f"?next={quote(error.path)}"
        return RedirectResponse(f"/sign-in{onward}", SEE_OTHER)

    @app.exception_handler(Refusal)
    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        state: State = request.app.state.tunegate
        return page(request, "refused.html", signed_in(request, state), error.status, refusal=error)
