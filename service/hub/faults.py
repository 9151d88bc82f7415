"""What can go wrong with a call to Hugging Face, told apart by what it proves."""

from __future__ import annotations

import httpx2
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import parse_ratelimit_headers

from service.domain.text import cleaned

# Of a create call these answers prove that no job was made; any other outcome leaves it open.
PROOF_OF_NO_JOB = frozenset({400, 401, 402, 403, 404, 422, 429})


class HubFault(Exception):
    """A call that did not bring what it was made for. `status` is None where no answer came; `code` is the Hub's own
    word (`RepoNotFound`, `GatedRepo` …), which it gives under more than one status."""

    def __init__(
        self,
        message: str,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.code = code


class HubRefused(HubFault):
    """Hugging Face said no, and nothing was done."""


class HubUnavailable(HubFault):
    """No usable answer; of a reading call, nothing more follows."""


class HubUnclear(HubFault):
    """A create call whose outcome is open: a job may exist."""


def refusal(error: HfHubHTTPError) -> HubFault:
    """A reading call's error answer. 5xx, 408 and 429 will pass; the rest is a refusal."""
    status = error.response.status_code
    kind = HubUnavailable if status >= 500 or status in (408, 429) else HubRefused
    return kind(_message(error), status, _retry_after(error.response), error.response.headers.get("x-error-code"))


def create_fault(error: HfHubHTTPError) -> HubFault:
    """A create call's error answer."""
    status = error.response.status_code
    kind = HubRefused if status in PROOF_OF_NO_JOB else HubUnclear
    return kind(_message(error), status, _retry_after(error.response))


def connection_fault(error: httpx2.HTTPError) -> HubFault:
    """No answer. Where no connection was made, nothing was sent."""
    # A LocalProtocolError quotes the header that it does not like, which may be the token.
    is_quotable = str(error) and not isinstance(error, httpx2.LocalProtocolError)
    return HubUnavailable(f"{type(error).__name__}: {error}" if is_quotable else type(error).__name__)


def _message(error: HfHubHTTPError) -> str:
    # The exception also holds the request, with token and secrets: nothing but the server's own words leaves here.
    return cleaned(error.server_message or f"HTTP {error.response.status_code}")[:500]


def _retry_after(response: httpx2.Response) -> float | None:
    try:
        return float(response.headers["retry-after"])
    except (KeyError, ValueError):
        window = parse_ratelimit_headers(response.headers)
    return float(window.reset_in_seconds) if window is not None and window.remaining == 0 else None
