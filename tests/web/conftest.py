"""The pages in-process over a world, as a browser without scripts sees them."""

from __future__ import annotations

from tests.api.conftest import api, world

__all__ = ["api", "world"]
