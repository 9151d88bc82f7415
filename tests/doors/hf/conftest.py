"""The door in-process, over a world whose steps run when a test says so."""

from __future__ import annotations

from tests.api.conftest import api, database_url, keys, settled, world

__all__ = ["api", "database_url", "keys", "settled", "world"]
