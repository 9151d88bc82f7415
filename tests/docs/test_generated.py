"""Pages that tell what the code says are what `make docs` would write now."""

from __future__ import annotations

import pytest

from tools.docs.__main__ import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_the_code_is(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), f"docs/{name} is stale: make docs"
