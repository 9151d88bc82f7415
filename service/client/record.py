"""What the service answers, as objects: typed where this release knows a field, and whole in `raw`."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from service.client.errors import UnexpectedAnswer


class Record(BaseModel):
    """An object of the API. A field that a later release adds is in `raw` alone."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, defer_build=True, protected_namespaces=())
    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def raw(self) -> dict[str, Any]:
        """The JSON as it came."""
        return self._raw

    @classmethod
    def of(cls, raw: Any) -> Self:
        """The object of an answer's JSON; raises UnexpectedAnswer for JSON that is none."""
        try:
            made = cls.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the object"
            raise UnexpectedAnswer("the service", f"{place} of {cls.__name__} is wrong: {first['msg']}") from None
        made._raw = raw
        return made
