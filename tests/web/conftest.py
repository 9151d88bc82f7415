"""The pages in-process over a world, as a browser without scripts sees them."""

from __future__ import annotations

from tests.api.conftest import api, database_url, keys, settled, world

__all__ = ["api", "database_url", "keys", "settled", "world"]
