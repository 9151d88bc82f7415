"""The clients of these tests use the library's own session, whatever an earlier test put in its place."""

from __future__ import annotations

import pytest
from huggingface_hub import set_client_factory
from huggingface_hub.utils._http import default_client_factory


@pytest.fixture(autouse=True, scope="module")
def _the_librarys_own_session() -> None:
    set_client_factory(default_client_factory)
