"""The wire's objects about teams' own tokens and named secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from service.api.wire import Wire
from service.domain.body import Body
from service.domain.errors import BrokenRule
from service.domain.form import Form
from service.domain.request import Namespace
from service.domain.variables import check_secret_value

TokenText = Annotated[
    str,
    Form(r"[\x21-\x7e]{1,256}", "a token is of visible ASCII characters", "Copy it from Hugging Face, without blanks."),
    Field(json_schema_extra={"writeOnly": True}),
]


class CredentialsPut(Body):
    """A team's own two tokens, and where they start jobs."""

    control_token: TokenText = Field(description="Starts, watches and stops jobs; never enters one: job.write")
    job_token: TokenText = Field(description="What a job gets as HF_TOKEN: repositories only")
    namespaces: list[Namespace] = Field(
        min_length=1, max_length=20, description="Where runs may be; the first is the team's default"
    )
    allow_broad_job_token: bool = Field(
        False, description="For admins: accept a job token that could itself start jobs, past every budget"
    )

    @field_validator("namespaces")
    @classmethod
    def _once_each(cls, namespaces: list[str]) -> list[str]:
        if len(set(namespaces)) < len(namespaces):
            raise BrokenRule("a namespace is named twice", "Name each once.")
        return namespaces

    @model_validator(mode="after")
    def _are_two(self) -> CredentialsPut:
        if self.control_token == self.job_token:
            raise BrokenRule(
                "the two tokens are one: what starts jobs never enters one",
                "Make a second token, with rights on repositories only.",
                at="job_token",
            )
        return self


class TokenLook(Wire):
    """What Hugging Face says of a token; the token itself is never shown. `warnings` name what it may do beyond what it
    needs."""

    account: str | None
    role: str | None
    warnings: list[str]


class TokensObject(Wire):
    """What is known of a control token and a job token. `problems`: why they do not do any more."""

    control: TokenLook
    job: TokenLook
    problems: list[str]
    namespaces: list[str]
    allow_broad_job_token: bool
    checked_at: datetime


class CredentialsObject(TokensObject):
    """A team's own."""

    team: str
    updated_at: datetime
    updated_by: str
    live_runs: int = Field(description="Runs that use them and have not ended")


class SecretPut(Body):
    """A secret's value."""

    value: str = Field(max_length=64 * 1024, json_schema_extra={"writeOnly": True})

    @field_validator("value")
    @classmethod
    def _is_one(cls, value: str) -> str:
        check_secret_value(value)
        return value


class SecretObject(Wire):
    """A secret of a team's, without its value."""

    name: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    live_runs: int = Field(description="Runs that refer to it and have not ended")
