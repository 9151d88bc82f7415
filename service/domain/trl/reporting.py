"""Where a training reports to, and what that needs of a run beside the recipe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from service.domain.hub_name import PART

Refusal = tuple[str, str, str]
Secrets = Mapping[str, str | None]
SPACE = re.compile(rf"({PART}/)?{PART}")
# wandb/sdk/wandb_login.py: without a terminal a key is needed, but where nothing is sent
KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
NOT_SENT = ("offline", "disabled", "dryrun")
# trackio 0.43, init(): a server of one's own takes numbers only with the token that it began with, in its address or by
# itself; a Space goes before it, and a bucket beside it is a ValueError
SERVER, WRITE_TOKEN = "TRACKIO_SERVER_URL", "TRACKIO_WRITE_TOKEN"
WITH_TOKEN = "https://trackio.example.com/?write_token=…"


def reporting_refusal(
    flags: Mapping[str, Any], env: Mapping[str, str], secrets: Mapping[str, str | None]
) -> Refusal | None:
    """The field, the rule and the remedy where the report would end the job; None where it can be made. Of a secret
    whose value is None, only the name is known."""
    match flags.get("report_to"):
        case "wandb":
            return _wandb_refusal(env, secrets)
        case "trackio":
            return _space_refusal(flags) or _server_refusal(flags, env, secrets)
    return None


def space_of(flags: Mapping[str, Any]) -> str | None:
    """The Space, as owner/name, that a training reports to where one is named: the job makes it, or writes to it."""
    space = flags.get("trackio_space_id")
    if flags.get("report_to") != "trackio" or not isinstance(space, str) or "/" not in space:
        return None
    return space


def _wandb_refusal(env: Mapping[str, str], secrets: Secrets) -> Refusal | None:
    is_sent = env.get("WANDB_MODE", "online").lower() not in NOT_SENT and "WANDB_MODE" not in secrets
    if not is_sent or {*env, *secrets} & {*KEYS}:
        return None
    return (
        "secrets.WANDB_API_KEY",
        "'report_to' wandb needs a key, and no terminal is there to ask for it",
        "Add WANDB_API_KEY to 'secrets', or take report_to 'trackio', which needs none.",
    )


def _space_refusal(flags: Mapping[str, Any]) -> Refusal | None:
    space = flags.get("trackio_space_id")
    if not isinstance(space, str) or SPACE.fullmatch(space) is not None:
        return None
    return (
        "recipe.args.trackio_space_id",
        "'trackio_space_id' is no name of a Space",
        "Write it as owner/name, with an owner that the jobs' token may write to, or leave it out.",
    )


def _server_refusal(
    flags: Mapping[str, Any], env: Mapping[str, str], secrets: Mapping[str, str | None]
) -> Refusal | None:
    """Of a trackio server of one's own. Its address is never quoted: it may hold the token."""
    place = "secrets" if SERVER in secrets else "env"
    address = secrets.get(SERVER, env.get(SERVER))
    if address is None and SERVER not in secrets:
        return None
    for flag in ("trackio_space_id", "trackio_bucket_id"):
        if flags.get(flag) is not None:
            return f"recipe.args.{flag}", f"'{flag}' and {SERVER} are two places to report to", "Give one of the two."
    if address is None:
        return None
    query = _query(address)
    if query is None:
        return f"{place}.{SERVER}", f"{SERVER} is no http or https address", f"Write it out: {WITH_TOKEN}"
    if not any(query.get("write_token", ())) and WRITE_TOKEN not in secrets:
        return (
            f"secrets.{WRITE_TOKEN}",
            "a trackio server takes no numbers without its write token",
            f"Send the address that `trackio show` printed in 'secrets' ({WITH_TOKEN}), or {WRITE_TOKEN} beside it.",
        )
    return None


def _query(address: str) -> dict[str, list[str]] | None:
    """What an address asks for; None where it is none."""
    try:
        parts = urlsplit(address.strip())
        is_address = parts.scheme in ("http", "https") and parts.hostname is not None and (parts.port or 1) > 0
    except ValueError:
        return None
    return parse_qs(parts.query) if is_address else None
