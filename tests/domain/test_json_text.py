"""Bodies as they come over the wire: what is no JSON, and what is JSON and cannot be meant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import Invalid, MalformedBody
from service.domain.json_text import DEEPEST, read_json

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
NUMBER = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc"), VALUES))
def test_what_json_carries_is_read_as_it_is(body: dict[str, object]) -> None:
    assert read_json(json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    ("body", "line", "column", "remedy"),
    [
        ('{"a": 1,}', 1, 9, "comma before the closing"),
        ("{\n  'a': 1}", 2, 3, "double quotes"),
        ('{"a": True}', 1, 7, "lower case"),
        ('{"a": None}', 1, 7, "lower case"),
        ('{\n// why\n"a": 1}', 2, 1, "no comments"),
        ('{"a": 1}{"a": 2}', 1, 9, "one object per request"),
        ('{"a": "x\ny"}', 1, 9, "\\n"),
        ("{\N{LEFT DOUBLE QUOTATION MARK}a\N{RIGHT DOUBLE QUOTATION MARK}: 1}", 1, 2, "plain double quotes"),
        ("a: 1", 1, 1, "UTF-8"),
    ],
)
def test_what_is_no_json_is_told_with_line_and_column(body: str, line: int, column: int, remedy: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        read_json(body.encode())
    assert f"line {line}, column {column}" in caught.value.detail
    assert remedy in (caught.value.remedy or "")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1"])
def test_other_encodings_than_utf8_are_refused(encoding: str) -> None:
    with pytest.raises(MalformedBody):
        read_json('{"a": "é"}'.encode(encoding))


@pytest.mark.parametrize("body", [b"", b" \n", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        read_json(body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"timeout": "1h", "timeout": "9h"}', "timeout"),
        ('{"timeout": "1h", "timeout": "1h"}', "timeout"),
        ('{"recipe": {"args": {"lr": 1, "lr": 2}}}', "recipe.args.lr"),
        ('{"volumes": [{}, {"type": 1, "type": 2}]}', "volumes.1.type"),
        ('{"max_cost_usd": NaN}', "max_cost_usd"),
        ('{"a": [1, -Infinity]}', "a.1"),
        ('{"a": {"b": 1e400}}', "a.b"),
        ('{"a": ' + "9" * 5000 + "}", "a"),
        ('{"a": "\\ud800"}', "a"),
        ('{"a": {"\\u0000": 1}}', "a"),
        ('{"a": ' + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1) + "}", "a" + ".0" * DEEPEST),
        ("[]", None),
        ("null", None),
        ('"x"', None),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(body: str, field: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        read_json(body.encode())
    assert caught.value.field == field
    assert caught.value.remedy


def test_two_equal_names_in_different_objects_are_two_names() -> None:
    assert read_json(b'{"a": {"x": 1}, "b": {"x": 2}}') == {"a": {"x": 1}, "b": {"x": 2}}
