"""The form of a flavor's name."""

from __future__ import annotations

from typing import Annotated

from service.domain.form import Form

# In place of a name: the estimate chooses.
AUTO = "auto"

FlavorName = Annotated[
    str,
    Form(
        r"[a-z0-9][a-z0-9-]{0,62}",
        "a flavor's name is of lower-case letters, digits and '-', such as a10g-large",
        "GET /flavors lists them.",
        near=(
            (r"\s*([A-Za-z0-9]+)[ _-]+([A-Za-z0-9]+)\s*", "GET /flavors lists them; names are written as a10g-large."),
        ),
    ),
]
