"""The ground of what is answered: objects on the wire, apart from tables."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """What pydantic writes an object by is made when the first one is answered, not of all kinds at each start."""

    model_config = ConfigDict(defer_build=True)
