"""Whether a script's text is a Python program at all: what certainly ends in seconds is told before it costs a minute.

Read by this process's own compiler. Where the script may run on a newer Python than this one, only what is wrong in
every Python is refused (`newer_syntax`).
"""

from __future__ import annotations

import ast
import json
import re
import sys
import threading
import warnings
from collections.abc import Callable

from service.domain.errors import BrokenRule
from service.domain.newer_syntax import told_again

HTML = re.compile(r"(?i)<(!doctype\s+html|html|head|body|\?xml)\b")
MAGIC = re.compile(r"(?m)^[ \t]*(?:!|%%?)[a-z_]\w*\b.*$")
CONFLICT = re.compile(r"(?m)^<{7} .*$")
# What an expression must have in it to do something.
DOING = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
OURS = sys.version_info[1]
# `warnings` keeps its filters for the whole process.
QUIET = threading.Lock()
RAW = "Send the script's own text, or the address of the raw file in 'url'."


def check_program(source: str, newest: int | None) -> None:
    """Raise BrokenRule, with the line, for a text that is no Python program. `newest` is the minor version of the
    newest Python that may run it, None where any may."""
    text = source.removeprefix("\ufeff").lstrip()
    if not text:
        raise BrokenRule("the script is empty", RAW)
    for is_other, rule, remedy in OTHERS:
        if is_other(text):
            raise BrokenRule(rule, remedy)
    tree = _parsed(source, newest)
    if tree is not None and not any(map(_does_something, tree.body)):
        raise BrokenRule("the script does nothing: there is no statement in it that would", RAW)


def _parsed(source: str, newest: int | None) -> ast.Module | None:
    """The program; None where only a newer Python can read it."""
    try:
        return _compiled(source, newest)
    except (RecursionError, MemoryError):
        raise BrokenRule("the script is nested too deep for Python's own parser", "Make it flatter.") from None
    except (SyntaxError, ValueError) as error:
        first = _broken(source, error)
        if newest is not None and newest <= OURS:
            raise first from None
    try:
        _compiled(told_again(source), None)
    except (SyntaxError, ValueError) as error:
        raise _broken(source, error) from None
    except (RecursionError, MemoryError):
        raise first from None
    return None


def _compiled(source: str, newest: int | None) -> ast.Module:
    data = source.encode()  # as a file is read: with its coding line and its byte order mark
    older = newest if newest is not None and newest < OURS else None
    with QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(data, "script.py", feature_version=None if older is None else (3, older))
        compile(tree, "script.py", "exec", dont_inherit=True)  # `return` outside of a function, and the like
    return tree


def _broken(source: str, error: SyntaxError | ValueError) -> BrokenRule:
    line = getattr(error, "lineno", None)
    rule = f"the script is not valid Python: {getattr(error, 'msg', None) or error}"
    if (magic := MAGIC.search(source)) is not None and line == source.count("\n", 0, magic.start()) + 1:
        return BrokenRule(
            f"line {line} is a notebook's command, and no Python",
            "Name packages in 'dependencies'; run other programs by subprocess.",
        )
    if line is None:
        return BrokenRule(rule, "Correct it.")
    lines = source.splitlines()
    shown = lines[line - 1].strip()[:80] if 0 < line <= len(lines) else ""
    return BrokenRule(f"{rule} (line {line}: {shown})" if shown else f"{rule} (line {line})", f"Correct line {line}.")


def _does_something(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return any(isinstance(node, DOING) for node in ast.walk(statement))
    return not isinstance(statement, ast.Pass) and not (
        isinstance(statement, ast.AnnAssign) and statement.value is None
    )


def _is_notebook(text: str) -> bool:
    found = _json(text)
    return isinstance(found, dict) and "cells" in found


def _json(text: str) -> object:
    try:
        return json.loads(text) if text[0] in "{[" else None
    except (ValueError, RecursionError):
        return None


OTHERS: tuple[tuple[Callable[[str], bool], str, str], ...] = (
    (lambda text: HTML.match(text) is not None, "this is a web page, and no script", RAW),
    (_is_notebook, "this is a notebook, and no script", "Export it (jupyter nbconvert --to script), and send that."),
    (lambda text: _json(text) is not None, "this is JSON, and no script", RAW),
    (
        lambda text: text.startswith("version https://git-lfs"),
        "this is Git LFS's pointer to the script, and not the script",
        RAW,
    ),
    (
        lambda text: text.startswith("```"),
        "the script begins with a fence of Markdown",
        "Send what is within the fences.",
    ),
    (
        lambda text: CONFLICT.search(text) is not None and "\n=======" in text,
        "the script holds a merge's conflict (<<<<<<<)",
        "Resolve it, and send the result.",
    ),
)
