"""Endpoints: who is told, in which form, and what may be one. Programs get signed events, people short messages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from service.domain.body import Body
from service.domain.errors import BrokenRule
from service.domain.event_pattern import FOR_PEOPLE, FOR_PROGRAMS, EventPattern
from service.domain.target import url_refusal

PORTS = frozenset({443, 8443})
MOST_PER_RUN = 5
PREFIX = "whsec_"
# Standard Webhooks: "between 24 bytes (192 bits) and 64 bytes (512 bits)"
FEWEST_BYTES, MOST_BYTES = 24, 64
# One mailbox, without the odd forms that RFC 5321 allows and no provider gives out.
MAILTO = re.compile(
    r"mailto:([A-Za-z0-9.!#$'*+/=^_`{|}~-]{1,64}@(?=[^@]{1,255}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63})"
)
ELSEWHERE = "Use a public https address, or TUNEGATE_WEBHOOK_ALLOWED_TARGETS names this one."


class Kind(StrEnum):
    """The form of what is sent: Standard Webhooks' signed JSON, a message in a channel, or an e-mail."""

    STANDARD = "standard"
    SLACK = "slack"
    DISCORD = "discord"
    TEAMS = "teams"
    EMAIL = "email"

    @property
    def is_signed(self) -> bool:
        """Whether the receiver can check who sent it."""
        return self is Kind.STANDARD

    @property
    def default_events(self) -> list[EventPattern]:
        """What is told where nobody chose: people are not told of each step."""
        return list(FOR_PROGRAMS if self is Kind.STANDARD else FOR_PEOPLE)


# Addresses whose owners read nothing but their own form.
VENDORS = {
    "hooks.slack.com": Kind.SLACK,
    "hooks.slack-gov.com": Kind.SLACK,
    "discord.com": Kind.DISCORD,
    "discordapp.com": Kind.DISCORD,
    "webhook.office.com": Kind.TEAMS,
}


def check_secret(secret: str) -> str:
    """A signing secret as it is; raises BrokenRule, which does not repeat it, for what is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not FEWEST_BYTES <= len(key) <= MOST_BYTES:
        raise BrokenRule(
            f"a signing secret is '{PREFIX}' and the base64 of {FEWEST_BYTES} to {MOST_BYTES} random bytes",
            "Make one with: echo whsec_$(openssl rand -base64 32)",
        )
    return secret


Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Secret = Annotated[str, StringConstraints(max_length=200), AfterValidator(check_secret)]
Events = Annotated[list[EventPattern], Field(min_length=1, max_length=50)]


class EndpointSpec(Body):
    """Where to tell what. `events` left out: all of runs for `standard`; for people the ends of runs, what awaits
    approval, and money."""

    url: Url = Field(
        description="An https address; `mailto:alice@acme.com` for `email`", examples=["https://acme.com/hooks/runs"]
    )
    kind: Kind = Field(Kind.STANDARD, description="The form of what is sent", strict=False)
    events: Events | None = None
    secret: Secret | None = Field(None, description="A signing secret of your own, `whsec_…`; for `standard` only")

    @model_validator(mode="after")
    def _signed_or_not(self) -> EndpointSpec:
        if self.secret is not None and not self.kind.is_signed:
            raise BrokenRule(f"what is sent to '{self.kind}' is not signed", "Leave the secret out.", at="secret")
        return self

    def wanted(self, *, of_run: bool) -> list[str]:
        """The events that it is told of, a run's own endpoint of those of runs."""
        return [one for one in self.events or self.kind.default_events if not of_run or concerns_runs(one)]


class RunWebhook(EndpointSpec):
    """An endpoint for one run. Its secret comes from the caller, as the answer of POST /runs is the same on every
    replay and shows none."""

    @field_validator("events")
    @classmethod
    def _of_runs(cls, events: Events | None) -> Events | None:
        check_of_run(events or ())
        return events

    @model_validator(mode="after")
    def _brings_its_secret(self) -> RunWebhook:
        if self.secret is None and self.kind.is_signed:
            raise BrokenRule(
                "a run's endpoint needs a secret of your own: the answer shows none",
                "Make one with: echo whsec_$(openssl rand -base64 32)",
                at="secret",
            )
        return self


def concerns_runs(pattern: str) -> bool:
    """Whether a pattern finds events of runs."""
    return pattern == "*" or pattern.startswith("run.")


def check_of_run(events: Iterable[str], at: str | None = None) -> None:
    """Raise BrokenRule, for the field `at`, where a run's own endpoint asks for what it is never told of."""
    for one in events:
        if not concerns_runs(one):
            raise BrokenRule(
                f"an endpoint of one run is told of that run, and never of '{one}'",
                "Leave it out; POST /webhooks makes an endpoint for the team.",
                at=at,
            )


def endpoint_refusal(kind: Kind, url: str, allowed: Sequence[str], has_mail: bool) -> tuple[str, str] | None:
    """Why nothing is sent to an address, with what to do instead; or None. Names are looked up when they are called."""
    if kind is Kind.EMAIL:
        return _mail_refusal(url, has_mail)
    if (refusal := url_refusal(url, allowed, ports=PORTS)) is not None:
        if url.startswith("mailto:"):
            return "an e-mail address is of the kind 'email'", 'Send "kind": "email" with it.'
        return refusal, ELSEWHERE
    vendor = _vendor(url)
    if vendor not in (None, kind):
        return f"this address takes messages of the kind '{vendor}'", f'Send "kind": "{vendor}" with it.'
    return None


def mailbox(url: str) -> str:
    """The mailbox of an endpoint of the kind `email`; raises ValueError for what holds none."""
    if (found := MAILTO.fullmatch(url)) is None:
        raise ValueError("not one mailbox")
    return found[1]


def shown(kind: Kind, url: str) -> str:
    """An address for those who may see the endpoint: whoever has a channel's own can post to it."""
    if kind in (Kind.STANDARD, Kind.EMAIL):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def without_query(url: str) -> str:
    """An address for a wider circle: what stands in a query is often a token."""
    return url.partition("?")[0].partition("#")[0]


def _mail_refusal(url: str, has_mail: bool) -> tuple[str, str] | None:
    if MAILTO.fullmatch(url) is None:
        return "an e-mail goes to one mailbox", "Write it as mailto:alice@acme.com, without anything else."
    if not has_mail:
        return (
            "this service has no mail server",
            "Ask the operator to set TUNEGATE_SMTP_URL and TUNEGATE_SMTP_FROM, or take another kind.",
        )
    return None


def _vendor(url: str) -> Kind | None:
    host = (urlsplit(url).hostname or "").rstrip(".")
    return next((kind for name, kind in VENDORS.items() if host == name or host.endswith(f".{name}")), None)
