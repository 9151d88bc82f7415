"""Texts of a form: a pattern for machines, and for people a rule in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from service.domain.errors import BrokenRule


@dataclass(frozen=True)
class Form:
    """Annotates a text that must be of a form; `pattern` is of ASCII, and for the whole text. Where what was sent comes
    close to something known, `near` says so: pairs of a pattern and a remedy, in which `{}` is the first group."""

    pattern: str
    rule: str
    remedy: str
    near: tuple[tuple[str, str], ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}

    def check(self, text: str) -> str:
        """The text as it is; raises BrokenRule for one of another form."""
        if re.fullmatch(self.pattern, text, re.ASCII):
            return text
        for pattern, remedy in self.near:
            if found := re.fullmatch(pattern, text):
                raise BrokenRule(self.rule, remedy.format(*found.groups()))
        raise BrokenRule(self.rule, self.remedy)
