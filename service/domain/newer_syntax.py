"""A script in newer Python's syntax, told again in that of the Python which reads it here, line for line.

For one purpose: whether what is left is wrong in every Python. What is known: strings with fields that nest (PEP 701 of
3.12, PEP 750 of 3.14), type parameters and `type` statements (PEP 695 and 696), `except A, B:` (PEP 758 of 3.14).
"""

from __future__ import annotations

import re

STRING = re.compile(r"(?i)(?<![\w])(?P<prefix>[fturb]{0,2})(?P<quote>'''|\"\"\"|'|\")")
TYPE = re.compile(r"(?m)^([ \t]*)type[ \t]+(\w+)[ \t]*(\[[^\]\n=]*\])?[ \t]*=")
PARAMETERS = re.compile(r"(?m)^([ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+\w+)[ \t]*\[")
EXCEPT = re.compile(r"(?m)^([ \t]*except\*?[ \t]+)([\w.]+(?:[ \t]*,[ \t]*[\w.]+)+)[ \t]*:")


def told_again(source: str) -> str:
    """The same lines, with newer constructs replaced by older ones of no meaning."""
    source = _without_fields(source)
    source = TYPE.sub(r"\1\2 =", source)
    while (found := PARAMETERS.search(source)) is not None:
        end = _closing(source, found.end())
        source = source[: found.end(1)] + "\\\n" * source.count("\n", found.end(1), end) + source[end:]
    return EXCEPT.sub(r"\1(\2):", source)


def _closing(source: str, at: int) -> int:
    """Where the bracket that was opened before `at` has been closed."""
    depth = 1
    while at < len(source) and depth:
        depth += {"[": 1, "]": -1}.get(source[at], 0)
        at += 1
    return at


def _without_fields(source: str) -> str:
    """Every f- and t-string as a plain one; comments and all other strings as they are."""
    kept, at, done = [], 0, 0
    while at < len(source):
        if source[at] == "#":
            at = _line_end(source, at)
        elif (found := STRING.match(source, at)) is not None:
            end, is_formatted = _string_end(source, found), bool({"f", "t"} & set(found["prefix"].lower()))
            if is_formatted and not source.startswith(found["quote"], end - len(found["quote"])):
                at = found.end()  # never closed: that is for the compiler to tell
                continue
            if is_formatted:
                kept += [source[done:at], '""', "\\\n" * source.count("\n", at, end)]
                done = end
            at = end
        else:
            at += 1
    return "".join([*kept, source[done:]])


def _string_end(source: str, found: re.Match[str]) -> int:
    quote, prefix = found["quote"], found["prefix"].lower()
    at = found.end()
    while at < len(source) and not source.startswith(quote, at):
        if source[at] == "\n" and len(quote) == 1:
            return at  # never closed
        if source[at] == "\\":
            at += 2
        elif {"f", "t"} & set(prefix) and source[at] == "{":
            at = at + 2 if source.startswith("{{", at) else _field_end(source, at + 1)
        else:
            at += 1
    return min(len(source), at + len(quote))


def _field_end(source: str, at: int) -> int:
    """Where the field of a string that was opened before `at` has been closed; strings within it count as one thing."""
    depth = 1
    while at < len(source) and depth:
        if source[at] == "#":
            at = _line_end(source, at)
        elif (found := STRING.match(source, at)) is not None:
            at = _string_end(source, found)
        else:
            depth += {"{": 1, "}": -1}.get(source[at], 0)
            at += 1
    return at


def _line_end(source: str, at: int) -> int:
    end = source.find("\n", at)
    return len(source) if end < 0 else end
