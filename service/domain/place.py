"""Where jobs run: a namespace as those see it who hold certain tokens."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """`credentials` is the team whose own tokens are used there; None: the service's. Two teams may have one namespace
    with tokens of their own: that is two places."""

    credentials: str | None
    namespace: str

    def __str__(self) -> str:
        return self.namespace if self.credentials is None else f"{self.namespace} (team {self.credentials})"
