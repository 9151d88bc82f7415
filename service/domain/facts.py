"""What the Hub says of a model, a dataset or a token: read once, kept for a while, shared by all runs that ask.

A fact that could not be read is *unknown*, which is never taken for a no.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Outcome(StrEnum):
    """What came of asking."""

    FOUND = "found"
    MISSING = "missing"  # there is no such thing, or it does not show itself to this token
    GATED = "gated"  # it is there, and its terms have not been accepted
    DENIED = "denied"  # the token itself was refused
    UNKNOWN = "unknown"  # no usable answer: it may be anything


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True)
    outcome: Outcome
    # what the Hub said where it is not FOUND
    message: str = ""

    @property
    def is_found(self) -> bool:
        """Whether there is anything to check."""
        return self.outcome is Outcome.FOUND


class ModelFact(_Fact):
    """A model at one commit. `parameters` are counts by their type in the safetensors files, `config` its config.json,
    None where it has none."""

    sha: str = ""
    config: dict[str, Any] | None = None
    parameters: dict[str, int] = Field(default_factory=dict)
    has_chat_template: bool | None = None

    @property
    def parameter_count(self) -> int | None:
        """All parameters; None where the Hub does not tell."""
        return sum(self.parameters.values()) or None


class Split(BaseModel):
    """A part of a dataset; None where the Hub does not tell."""

    model_config = ConfigDict(frozen=True)
    rows: int | None = None
    size_bytes: int | None = None


class DatasetFact(_Fact):
    """A dataset at one commit. `configs` is each configuration's splits by name, empty where they could not be worked
    out; `columns` each configuration's column names, for those where they are known. `source` says who told."""

    sha: str = ""
    configs: dict[str, dict[str, Split]] = Field(default_factory=dict)
    columns: dict[str, list[str]] = Field(default_factory=dict)
    default_config: str | None = None
    source: str = ""


class AccountFact(_Fact):
    """Whose a token is and what it may do. `writable`: the namespaces in which it may make repositories and commit."""

    name: str = ""
    writable: frozenset[str] = frozenset()


class JobsFact(_Fact):
    """Whether the control token may start jobs in a namespace: FOUND, DENIED, or MISSING where that cannot be asked."""
