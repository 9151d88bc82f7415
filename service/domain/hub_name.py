"""Names on the Hub, by huggingface_hub's own rules."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from service.domain.errors import BrokenRule
from service.domain.form import Form

PART = r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
# What people copy instead of the name.
NEAR = (
    (
        r"(?i)\s*(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?:(?:datasets|spaces|models)/)?([^/\s]+/[^/?#\s]+).*",
        "Send '{}'.",
    ),
    (r"(?:hf://)?(?:datasets|spaces|models)/([^/\s]+/[^/\s]+)/?", "Send '{}': which kind it is, the field says."),
    (r"(?:hf://)([^/\s]+/[^/\s]+)/?", "Send '{}'."),
    (r"([^/\s@:]+/[^/\s@:]+)[@:][^/\s]+", "Send '{}'; a revision has a field of its own."),
    (r"\s*([A-Za-z0-9_][\w.-]*/[\w.-]*\w)[\s/]*", "Send '{}', with nothing before or behind it."),
    (
        r"(?:[.~]{0,2}/|[A-Za-z]:\\).*",
        "A job sees nothing of your machine: upload it to the Hub, and name the repository.",
    ),
    (r"[a-z0-9]+://.*", "Upload it to the Hub, and name the repository, as in owner/name."),
)
SIGNS = "letters from a to z (or A to Z), digits, '.', '_' and '-', which begin and end with none of the last two"


def _hub_name(value: str) -> str:
    # huggingface_hub's own rules (utils/_validators.py): a name that breaks one can be asked for nowhere
    if "--" in value or ".." in value or value.endswith(".git"):
        raise BrokenRule("a name on the Hub holds no '--' and no '..', and does not end in '.git'", "Rename it.")
    if len(value) > 96:
        raise BrokenRule("a name on the Hub has at most 96 characters", "Shorten it.")
    return value


HubId = Annotated[
    str,
    Form(
        rf"{PART}(/{PART})?",
        f"this is no name on the Hub: owner/name, or a name alone, of {SIGNS}",
        "Send it as the Hub shows it, such as 'HuggingFaceTB/SmolLM3-3B'.",
        near=NEAR,
    ),
    AfterValidator(_hub_name),
]
RepoId = Annotated[
    str,
    Form(
        rf"{PART}/{PART}",
        f"this is no repository's name: owner/name, of {SIGNS}",
        "Send it as owner/name, such as 'acme/my-model'.",
        near=NEAR,
    ),
    AfterValidator(_hub_name),
]
