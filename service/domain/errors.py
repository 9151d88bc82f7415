"""What a client can do wrong, one class each. Raised anywhere, rendered once as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ServiceError(Exception):
    """A fault in the caller's terms. `detail` says what, `remedy` what to do; `extra` members join the document."""

    status = 500
    code = "internal_error"
    title = "Something went wrong here"

    def __init__(self, detail: str, *, remedy: str | None = None, field: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.field = field
        self.extra = extra
        self.headers: dict[str, str] = {}


class MalformedBody(ServiceError):
    """The body cannot be read at all."""

    status, code, title = 400, "malformed_body", "The body cannot be read"


class NotAuthenticated(ServiceError):
    """No key, or one that is not valid."""

    status, code, title = 401, "not_authenticated", "A valid API key is needed"

    def __init__(self, detail: str, **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        self.headers = {"www-authenticate": "Bearer"}


class NotAllowed(ServiceError):
    """The caller is known, and may not do this."""

    status, code, title = 403, "not_allowed", "The caller may not do this"


class NotFound(ServiceError):
    """No such object, or one of another team: the two are not told apart."""

    status, code, title = 404, "not_found", "No such object"


class NotAcceptable(ServiceError):
    """The answer has no form that the client takes."""

    status, code, title = 406, "not_acceptable", "Not in a form that is accepted"


class TooLarge(ServiceError):
    """More than is read."""

    status, code, title = 413, "too_large", "The body is too large"


class AddressTooLong(ServiceError):
    """More than is read of an address."""

    status, code, title = 414, "address_too_long", "The address is too long"


class HeadersTooLarge(ServiceError):
    """More than is read before a body."""

    status, code, title = 431, "headers_too_large", "The headers are too large"


class MalformedRequest(ServiceError):
    """What is no HTTP."""

    status, code, title = 400, "malformed_request", "The request cannot be read"


class RequestTimeout(ServiceError):
    """A request that was begun and did not arrive."""

    status, code, title = 408, "request_timeout", "The request took too long to arrive"

    def __init__(self, detail: str, **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        # what else may come on this connection belongs to a request that is over
        self.headers = {"connection": "close"}


class WrongMediaType(ServiceError):
    """A body of another kind than this address takes."""

    status, code, title = 415, "unsupported_media_type", "The body is of another kind"


class Conflict(ServiceError):
    """The object is in a state that does not allow this, or the name is taken."""

    status, code, title = 409, "conflict", "In conflict with what is there"


class IdempotencyConflict(Conflict):
    """The key was used before with another body."""

    code, title = "idempotency_key_reused", "The Idempotency-Key was used with another body"


class TeamArchived(Conflict):
    """The team takes no more runs."""

    code, title = "team_archived", "The team is archived"


class Invalid(ServiceError):
    """A value that cannot be right."""

    status, code, title = 422, "invalid", "The request cannot be carried out"


class BrokenRule(ValueError):
    """A rule of a request body, raised where a value breaks it: whoever reads the body knows the place and adds it.
    `at` is the name within that place, `kind` what class of problem it is."""

    def __init__(self, rule: str, remedy: str, *, at: str | None = None, kind: type[Invalid] = Invalid) -> None:
        super().__init__(rule)
        self.rule = rule
        self.remedy = remedy
        self.at = at
        self.kind = kind


class UnknownField(Invalid):
    """A field that this body does not have."""

    code, title = "unknown_field", "There is no such field or parameter"


def together(found: Sequence[Invalid]) -> Invalid:
    """The first of what is wrong at once, telling of all in `errors`."""
    first = found[0]
    first.extra["errors"] = [{"field": one.field, "rule": one.detail, "remedy": one.remedy} for one in found]
    return first


class SecretInText(Invalid):
    """A secret where everybody can read it."""

    code, title = "secret_in_text", "A secret outside of 'secrets'"


class ImageNotAllowed(Invalid):
    """The installation does not run this image."""

    code, title = "image_not_allowed", "The image is not allowed here"


class ExceedsBudget(Invalid):
    """Can never fit the budget, however long it waits."""

    code, title = "exceeds_budget", "The run can never fit its budget"


class ExceedsLimit(Invalid):
    """Breaks a limit that waiting does not lift."""

    code, title = "exceeds_limit", "The run breaks a limit"


class DoesNotFit(Invalid):
    """The training needs more memory or disk than the flavor has."""

    code, title = "does_not_fit", "The training does not fit the flavor"


class PreflightFailed(Invalid):
    """A check by which the run would fail before it starts, done already."""

    code, title = "preflight_failed", "The run would fail its checks"


class UnknownFlavor(Invalid):
    """Hugging Face does not offer this hardware."""

    code, title = "unknown_flavor", "Unknown hardware flavor"


class TooManyRequests(ServiceError):
    """More than is taken in; later there is room again."""

    status, code, title = 429, "too_many_requests", "Too many requests"

    def __init__(self, detail: str, *, retry_seconds: int, **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        self.headers = {"retry-after": str(retry_seconds)}


class RateLimited(TooManyRequests):
    """More requests of one key or address than it may send."""

    code, title = "rate_limited", "Too many requests of one caller"


class Overloaded(ServiceError):
    """As many connections as there can be."""

    status, code, title = 503, "overloaded", "Too many connections are open"


class HubDown(ServiceError):
    """Hugging Face did not answer; nothing was changed."""

    status, code, title = 503, "hub_unavailable", "Hugging Face did not answer"


class IssuerDown(ServiceError):
    """The OpenID Connect issuer did not say by which keys it signs."""

    status, code, title = 503, "issuer_unavailable", "The identity provider did not answer"


class Busy(ServiceError):
    """Several processes changed the same at the same time, again and again; nothing was changed by this one."""

    status, code, title = 503, "busy", "Too much is being changed at once"


class DatabaseAway(ServiceError):
    """The database cannot be reached, or cannot do it now; nothing was changed."""

    status, code, title = 503, "database_unavailable", "The database did not answer"

    def __init__(self, detail: str, **kwargs: Any) -> None:
        super().__init__(detail, **kwargs)
        self.headers = {"retry-after": "2"}


class OutcomeUnknown(ServiceError):
    """The database was cut off at the last moment: the change is there, or it is not."""

    status, code, title = 504, "outcome_unknown", "It is not known whether this was done"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, remedy="With an Idempotency-Key, send it again; without one, look before you do.")
