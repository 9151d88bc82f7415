"""Where a log says that the training's charts are."""

from __future__ import annotations

import re

# wandb's own line; trackio 0.43: deploy.py `* Found existing space: …`, `* Creating new space: …`
HOSTED = re.compile(r"https://(?:wandb\.ai|huggingface\.co/spaces|[\w-]+\.hf\.space)/[\w./-]{3,200}")
SAYS_HOSTED = re.compile(r"(?i)view (?:run|dashboard|project)|trackio|(?:existing|new) space:")
# trackio 0.43, init(): a server of one's own, told without its token. Login and query are no part of a link to show.
SELF_HOSTED = re.compile(
    r"(?i)trackio .{1,60}self-hosted server: (https?://)(?:[^\s/@]{1,200}@)?([\w.:\[\]-]{1,200})(/[\w./~-]{0,200})?"
)


def dashboard_in(text: str) -> str | None:
    """The address that a line names, fit to be shown: without a login or a token; None where it names none."""
    if (own := SELF_HOSTED.search(text)) is not None:
        return "".join(part or "" for part in own.groups())
    found = HOSTED.search(text) if SAYS_HOSTED.search(text) else None
    return None if found is None else found.group()
