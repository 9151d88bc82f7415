"""What routes work with, put on the application by `app.create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from service.api.proven import Proven
from service.api.rates import Rates
from service.api.streams import OpenStreams
from service.flow.gate import Gate

if TYPE_CHECKING:  # what reads tokens is loaded by those who trust an issuer
    from service.api.issuer import Issuer


@dataclass(frozen=True)
class State:
    """`ages` says how long ago each step last ran."""

    gate: Gate
    admin_key: str
    namespace: str | None
    ages: Callable[[], dict[str, float | None]]
    is_leading: Callable[[], bool]
    # whose tokens are taken beside keys; None where nobody's are
    issuer: Issuer | None = None
    session_lasts: timedelta = timedelta(hours=12)
    streams: OpenStreams = field(default_factory=OpenStreams)
    rates: Rates = field(default_factory=Rates)
    # what this process measures of itself
    meters: CollectorRegistry = field(default_factory=CollectorRegistry)
    proven: Proven = field(default_factory=Proven)

    def now(self) -> datetime:
        """The time of this request."""
        return self.gate.clock()


def app_of(request: Request) -> State:
    """The application's state."""
    state = request.app.state.tunegate
    assert isinstance(state, State)
    return state


async def get_state(request: Request) -> State:
    """The same as a dependency. Not in a thread: that would cost more than it does."""
    return app_of(request)


App = Annotated[State, Depends(get_state)]
