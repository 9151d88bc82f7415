"""Names on the Hub, by huggingface_hub's own rules."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

PART = r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"


def _hub_name(value: str) -> str:
    # huggingface_hub's own rules (utils/_validators.py): a name that breaks one can be asked for nowhere
    if "--" in value or ".." in value or value.endswith(".git"):
        raise ValueError("a name on the Hub holds no '--' and no '..', and does not end in '.git'")
    if len(value) > 96:
        raise ValueError("a name on the Hub has at most 96 characters")
    return value


HubId = Annotated[str, StringConstraints(pattern=rf"^{PART}(/{PART})?$"), AfterValidator(_hub_name)]
RepoId = Annotated[str, StringConstraints(pattern=rf"^{PART}/{PART}$"), AfterValidator(_hub_name)]
