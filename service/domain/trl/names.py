"""The nearest known name for a flag that there is not: what people type for it, its beginning, its spelling."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from service.domain.trl.owned import OWNED_FLAGS, owned_remedy


@cache
def aliases() -> dict[str, dict[str, str]]:
    """aliases.toml: `flags`, `fields` and `advice`, by what is typed."""
    found: dict[str, dict[str, str]] = tomllib.loads(
        files("service.domain.trl").joinpath("aliases.toml").read_text("utf-8")
    )
    return found


def field_meant(name: str, fields: Mapping[str, Any]) -> str | None:
    """The field of a body that people mean by a name; None where none of its fields is known to be."""
    meant = aliases()["fields"].get(name.replace("-", "_").lower(), "").rpartition(".")[2]
    return f"Did you mean '{meant}'?" if meant in fields else None


def place_meant(name: str, flags: Mapping[str, Any]) -> str | None:
    """Where in a run's body belongs what somebody wrote at its top; None where that is not known."""
    plain = name.strip().lstrip("-").replace("-", "_").lower()
    if (field := aliases()["fields"].get(plain)) is not None:
        return f"Give it as {field}." if "." in field else f"Did you mean '{field}'?"
    flag = aliases()["flags"].get(plain, plain)
    if flag in OWNED_FLAGS:
        return owned_remedy(flag).replace("out of args, and", "out, and")
    return f"Give it as recipe.args.{flag}." if flag in flags else None


def nearest(name: str, flags: Mapping[str, Any]) -> str:
    """A sentence that names what was probably meant among a release's flags."""
    plain = name.partition("=")[0].strip().lstrip("-").replace("-", "_").lower()
    known = aliases()
    if plain in flags:
        return f"Did you mean '{plain}'?"
    if plain in known["advice"]:
        return known["advice"][plain]
    if (meant := known["flags"].get(plain)) in flags:
        return f"Did you mean '{meant}'?"
    if (field := known["fields"].get(plain)) is not None:
        return f"Give {field}, a field beside 'args'."
    if plain.startswith("no_") and plain[3:] in flags:
        return f"Write '{plain[3:]}': false."
    # argparse takes any unique beginning for the whole flag, so that is the first thing a caller may have meant
    begun = [flag for flag in flags if flag.startswith(plain)] if plain else []
    close = begun[:1] or get_close_matches(plain, flags, n=1)
    return f"Did you mean '{close[0]}'?" if close else "GET /recipes/trl_sft/schema lists the flags."
