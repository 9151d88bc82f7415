"""Text that a line or an exception's message only quotes: a row of data, a question, somebody else's error. What is
quoted ended nothing, whatever it says."""

from __future__ import annotations

import re

# What opens and what closes a quotation: no apostrophe has a letter on its outer side.
OPENS = re.compile(r"""(?<![\w"'\\])(?P<quote>["'])(?=\S)""")
CLOSES = {'"': re.compile(r'"(?!\w)'), "'": re.compile(r"'(?!\w)")}
# What stands before the quoted words of a real error: an exception's repr, or the member of a record that holds it.
REPORTS = re.compile(
    r"(?:Error|Exception|Timeout|Exit|Interrupt|Reset|Refused|Aborted)\w*\((?:-?\d+, ?|b)?$|(?:^|: )\($"
    r"|\b(?:error|err|message|msg|detail|reason|cause|exception|stderr)[\"'\\]*\s*[:=]\s*$",
    re.IGNORECASE,
)
# What names a piece of data before it is shown: `row 5: …`, `example[3] = …`, `<|user|>`, a table's row, a list's item.
LABEL = re.compile(
    r"(?:^|[\s\[({\"'])(?:rows?|examples?|samples?|records?|prompts?|instructions?|questions?|answers?|completions?"
    r"|conversations?|documents?|quer(?:y|ies)|responses?|titles?|subjects?|bod(?:y|ies)|texts?|contents?|comments?"
    r"|user|human|assistant|decoded|generated|predict(?:ion|ed)s?|references?|expected|targets?)"
    r"\b[\s#\[(_-]{0,2}\d*[\])]?[\"']?(?: [a-z]+){0,3}\s*[:=]\s*"
    r"|<\|\w+\|>|^>+ |^\s*[-*•] |^\s*\d+ {2,}",
    re.IGNORECASE,
)
# A sentence on the way: words alone, and neither a program's name nor a level before a colon.
SENTENCE = re.compile(r"^\W{0,3}(?:[A-Za-z][a-z']*[ ,]+){2,}$|^\W{0,3}I (?:[a-z']+ )+$")


def is_quoted(text: str, begin: int, end: int) -> bool:
    """Whether `text[begin:end]` stands in quotation marks, or after the name of a piece of data."""
    if LABEL.search(text, 0, begin):
        return True
    at = 0
    while (opened := OPENS.search(text, at)) is not None and opened.start() < begin:
        closed = CLOSES[opened["quote"]].search(text, opened.end())
        if closed is None:
            at = opened.end()  # an apostrophe
        elif closed.start() < begin:
            at = closed.end()
        else:
            return closed.start() >= end and REPORTS.search(text, 0, opened.start()) is None
    return False


def is_in_passing(text: str, begin: int) -> bool:
    """Whether a sentence leads up to what stands from `begin` on, as people write and programs that fail do not."""
    return SENTENCE.search(text[:begin]) is not None
