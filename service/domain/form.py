"""Texts of a form: a pattern for machines, and for people a rule in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from unicodedata import combining, normalize

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from service.domain.errors import BrokenRule


@dataclass(frozen=True)
class Form:
    """Annotates a text that must be of a form; `pattern` is of ASCII, and for the whole text. Where what was sent comes
    close to something known, `near` says so: pairs of a pattern and a remedy, in which `{}` is the first
    group, where that is of the form."""

    pattern: str
    rule: str
    remedy: str
    near: tuple[tuple[str, str], ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}

    def fits(self, text: str) -> bool:
        """Whether a text is of the form."""
        return re.fullmatch(self.pattern, text, re.ASCII) is not None

    def check(self, text: str) -> str:
        """The text as it is; raises BrokenRule for one of another form."""
        if self.fits(text):
            return text
        if self.fits(plain := _plain(text)):
            raise BrokenRule(self.rule, f"Send '{plain}': letters are those from a to z.")
        for pattern, remedy in self.near:
            for one in (text, plain):
                if (found := re.fullmatch(pattern, one)) and ("{}" not in remedy or self.fits(found[1])):
                    raise BrokenRule(self.rule, remedy.format(*found.groups()))
        raise BrokenRule(self.rule, self.remedy)


def _plain(text: str) -> str:
    """The same without accents: `e` for `é`, and full-width letters as plain ones."""
    return "".join(sign for sign in normalize("NFKD", text) if not combining(sign))
