"""The Python client: `Tunegate` and `AsyncTunegate`, their errors, and `verify_webhook`. docs/client.md shows them."""

from service.client.async_client import AsyncTunegate
from service.client.async_run import AsyncRun
from service.client.client import Tunegate
from service.client.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Problem,
    Refused,
    ServiceFault,
    StillRunning,
    TooManyRequests,
    TunegateError,
    Unauthorised,
    UnexpectedAnswer,
    Unreachable,
    UntrustedWebhook,
)
from service.client.run import Run
from service.client.webhooks import verify_webhook

__all__ = [
    "AsyncRun",
    "AsyncTunegate",
    "Conflict",
    "Forbidden",
    "NotFound",
    "Problem",
    "Refused",
    "Run",
    "ServiceFault",
    "StillRunning",
    "TooManyRequests",
    "Tunegate",
    "TunegateError",
    "Unauthorised",
    "UnexpectedAnswer",
    "Unreachable",
    "UntrustedWebhook",
    "verify_webhook",
]
