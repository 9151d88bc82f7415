"""Where a training reports to, and what that needs of a run beside the recipe."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from service.domain.hub_name import PART

SPACE = re.compile(rf"({PART}/)?{PART}")
# wandb/sdk/wandb_login.py: without a terminal a key is needed, but where nothing is sent
KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
NOT_SENT = ("offline", "disabled", "dryrun")


def reporting_refusal(
    flags: Mapping[str, Any], env: Mapping[str, str], secrets: Collection[str]
) -> tuple[str, str, str] | None:
    """The field, the rule and the remedy where the report would end the job; None where it can be made."""
    names = {*env, *secrets}
    is_sent = env.get("WANDB_MODE", "online").lower() not in NOT_SENT and "WANDB_MODE" not in secrets
    if flags.get("report_to") == "wandb" and is_sent and not names & {*KEYS}:
        return (
            "secrets.WANDB_API_KEY",
            "'report_to' wandb needs a key, and no terminal is there to ask for it",
            "Add WANDB_API_KEY to 'secrets', or take report_to 'trackio', which needs none.",
        )
    space = flags.get("trackio_space_id")
    if flags.get("report_to") == "trackio" and isinstance(space, str) and SPACE.fullmatch(space) is None:
        return (
            "recipe.args.trackio_space_id",
            "'trackio_space_id' is no name of a Space",
            "Write it as owner/name, with an owner that the jobs' token may write to, or leave it out.",
        )
    return None


def space_of(flags: Mapping[str, Any]) -> str | None:
    """The Space, as owner/name, that a training reports to where one is named: the job makes it, or writes to it."""
    space = flags.get("trackio_space_id")
    if flags.get("report_to") != "trackio" or not isinstance(space, str) or "/" not in space:
        return None
    return space
