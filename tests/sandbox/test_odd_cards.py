"""Cards that nobody should write, read as the Hub does: as JSON, and only so far."""

from __future__ import annotations

import json

import pytest

from service.sandbox.cards import metadata
from service.sandbox.wire import json_response


def card(yaml: str) -> str:
    return f"---\n{yaml}\n---\n"


def test_what_yaml_has_and_json_has_not_becomes_text() -> None:
    data = metadata(card("made: 2020-01-01\n1: a\ntags: !!set {x, y}\nraw: !!binary aGk="))
    assert json.loads(json.dumps(data)) == {"made": "2020-01-01", "1": "a", "tags": ["x", "y"], "raw": "b'hi'"}


def test_aliases_of_aliases_and_levels_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n + 1}: &a{n + 1} [" + ", ".join([f"*a{n}"] * 9) + "]" for n in range(7)]
    for yaml in ("\n".join(lines), "a: " + "[" * 150 + "]" * 150, "a: " + "[" * 5000 + "]" * 5000):
        with pytest.raises(ValueError, match=r"card|YAML"):
            metadata(card(yaml))


def test_half_a_surrogate_pair_is_answered_as_json_escapes_it() -> None:
    assert json_response({"a": "\ud800"}).body == b'{"a":"\\ud800"}'
    assert json_response({"a": "\u00e9"}).body == '{"a":"\u00e9"}'.encode()
