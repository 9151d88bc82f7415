"""The container image of a job: which form it has, and which ones an installation allows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from service.domain.errors import BrokenRule

# github.com/distribution/reference: a host, a lower-case path, and a tag, a digest or both.
PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REFERENCE = re.compile(
    rf"(?:[a-zA-Z0-9.-]+(?::[0-9]{{1,5}})?/)?{PATH}(?:/{PATH})*(?::\w[\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?",
    re.ASCII,
)

# A recipe's command is run by bash and uv, so the default is images known to have both: those of uv itself with a
# Debian below (its plain tags hold no shell, its Alpine ones no bash), and vLLM's, whose Dockerfile installs uv.
DEFAULT_ALLOWED = ("ghcr.io/astral-sh/uv:*bookworm*", "ghcr.io/astral-sh/uv:*trixie*", "vllm/vllm-openai:*")


def _reference(value: str) -> str:
    if not REFERENCE.fullmatch(value):
        raise BrokenRule(
            "an image is named as 'host/path:tag', 'path:tag' or with '@sha256:…'",
            "Send it as `docker pull` takes it, in lower case, or leave it out.",
        )
    return value


ImageName = Annotated[str, StringConstraints(max_length=255), AfterValidator(_reference)]


def image_refusal(image: str, allowed: Sequence[str]) -> str | None:
    """Why an image is not run, by patterns in which `*` stands for any text; or None."""
    if not REFERENCE.fullmatch(image):
        return f"'{image}' is no name of an image"
    if any(fnmatchcase(image, pattern) for pattern in allowed):
        return None
    return f"the image '{image}' is not among those that this installation allows ({', '.join(allowed) or 'none'})"
