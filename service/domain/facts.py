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
    # of what is MISSING: the repository is there and only its revision is not, and what may have been meant
    revision_missing: bool = False
    hint: str = ""

    @property
    def is_found(self) -> bool:
        """Whether there is anything to check."""
        return self.outcome is Outcome.FOUND


class ModelFact(_Fact):
    """A model at one commit. `parameters` are counts by their type in the safetensors files, `config` its config.json,
    None where it has none that can be used: `config_wrong` says what is wrong with it, `config_unread` why it is not
    known. `adapter_of` is the model that a repository with an adapter alone belongs to."""

    sha: str = ""
    config: dict[str, Any] | None = None
    config_wrong: str = ""
    config_unread: str = ""
    parameters: dict[str, int] = Field(default_factory=dict)
    has_chat_template: bool | None = None
    has_weights: bool | None = None
    has_tokenizer: bool | None = None
    adapter_of: str = ""
    is_gguf: bool = False

    @property
    def parameter_count(self) -> int | None:
        """All parameters; None where the Hub does not tell."""
        return sum(self.parameters.values()) or None


class Split(BaseModel):
    """A part of a dataset; None where the Hub does not tell. `counted` are the rows of a small file that was read
    whole."""

    model_config = ConfigDict(frozen=True)
    rows: int | None = None
    size_bytes: int | None = None
    counted: int | None = None

    @property
    def known_rows(self) -> int | None:
        """How many rows it has, from whoever knows."""
        return self.counted if self.rows is None else self.rows


class Shape(StrEnum):
    """What a dataset's first row has in a column."""

    TEXT = "a text"
    NUMBER = "a number"
    NULL = "null"
    CHAT = "messages with a role"
    TURNS = "messages with 'from' and 'value'"
    EMPTY = "an empty list"
    LIST = "a list"
    OBJECT = "an object"


class DatasetFact(_Fact):
    """A dataset at one commit. `configs` is each configuration's splits by name, empty where they could not be worked
    out; `columns` each configuration's column names, for those where they are known, `shapes` what its first row has in
    them. `wrong` says why nothing of it can be loaded, `wrong_in` why a configuration cannot, by the split that is at
    fault ("" for all). `source` says who told."""

    sha: str = ""
    configs: dict[str, dict[str, Split]] = Field(default_factory=dict)
    columns: dict[str, list[str]] = Field(default_factory=dict)
    shapes: dict[str, dict[str, Shape]] = Field(default_factory=dict)
    default_config: str | None = None
    wrong: str = ""
    wrong_in: dict[str, dict[str, str]] = Field(default_factory=dict)
    source: str = ""


class MountFact(_Fact):
    """A repository at one commit, or a bucket, which has none, that a job is to mount. `has_path`: whether the folder
    or file is there that is wanted of it, None where that is not known. A `message` to what is FOUND says what could
    not be asked."""

    sha: str = ""
    has_path: bool | None = None


class AccountFact(_Fact):
    """Whose a token is and what it may do. `writable`: the namespaces in which it may make repositories and commit."""

    name: str = ""
    writable: frozenset[str] = frozenset()


class JobsFact(_Fact):
    """Whether the control token may start jobs in a namespace: FOUND, DENIED, or MISSING where that cannot be asked."""
