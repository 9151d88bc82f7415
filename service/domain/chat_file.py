"""Uploaded training files: JSON Lines, one example per line, each either a chat or a prompt with its completion.

The rules are OpenAI's for fine-tuning files (developers.openai.com, supervised fine-tuning, "Formatting your data"),
less what an open model's chat template cannot say, which is refused rather than lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.domain.errors import BrokenRule, ServiceError
from service.domain.json_text import read_json

MOST_LINE_BYTES = 4 * 2**20
MOST_FAULTS = 20
ROLES = ("system", "user", "assistant", "tool")
OLD_ROLES = {"developer": "system", "function": "tool"}
MESSAGE = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
OLD_MESSAGE = {
    "function_call": "Write it as 'tool_calls'.",
    "weight": "A training here learns from every answer: leave the message out, or the weight.",
}
CHAT = frozenset({"messages", "tools", "parallel_tool_calls"})
COMPLETION = frozenset({"prompt", "completion"})
AS_CHAT = 'Write each line as {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}.'
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Fault:
    """What one line breaks; lines count from 1."""

    line: int
    rule: str
    remedy: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.rule}"


@dataclass
class Examined:
    """What a file holds: so many examples of a form (`chat`, `completion`), and what is wrong with it, the first 20."""

    examples: int = 0
    form: str | None = None
    faults: list[Fault] = field(default_factory=list)


def examine(lines: Iterable[bytes]) -> Examined:
    """All lines of a file, each with its line end; one that is longer than `MOST_LINE_BYTES` is the last."""
    found, number = Examined(), 0
    for number, line in enumerate(lines, start=1):
        try:
            form = _form_of(line, is_first=number == 1)
            if found.form is not None and form != found.form:
                raise BrokenRule(
                    f"a {form} example in a file of {found.form} examples", "Keep each form in a file of its own."
                )
            found.form, found.examples = form, found.examples + 1
        except BrokenRule as error:
            found.faults.append(Fault(number, error.rule, error.remedy))
        if len(found.faults) == MOST_FAULTS or len(line) > MOST_LINE_BYTES:
            return found
    if number == 0:
        found.faults.append(Fault(1, "the file is empty", AS_CHAT))
    return found


def _form_of(line: bytes, is_first: bool) -> str:
    """`chat` or `completion`; raises BrokenRule."""
    if len(line) > MOST_LINE_BYTES:
        raise BrokenRule(f"an example has at most {MOST_LINE_BYTES:,} bytes", "Split it, or leave it out.")
    if is_first and line.startswith(BOM):
        raise BrokenRule("the file begins with a byte order mark", "Save it as UTF-8 without one.")
    if not line.strip():
        raise BrokenRule("the line is empty", "Take it out: each line is one example.")
    try:
        example = read_json(line)
    except ServiceError as error:
        raise BrokenRule(f"no JSON object that can be read: {error.detail}", AS_CHAT) from None
    if "messages" in example:
        _only(example, CHAT, "an example")
        _check_chat(example["messages"])
        if not isinstance(example.get("tools", []), list):
            raise BrokenRule("'tools' is a list of functions", "Write it as OpenAI's API takes it.")
        return "chat"
    if "prompt" in example or "completion" in example:
        _only(example, COMPLETION, "an example")
        for name in sorted(COMPLETION):
            if not isinstance(text := example.get(name), str) or (name == "completion" and not text):
                raise BrokenRule(f"'{name}' is a text", "Give both as texts in double quotes.")
        return "completion"
    raise BrokenRule("an example has 'messages', or 'prompt' and 'completion'", AS_CHAT)


def _check_chat(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise BrokenRule("'messages' is a list of at least one message", AS_CHAT)
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if not isinstance(message, dict):
            raise BrokenRule(f"{at} is no object", AS_CHAT)
        _check_message(message, at)
    if messages[-1]["role"] != "assistant":
        raise BrokenRule(
            "the last message is not the assistant's", "End each example with the answer that is to be learnt."
        )


def _check_message(message: Mapping[str, Any], at: str) -> None:
    role = message.get("role")
    if role not in ROLES:
        meant = OLD_ROLES.get(str(role))
        remedy = f"Write '{meant}'." if meant else f"Take one of {', '.join(ROLES)}."
        raise BrokenRule(f"{at} has no role that is known", remedy)
    for name, remedy in OLD_MESSAGE.items():
        if name in message:
            raise BrokenRule(f"{at}.{name} is not for chat templates", remedy)
    _only(message, MESSAGE, at)
    calls = message.get("tool_calls")
    if calls is not None and (role != "assistant" or not isinstance(calls, list) or not calls):
        raise BrokenRule(f"{at}.tool_calls is a list, and the assistant's", "Leave it out of other messages.")
    content = message.get("content")
    if isinstance(content, list):
        raise BrokenRule(f"{at}.content is a list of parts", "Write its text as one text; there are no images.")
    if not isinstance(content, str) and not (content is None and calls):
        raise BrokenRule(f"{at}.content is no text", "Give it in double quotes.")


def _only(given: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    if strange := sorted(given.keys() - known):
        raise BrokenRule(f"{what} has no '{strange[0][:50]}'", f"Leave it out; known are {', '.join(sorted(known))}.")
