"""What the pages' programs speak to."""

from __future__ import annotations

from tests.client.conftest import client, served

__all__ = ["client", "served"]
