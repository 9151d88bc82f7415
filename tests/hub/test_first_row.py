"""What the beginning of a data file says of it. Every sentence of trouble is what ended a real `load_dataset`."""

from __future__ import annotations

import gzip
import json

import pytest

from service.domain.facts import Shape
from service.hub.downloads import BEGINNING_BYTES, Beginning
from service.hub.first_row import FirstRow, first_row


def read(name: str, text: str | bytes, is_whole: bool = True) -> FirstRow | None:
    data = text if isinstance(text, bytes) else text.encode()
    return first_row(name, Beginning(data, is_whole))


@pytest.mark.parametrize(
    ("name", "text", "trouble"),
    [
        ("train.jsonl", "", "is empty"),
        ("train.csv", "", "is empty"),
        ("notes.txt", "", "is empty"),
        ("train.jsonl", "\n\n  \n", "nothing but blank lines"),
        ("train.csv", "\n\n", "nothing but blank lines"),
        ("train.csv", "text,label\n", "a header and no rows"),
        ("train.jsonl", "1\n2\n", "rows that are numbers"),
        ("train.jsonl", "null\n", "rows that are nulls"),
        ("train.jsonl", '"a"\n"b"\n', "rows that are texts"),
        ("train.jsonl", "[1,2]\n[3]\n", "rows that are lists"),
        ("train.json", "[]", "is an empty list"),
        ("train.jsonl", '{"text": "a"\n{"text": "b"}\n', "is no JSON: Expecting ',' delimiter in line 2"),
        ("train.jsonl", "not json\n", "is no JSON"),
        ("train.parquet", "hello hello", "no parquet file"),
        ("train.jsonl.gz", b"zzzz", "no gzip file"),
    ],
)
def test_what_can_never_be_loaded_says_why(name: str, text: str | bytes, trouble: str) -> None:
    found = read(name, text)
    assert found is not None
    assert trouble in found.trouble


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("train.jsonl", '{"text":"a"}\r\n{"text":"b"}\r\n', ("text",)),
        ("train.jsonl", '\n  {"text":"a"}\n', ("text",)),
        ("train.jsonl", '\ufeff{"text":"a"}\n', ("text",)),
        ("train.json", '{\n "text": "a",\n "n": 1\n}\n', ("text", "n")),
        ("train.json", '[\n {\n  "text": "a"\n }\n]\n', ("text",)),
        ("train.json", '["a", "b"]', ("text",)),
        ("TRAIN.JSONL", '{"text":"a"}', ("text",)),
        ("a.csv", '\nprompt,"com,pletion"\na,b\n', ("prompt", "com,pletion")),
        ("a.tsv", "a\tb\n1\t2\n", ("a", "b")),
        ("a.txt", "anything", ("text",)),
        ("a.jsonl.gz", gzip.compress(b'{"text":"a"}\n', mtime=0), ("text",)),
        ("a.jsonl", b'{"text":"\xe9"}\n', ("text",)),
    ],
)
def test_the_columns_of_what_can_be_loaded(name: str, text: str | bytes, columns: tuple[str, ...]) -> None:
    found = read(name, text)
    assert found is not None
    assert (found.columns, found.trouble) == (columns, "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"text": "' + "a" * BEGINNING_BYTES),
        ("a.json", '[{"text": "a", "more": [1, 2'),
        ("a.jsonl", '{"text": ' + "[" * 20_000),
        ("a.jsonl", '{"text": ' + "[" * 200 + "]" * 200 + "}\n"),
        ("a.csv", "a,b,c"),
        ("a.parquet", "PAR1...."),
        ("a.arrow", "ARROW1"),
        ("a.jsonl.zst", "(..."),
    ],
)
def test_what_is_cut_off_or_not_read_here_says_nothing(name: str, text: str) -> None:
    assert read(name, text, is_whole=False) is None


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("a", Shape.TEXT),
        (None, Shape.NULL),
        (True, Shape.NUMBER),
        (1.5, Shape.NUMBER),
        ([], Shape.EMPTY),
        ([{"role": "user", "content": "hi"}], Shape.CHAT),
        ([{"from": "human", "value": "hi"}], Shape.TURNS),
        (["a"], Shape.LIST),
        ({"a": 1}, Shape.OBJECT),
    ],
)
def test_shapes_are_what_trl_tells_rows_by(value: object, shape: Shape) -> None:
    found = read("a.jsonl", json.dumps({"column": value}))
    assert found is not None
    assert found.shapes == {"column": shape}


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.jsonl", '{"a": 1}\n\n{"a": 2}\n', 2),
        ("a.txt", "a\nb\n", 2),
        ("a.json", '{\n "a": 1\n}', None),
        ("a.json", '[{"a": 1}]', None),
        ("a.csv", "a\n1\n2\n", None),  # a value may hold a line's end
    ],
)
def test_rows_are_counted_where_all_were_read(name: str, text: str, rows: int | None) -> None:
    found = read(name, text)
    assert found is not None
    assert found.rows == rows
    cut = read(name, text, is_whole=False)
    assert cut is None or cut.rows is None


def test_names_of_columns_can_be_stored() -> None:
    found = read("a.jsonl", '{"te\\ud800xt": 1, "nul\\u0000l": 2}')
    assert found is not None
    assert found.columns == ("te\ufffdxt", "nul\ufffdl")
