"""Routes that the documents name are there, and docs/api.md names the role that the service is held to."""

from __future__ import annotations

import re

from tests.api.test_edges import LEAST, OPEN
from tests.docs.pages import ROOT, pages

TOLD = re.compile(r"^`([A-Z]+) (\S+)`: (?:role `(\w+)`|(any key|no key))", re.M)
NAMED = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`\s?…]*)")
REFERENCE = (ROOT / "docs" / "api.md").read_text()
SANDBOX = ("POST", "/sandbox/faults")


def bare(path: str) -> str:
    """A path whatever its parameters are called."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_every_route_names_its_least_role() -> None:
    told = TOLD.findall(REFERENCE)
    assert len(told) > 80
    for method, path, role, key in told:
        if path in OPEN:
            assert key == "no key", path
        else:
            assert (role or key) in (LEAST.get((method, path), "viewer"), "any key"), f"{method} {path}"
    assert [path for _, path, _, key in told if key == "any key"] == ["/me"]


def test_every_route_that_is_named_is_there() -> None:
    known = {(method, bare(path)) for method, path, _, _ in TOLD.findall(REFERENCE)} | {SANDBOX}
    named = [(method, bare(path)) for page in pages() for method, path in NAMED.findall(page.read_text())]
    assert len(named) > 120
    assert set(named) <= known
