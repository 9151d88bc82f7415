"""`tunegate login, logout`: address and key in a file of the user's own, in place of the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import typer

FILE = "profile.json"
DEFAULT_URL = "http://127.0.0.1:8080"


class Profile(NamedTuple):
    """A key, and the one service that it is for: it is sent to no other."""

    url: str
    key: str


def login() -> None:
    """Keep the service's address and your key, readable by you only. TUNEGATE_URL and TUNEGATE_KEY go before it."""
    from service.client import Tunegate

    url = os.environ.get("TUNEGATE_URL") or typer.prompt("Where is the service?", default=DEFAULT_URL)
    key = os.environ.get("TUNEGATE_KEY") or typer.prompt("API key (not shown)", hide_input=True)
    try:
        with Tunegate(url, key.strip()) as client:
            me, found = client.me(), Profile(client.url, key.strip())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    write(found)
    typer.echo(f"You are {me.user}, {me.role} of {me.team or 'the organisation'}; kept in {place()}.")


def logout() -> None:
    """Forget what `login` kept. The key goes on until it is revoked."""
    place().unlink(missing_ok=True)
    typer.echo("Forgotten.")


def place() -> Path:
    """The file, in the folder where a user's programs keep such things."""
    return Path(typer.get_app_dir("tunegate")) / FILE


def read() -> Profile | None:
    """What was kept; None where nothing was, or nothing that can be read."""
    try:
        kept = json.loads(place().read_text())
        return Profile(str(kept["url"]), str(kept["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(profile: Profile) -> None:
    """Keep it in place of what was there, readable by its owner only from the first byte on."""
    path = place()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(profile._asdict(), file)
    os.replace(draft, path)
