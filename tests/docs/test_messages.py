"""Messages that the documents quote (“…”, with … for what differs) are the service's own."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTED = re.findall(r"“([^”]+)”", PAGE)


@pytest.fixture(scope="module")
def texts() -> str:
    """All texts in the code, without what is filled in."""
    found: list[str] = []
    for path in sorted((ROOT / "service").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_every_quoted_message_is_in_the_code(texts: str) -> None:
    assert len(QUOTED) > 10
    for message in QUOTED:
        parts = [part.strip() for part in message.split("…")]
        assert max(map(len, parts)) > 5, f"{message} says nothing of its own"
        assert not [part for part in parts if part not in texts], message
