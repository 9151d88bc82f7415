"""The wire's objects of webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from service.api.wire import Wire
from service.domain.body import AwareMoment, Body
from service.domain.endpoint import EndpointSpec, Events, Kind, Url, check_of_run
from service.domain.errors import BrokenRule

Description = Annotated[str, StringConstraints(max_length=200)]


class EndpointCreate(EndpointSpec):
    """A new webhook endpoint."""

    description: Description | None = None
    run_id: str | None = Field(None, max_length=64, description="Told of this run alone, which has not ended yet")
    team: str | None = Field(None, description="For admins; without it the endpoint is told of every team")

    @model_validator(mode="after")
    def _of_its_run(self) -> EndpointCreate:
        if self.run_id is not None:
            check_of_run(self.events or (), at="events")
        return self


class EndpointPatch(Body):
    """What is to change; what is left out stays."""

    url: Url | None = Field(None, description="Another address, of the same kind")
    events: Events | None = None
    description: Description | None = Field(None, description="null takes it away")
    enabled: bool | None = Field(None, description="false holds it still; true begins anew, also after a failure")

    @model_validator(mode="after")
    def _changes_something(self) -> EndpointPatch:
        for name in self.model_fields_set - {"description"}:
            if getattr(self, name) is None:
                raise BrokenRule("null changes nothing", "Send a value, or leave it out.", at=name)
        if not self.model_fields_set:
            raise BrokenRule("there is nothing to change", "Send one of url, events, description, enabled.")
        return self


class SecretRotate(Body):
    """For how long the secret that is replaced signs as well."""

    overlap_hours: int = Field(24, ge=0, le=168)


class RedeliverSince(Body):
    """What is sent again."""

    since: AwareMoment = Field(description="Events from then on", examples=["2026-12-01T00:00:00Z"])
    include_delivered: bool = Field(False, description="Also what arrived")


class RunEndpointObject(Wire):
    """An endpoint of a run's own, as everybody of the team may see it: the address without its query."""

    id: str
    kind: Kind
    url: str
    events: list[str]
    disabled_at: datetime | None


class EndpointObject(Wire):
    """An endpoint without its secret. The address of a channel is shown without its path, which is a secret too."""

    id: str
    team: str | None
    run_id: str | None
    kind: Kind
    url: str
    description: str | None
    events: list[str]
    created_at: datetime
    rotated_until: datetime | None = Field(description="Until then an earlier secret signs as well")
    failing_since: datetime | None = Field(description="Since when nothing has got through")
    disabled_at: datetime | None
    disabled_because: str | None


class NewEndpointObject(EndpointObject):
    """An endpoint with its signing secret, shown this once; null where nothing is signed."""

    secret: str | None


class RequestObject(Wire):
    """What was sent, or will be. No signature is shown; in lists the body is clipped."""

    method: Literal["POST", "SMTP"]
    url: str
    headers: dict[str, str]
    body: str


class DeliveryObject(Wire):
    """One event for one endpoint, and what the last try brought."""

    id: str
    event_id: str
    event_type: str
    subject: str = Field(description="The run's, budget's or endpoint's id; for `billing.drift` Hugging Face's job id")
    sequence: int
    state: Literal["pending", "delivered", "failed"]
    tries: int
    next_try_at: datetime | None
    created_at: datetime
    last_tried_at: datetime | None
    delivered_at: datetime | None
    status: int | None = Field(description="Of HTTP, or of an e-mail SMTP's")
    error: str | None
    response: str | None = Field(description="Its beginning, at most 2 KiB")
    latency_ms: int | None
    request: RequestObject


class RedeliveredObject(Wire):
    """What will be sent again."""

    deliveries: int
    has_more: bool = Field(description="More happened while the endpoint was disabled than one call takes: ask again")
