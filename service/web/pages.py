"""What every page has: templates, and the session of who looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from service.api.credentials import by_cookie
from service.api.same_site import COOKIE, token_of
from service.api.state import State
from service.domain.errors import NotAuthenticated
from service.store.sign_ins import Who

HERE = Path(__file__).parent
STATIC = HERE / "static"
TEMPLATES = Jinja2Templates(
    env=Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
)


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
    return TEMPLATES.TemplateResponse(request, name, {"who": who, "csrf_token": token, **context}, status_code=status)
