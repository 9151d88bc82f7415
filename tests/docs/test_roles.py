"""The role that docs/api.md names for a route is the one that the service is held to."""

from __future__ import annotations

import re

from tests.api.test_edges import LEAST, OPEN
from tests.docs.pages import ROOT

TOLD = re.compile(r"^`([A-Z]+) (\S+)`: (?:role `(\w+)`|(any key|no key))", re.M)


def test_every_route_names_its_least_role() -> None:
    told = TOLD.findall((ROOT / "docs" / "api.md").read_text())
    assert len(told) > 80
    for method, path, role, key in told:
        if path in OPEN:
            assert key == "no key", path
        else:
            assert (role or key) in (LEAST.get((method, path), "viewer"), "any key"), f"{method} {path}"
    assert [path for _, path, _, key in told if key == "any key"] == ["/me"]
