"""What goes wrong between a caller and the service, one class for each thing that callers tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TunegateError(Exception):
    """Whatever this package raises. `remedy` says what to do about it, where that is known."""

    remedy: str | None = None


class Unreachable(TunegateError):
    """No answer came, however often it was asked for."""

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        self.remedy = f"Check that the service runs at {url} (`tunegate serve`), or set TUNEGATE_URL to where it does."
        super().__init__(f"{url} did not answer: {why}. {self.remedy}")


class StillRunning(TunegateError, TimeoutError):
    """The time to wait is over and the run is not. It goes on; wait again, or cancel it."""

    def __init__(self, run_id: str, state: str, seconds: float) -> None:
        self.run_id, self.state = run_id, state
        self.remedy = "Wait again, or cancel it."
        super().__init__(f"{run_id} is still {state} after {seconds:g} s. {self.remedy}")


class UnexpectedAnswer(TunegateError):
    """An answer in a form that this client does not know: another release's, or another server's."""

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        self.remedy = "Check that TUNEGATE_URL names a Tunegate of this release."
        super().__init__(f"{url} answered what is not understood: {why}. {self.remedy}")


class UntrustedWebhook(TunegateError):
    """A letter that none of the secrets has signed, or not lately: answer it with 400 and believe nothing of it."""


class Problem(TunegateError):
    """An RFC 9457 problem document. `code` is stable; `raw` holds further members, such as `need_usd`."""

    def __init__(self, status: int, document: Mapping[str, Any], retry_after_seconds: float | None = None) -> None:
        self.status = status
        self.raw = dict(document)
        self.code = str(document.get("code") or f"http_{status}")
        self.detail = str(document.get("detail") or document.get("title") or f"the answer was {status}")
        self.field: str | None = document.get("field")
        self.remedy = document.get("remedy")
        self.errors: list[dict[str, Any]] = list(document.get("errors") or ())
        self.retry_after_seconds = retry_after_seconds
        super().__init__(" ".join(filter(None, (_sentence(self.detail), self.remedy, f"({self.code})"))))


class Refused(Problem):
    """400, 413, 422 and their like: the request cannot be carried out as it stands."""


class Unauthorised(Problem):
    """401: no key, or one that is not valid."""


class Forbidden(Problem):
    """403: the key is known and may not do this."""


class NotFound(Problem):
    """404: there is none, or it is another team's."""


class Conflict(Problem):
    """409: what it is about is in a state that does not allow it, or the name is taken."""


class TooManyRequests(Problem):
    """429, still after the tries that were made: `retry_after_seconds` says when there is room again."""


class ServiceFault(Problem):
    """5xx: the service, or what stands before it, could not answer."""


_BY_STATUS = {401: Unauthorised, 403: Forbidden, 404: NotFound, 409: Conflict, 429: TooManyRequests}


def problem(status: int, document: Mapping[str, Any], retry_after_seconds: float | None = None) -> Problem:
    """The exception for an answer of 300 or more."""
    kind = _BY_STATUS.get(status, Refused if status < 500 else ServiceFault)
    return kind(status, document, retry_after_seconds)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
