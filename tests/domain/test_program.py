"""Scripts that are no programs are refused; what only a newer Python can read is not."""

from __future__ import annotations

import json
import sys

import pytest

from service.domain.errors import BrokenRule
from service.domain.program import check_program

NOTEBOOK = json.dumps({"cells": [{"cell_type": "code", "source": ["print(1)"]}], "nbformat": 4, "metadata": {}})


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "empty"),
        ("\ufeff \n", "empty"),
        ("# only\n# comments\n", "does nothing"),
        ('"""Words."""\n', "does nothing"),
        ("# /// script\n# dependencies = ['trl']\n# ///\n", "does nothing"),
        ("train.py", "does nothing"),
        ("cHJpbnQoMSkK", "does nothing"),
        ("model: x\nlr: 1e-5\n", "does nothing"),
        ("print", "does nothing"),
        ("<!DOCTYPE html>\n<html></html>", "web page"),
        ("\n <html lang=en>", "web page"),
        (NOTEBOOK, "notebook"),
        ('{"a": 1}', "JSON"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS"),
        ("```python\nprint(1)\n```\n", "Markdown"),
        ("x = 1\n<<<<<<< HEAD\ny = 2\n=======\ny = 3\n>>>>>>> b\n", "conflict"),
        ("404: Not Found", "line 1"),
        ("import os\n!pip install trl\n", "line 2 is a notebook's command"),
        ("%pip install trl\n", "notebook's command"),
        ("import os\n\ndef f(:\n    pass\n", "line 3: def f(:"),
        ("if 1:\nprint(1)\n", "line 2"),
        ("print 'hello'\n", "line 1"),
        ("x = 'abc\n", "line 1"),
        ("print(\N{LEFT DOUBLE QUOTATION MARK}hello\N{RIGHT DOUBLE QUOTATION MARK})\n", "line 1"),
        ("x\N{NO-BREAK SPACE}= 1\n", "line 1"),
        ("print(1)\nreturn 5\n", "line 2"),
        ("await f()\n", "line 1"),
        ("from __future__ import braces\n", "not a chance"),
        ("# -*- coding: klingon -*-\nprint(1)\n", "klingon"),
        ("import os\\nprint(1)\\n", "line 1"),
        ("python train.py --lr 1e-5", "line 1"),
        ("x = f'{1'\nprint(1)\n", "line 1"),
        ("-" * 20_000 + "1", "nested too deep"),
    ],
)
@pytest.mark.parametrize("newest", [None, sys.version_info[1], 14])
def test_what_is_no_program_is_told(source: str, says: str, newest: int | None) -> None:
    with pytest.raises(BrokenRule, match="(?i)" + says.replace("(", r"\(")) as caught:
        check_program(source, newest)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "\ufeffprint(1)\n",
        "# -*- coding: latin-1 -*-\nprint('x')\n",
        "import train\n",
        "x = '\\d'\nassert x is 'x'\n",  # what Python only warns of
        "x: int = 1\n",
        "[f() for f in fs]\n",
        "print('''<<<<<<< HEAD''')\n",
        "\x0cprint(1)\n",
    ],
)
@pytest.mark.parametrize("newest", [None, sys.version_info[1], 10])
def test_programs_pass(source: str, newest: int | None) -> None:
    check_program(source, newest)


NEWER = [
    ("type Pair[T] = tuple[T, T]\n", 12),
    ("type X = int\n", 12),
    ("def f[T: (int, str), *Ts, **P](x: T) -> T:\n    return x\n", 12),
    ("async def f[\n    T,\n](x: T): ...\nf(1)\n", 12),
    ("class A[T = dict[str, int]](B): ...\n", 13),
    ('x = f"{\'a\' + "b"}"\n', 12),
    ("print(f'{d['key']!r:>{w['a']}} {'\\n'.join(x)} {{ }}')\n", 12),
    ("print(f'''{\n    x  # why }\n}''', 1)\n", 12),
    ('x = rf"{m["a"]}\\d"; y = 1\n', 12),
    ("x = t'hello {name}'\n", 14),
    ("try:\n    f()\nexcept ValueError, TypeError:\n    pass\n", 14),
    ("try:\n    f()\nexcept* A.B, C:\n    pass\n", 14),
]


@pytest.mark.parametrize(("source", "minor"), NEWER)
def test_newer_syntax_is_for_newer_pythons(source: str, minor: int) -> None:
    check_program(source, None)
    check_program(source, minor)
    if sys.version_info[1] < minor:
        with pytest.raises(BrokenRule):
            check_program(source, min(minor - 1, sys.version_info[1]))


@pytest.mark.parametrize(("source", "_minor"), NEWER)
def test_beside_newer_syntax_an_error_keeps_its_line(source: str, _minor: int) -> None:
    with pytest.raises(BrokenRule, match=rf"line {source.count(chr(10)) + 1}: def g\(:"):
        check_program(f"{source}def g(:\n", None)


def test_older_pythons_lack_what_came_later() -> None:
    with pytest.raises(BrokenRule, match=r"3\.10"):
        check_program("match 1:\n    case 1: pass\n", 9)
