"""Lines of uploaded files: what is one, and which rule another breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain import chat_file
from service.domain.chat_file import MOST_FAULTS, MOST_LINE_BYTES, examine

USER, ANSWER = {"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@pytest.mark.parametrize(
    "example",
    [
        {"messages": [USER, ANSWER]},
        {"messages": [{"role": "system", "content": ""}, USER, ANSWER, USER, ANSWER]},
        {
            "messages": [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "1"},
                ANSWER,
            ],
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "parallel_tool_calls": False,
        },
        {"prompt": "?", "completion": "!"},
    ],
)
def test_what_is_an_example(example: dict[str, Any]) -> None:
    found = examine([line(example)])
    assert (found.examples, found.faults) == (1, [])


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (b"\n", "the line is empty"),
        (b"{\n", "no JSON object"),
        (b"[]\n", "no JSON object"),
        (b'{"messages": 1, "messages": 2}\n', "no JSON object"),
        (b'\xff{"messages": []}\n', "no JSON object"),
        (line({}), "has 'messages', or 'prompt' and 'completion'"),
        (line({"messages": []}), "at least one message"),
        (line({"messages": ["hi"]}), "messages[0] is no object"),
        (line({"messages": [ANSWER, USER]}), "last message is not the assistant's"),
        (line({"messages": [{"role": "developer", "content": "x"}, ANSWER]}), "no role that is known"),
        (line({"messages": [{**USER, "content": [{"type": "text", "text": "x"}]}, ANSWER]}), "a list of parts"),
        (line({"messages": [{**USER, "content": None}, ANSWER]}), "content is no text"),
        (line({"messages": [USER, {**ANSWER, "weight": 0}]}), "weight is not for"),
        (line({"messages": [USER, {**ANSWER, "colour": 0}]}), "has no 'colour'"),
        (line({"messages": [{**USER, "tool_calls": [CALL]}, ANSWER]}), "and the assistant's"),
        (line({"messages": [USER, ANSWER], "tools": {}}), "'tools' is a list"),
        (line({"messages": [USER, ANSWER], "id": 1}), "an example has no 'id'"),
        (line({"prompt": "?"}), "'completion' is a text"),
        (line({"prompt": "?", "completion": ""}), "'completion' is a text"),
        (b"x" * (MOST_LINE_BYTES + 1), "at most"),
    ],
)
def test_what_is_none_names_its_line_its_rule_and_a_remedy(bad: bytes, rule: str) -> None:
    found = examine([line({"messages": [USER, ANSWER]}), bad])
    [fault] = found.faults
    assert fault.line == 2
    assert rule in fault.rule
    assert fault.remedy


def test_a_file_has_one_form_something_in_it_and_no_mark_before_it() -> None:
    mixed = examine([line({"messages": [USER, ANSWER]}), line({"prompt": "?", "completion": "!"})])
    assert [fault.line for fault in mixed.faults] == [2]
    assert "a completion example in a file of chat examples" in mixed.faults[0].rule
    assert examine([]).faults[0].rule == "the file is empty"
    assert "byte order mark" in examine([chat_file.BOM + line({"messages": [USER, ANSWER]})]).faults[0].rule
    assert len(examine([b"\n"] * 1000).faults) == MOST_FAULTS


@given(st.lists(st.tuples(TEXT, TEXT.filter(bool)), min_size=1, max_size=5))
def test_whatever_people_say_is_taken(talk: list[tuple[str, str]]) -> None:
    messages = [
        {"role": role, "content": text}
        for asked, answered in talk
        for role, text in (("user", asked), ("assistant", answered))
    ]
    found = examine([line({"messages": messages})])
    assert (found.examples, found.form, found.faults) == (1, "chat", [])
