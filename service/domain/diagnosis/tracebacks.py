"""Tracebacks in a log: each with its frames, its exception and the exception's message, linked to chains as Python
links them. In a multi-process job each process's lines are followed for themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.domain.diagnosis.frames import FRAME, HOOK, as_python, is_library
from service.domain.diagnosis.lines import Line, bar

HEADER = "Traceback (most recent call last)"
# an exception's own line; of the many names that Python packages use, most end like this
EXCEPTION = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|OutOfResources|Timeout|NotFound|Exit|Warning)(?::|$)"
)
# an exception by any other name: a dotted name, alone or with a message
ANY_NAME = re.compile(r"^[A-Za-z_][\w.]{0,120}(?::\s|:?$)")
LINKS = (
    "During handling of the above exception, another exception occurred",
    "The above exception was the direct cause of the following exception",
)
NESTED = re.compile(r'^(?:Original Traceback|""")|^-- Process \d+ terminated with the following error')
# what ends an exception's message: another program, or the same one going on
NOT_MESSAGE = re.compile(
    r"^(?:\{'|[WEIF]\d{4} |\[?\d{4}-\d\d-\d\d|WARNING:|ERROR:torch|wandb:|\* |✅|🤗|💾|Retrying|Sending process|={10,}"
    r"|(?:\[\w+\] ?|\w+:\w+: ?)?(?:[Gg]lobal[ _])?(?:[Ss]tep|[Ee]poch|[Ii]ter(?:ation)?|ep|it)\b\W{0,3}\d|\d+/\d+\b)"
)
# a logger's warning that quotes a traceback: the program goes on
WARNED = re.compile(r"^W\d{4} \d\d:\d\d:")
LONGEST_MESSAGE = 14
LONGEST_LINE = 2_000
NO_LINE = 3_000  # longer ones after an exception are no part of its message, unless they are its first
MOST_FRAMES = 80


@dataclass
class Raised:
    """One traceback. `begin`, `head`, `end`: positions of its first line, its exception's and its last. `before`: what
    introduced it, on its own line (`is_told`) or the one before. `is_bare`: the traceback itself is missing, only the
    exception's line is there. `is_hooked`: a hook printed it, as hooks do where an exception ends a program.
    """

    begin: int
    stream: str
    before: str
    is_bare: bool = False
    is_linked: bool = False
    is_told: bool = False
    is_hooked: bool = False
    frames: list[str] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    head: int = 0
    end: int = 0

    @property
    def is_top(self) -> bool:
        """Whether its first frame is a program's first, so that it ended the program; one that a library caught and
        logged starts in the middle."""
        first = next((text for text in self.frames if FRAME.match(text)), None)
        begins = first is None or ", in " not in first or "<module>" in first or "runpy" in first
        return self.is_hooked or (begins and not self.is_bare)

    @property
    def innermost(self) -> str:
        """Its last frame: the file, the function and the line of code that raised."""
        return self._from(max(self._places(), default=-1))

    @property
    def called(self) -> str:
        """The frames below the program's own last one: which libraries it called, down to the one that raised."""
        own = max((at for at in self._places() if not is_library(self.frames[at])), default=-1)
        return self._from(next((at for at in self._places() if at > own), -1))

    @property
    def is_own(self) -> bool:
        """Whether the program's own lines raised it, not a library's."""
        return not self.is_bare and not is_library(self.innermost)

    def _places(self) -> list[int]:
        return [at for at, text in enumerate(self.frames) if FRAME.match(text)]

    def _from(self, at: int) -> str:
        return "\n".join(self.frames[at:]) if at >= 0 else ""


Chain = list[Raised]


@dataclass
class _Stream:
    """What is open in one process's lines."""

    raised: Raised | None = None
    indent: int = 0
    is_linked: bool = False
    blanks: int = 0
    before: str = ""
    awaited: str = ""  # a notebook's header names the exception that its traceback ends with


def chains(lines: Sequence[Line]) -> list[Chain]:
    """All tracebacks in order of their beginning; those that Python linked are one chain, its last member the one that
    was raised last."""
    found: list[Chain] = []
    last: dict[str, Chain] = {}
    streams: dict[str, _Stream] = {}
    for at, (name, text) in enumerate(lines):
        stream = streams.get(name)
        if stream is None:
            stream = streams[name] = _Stream()
        opened = _step(stream, name, at, text)
        if opened is not None:
            if opened.is_linked and name in last:
                last[name].append(opened)
            else:
                last[name] = [opened]
                found.append(last[name])
    return [chain for chain in found if any(raised.message for raised in chain)]


def _step(stream: _Stream, name: str, at: int, text: str) -> Raised | None:
    """Read one line; the traceback that it begins, if it does."""
    stripped = text.strip()
    opened = None
    if HEADER in text and not WARNED.match(text):
        opened = _open(stream, name, at, text, is_bare=False)
        stream.indent = len(text) - len(text.lstrip()) if stripped.startswith((HEADER, "Original", "╭")) else 99
    elif stream.raised is not None and not stream.raised.message:
        _frame(stream, at, text, stripped)
    elif text.startswith('  File "') and FRAME.match(text):
        opened = _open(stream, name, at, text, is_bare=False)
        opened.frames.append(text)
        stream.indent = 0
    elif stripped.startswith(LINKS):
        stream.is_linked, stream.raised = True, None
    elif EXCEPTION.match(text) and not stream.raised:
        opened = _open(stream, name, at, text, is_bare=True)
        opened.message.append(text[:LONGEST_LINE])
    elif stream.raised is not None:
        _message(stream, at, text, stripped)
    if stripped.strip("-") and stream.raised is None:
        stream.before = stripped
    return opened


def _open(stream: _Stream, name: str, at: int, text: str, *, is_bare: bool) -> Raised:
    is_linked = stream.is_linked or NESTED.match(text.strip()) is not None or NESTED.match(stream.before) is not None
    logged = text.partition(HEADER)[0] if HEADER in text else ""
    is_hooked = HOOK.match(text) is not None
    is_told = logged.strip() != "" and not is_hooked
    inner = stream.raised is not None and NESTED.match(_last(stream.raised)) is not None
    before = logged.strip() if is_told else stream.before
    raised = Raised(at, name, before, is_bare, is_linked or inner, is_told=is_told, is_hooked=is_hooked)
    raised.head = raised.end = at
    stream.raised, stream.is_linked, stream.blanks = raised, False, 0
    stream.awaited = logged.strip() if is_hooked and not text.startswith("╭") else ""
    return raised


def _last(raised: Raised) -> str:
    return raised.message[-1].strip() if raised.message else ""


def _frame(stream: _Stream, at: int, text: str, stripped: str) -> None:
    """A line between a traceback's header and its exception."""
    raised = stream.raised
    assert raised is not None
    raised.end = at
    text = as_python(text, raised.frames[-1] if raised.frames else "")
    indent = len(text) - len(text.lstrip())
    is_frame = not stripped or stripped[0] in "│╭╰|" or FRAME.match(text) is not None
    is_end = EXCEPTION.match(stripped) is not None or (
        indent <= stream.indent < 99 and ANY_NAME.match(stripped) is not None
    )
    if stream.awaited:
        is_end = stripped.partition(":")[0] == stream.awaited
    if is_frame or not is_end:
        if len(raised.frames) < MOST_FRAMES:
            raised.frames.append(text)
        else:
            raised.frames[MOST_FRAMES // 2 :] = [*raised.frames[MOST_FRAMES // 2 + 1 :], text]
    elif bar(text) is None and not text.startswith("{'"):
        raised.message.append(stripped[:LONGEST_LINE])
        raised.head = at


def _message(stream: _Stream, at: int, text: str, stripped: str) -> None:
    """A line after an exception's: of its message, or the first thing after it."""
    raised = stream.raised
    assert raised is not None
    stream.blanks = 0 if stripped else stream.blanks + 1
    is_over = stream.blanks > 1 or len(raised.message) >= LONGEST_MESSAGE or len(text) > NO_LINE
    if is_over or NOT_MESSAGE.match(text) or bar(text) is not None:
        stream.raised = None
        return
    if stripped:
        raised.message.append(stripped[:LONGEST_LINE])
        raised.end = at
