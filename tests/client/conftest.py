"""The client of the service that runs for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.client import Tunegate
from tests.processes import ADMIN_KEY, Service
from tests.served import served

__all__ = ["served"]


@pytest.fixture
def client(served: Service) -> Iterator[Tunegate]:
    """As the admin."""
    with Tunegate(served.url, ADMIN_KEY) as client:
        yield client
