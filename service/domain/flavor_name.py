"""The form of a flavor's name."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

# In place of a name: the estimate chooses.
AUTO = "auto"

FlavorName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
