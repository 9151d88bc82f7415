"""The door in-process, over a world whose steps run when a test says so."""

from __future__ import annotations

from tests.api.conftest import api, world

__all__ = ["api", "world"]
