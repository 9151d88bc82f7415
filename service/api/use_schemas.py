"""How a model is used, on the wire."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from service.api.wire import Wire


class EndpointForObject(Wire):
    """The cheapest instance of Inference Endpoints that is known to hold the model, and the command that makes it."""

    command: str
    instance: str = Field(examples=["nvidia-l4 x1"])
    memory_gb: float
    price_per_hour_usd: float = Field(description="For one replica while it runs; billed by the minute")
    source: str
    read_on: date = Field(description="When the price was read there")


class UseObject(Wire):
    """How the model is used. What is null has its reason in `why_not`."""

    python: str | None
    download: str
    endpoint: EndpointForObject | None
    base_model: str | None = Field(description="Of an adapter, where it is known")
    why_not: dict[str, str]
