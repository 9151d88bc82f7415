"""Clues: the places of a log that match a signature, or where a program ended by an exception that none matches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from service.domain.diagnosis.causes import below
from service.domain.diagnosis.frames import FRAME
from service.domain.diagnosis.lines import Line
from service.domain.diagnosis.quoted import is_in_passing, is_quoted
from service.domain.diagnosis.signature import Signature, Weight, Where
from service.domain.diagnosis.signatures import SIGNATURES
from service.domain.diagnosis.tracebacks import EXCEPTION, NESTED, Chain, Raised, chains
from service.domain.run import Reason

# A line without any of these is passed over: signatures for lines each need one. A test holds them to it.
FRIGHTENING = re.compile(
    r"error|exception|fail|killed|memory|no space|quota|not found|unknown|denied|refused|timeout|timed out|assert"
    r"|fault|abort|cannot|can't"
    r"|unable|invalid|xid|lost|no solution|unsatisfiable|no matching|version|stall|progress|heartbeat|evicted"
    r"|preempt|signal|exitcode|usage"
    r"|restricted|gated|alloc|alternat|status|limit|unauthorized|forbidden|credit|no module|no such|requires|nan"
    r"|out of resource|corrupt|mismatch"
    r"|not enough|hung|oom|sigkill|sigsegv|pull|format|support|deadline|ended|reset|closed|resource|dead"
    r"|interpreter|missing|\bexit|exceed|could not|^curl: ",
    re.IGNORECASE,
)
# These words are of programs that go on: what they complain of ended nothing.
HARMLESS = re.compile(
    r"warning|\bWARN\b|^\[W|^W\d{4} \d\d:|pip's dependency resolver"
    r"|\bINFO\b|\bDEBUG\b|wandb:|Retrying|retry(?:ing)? in|\[Retry|thrown while requesting"
    r"|fall(?:ing|s)? back|ignor(?:ed|ing)|skipp(?:ed|ing)"
    r"|continuing|deprecat|telemetry|Attempting to register|computation placer|cuda_dnn|TF-TRT|Will try"
    r"|will be (?:used|retried)|Decreasing batch size|non-fatal|not critical|\bhint\b"
    r"|errors?[:=] ?0\b|0 errors|error_if_nonfinite|^\s*#",
    re.IGNORECASE,
)
# A traceback that such a line introduces, or that such a line follows, was caught.
CAUGHT_BEFORE = re.compile(
    r"Exception ignored in|--- Logging error ---|^Exception in thread|Task exception was never retrieved|^future: <Task"
    r"|Error in (?:atexit|sys\.excepthook)"
)
# As these may be, where the program goes on after it: a warning of something else often stands before the last one.
TOLD_BEFORE = re.compile(
    r"\bWARNING\b|\[WARN|(?:[Ff]ailed|[Cc]ould not|[Uu]nable) to (?:report|send|log|upload (?:log|metric))"
    r"|[Tt]elemetry|non-fatal|[Cc]ontinuing"
)
LOGGED = re.compile(r"^\[?(?:INFO|DEBUG|WARN\w*)(?::[\w.]+)?\]?:?$")
CAUGHT_AFTER = re.compile(
    r"Retrying|retry(?:ing)? in|[Ff]all(?:ing|s)? back|Decreasing batch size|[Cc]ontinuing|^Ignor(?:ed|ing)"
    r"|will be retried|non-fatal|^[Ss]kipp(?:ed|ing)|Trying again"
)
# These tell that another process failed, which has said why itself.
CONSEQUENCE = re.compile(
    r"ChildFailedError|CalledProcessError|SignalException|ProcessRaisedException|ProcessExitedException"
    r"|BrokenPipeError|Broken pipe"
    r"|SystemExit|DataLoader worker \(pid\(s\) .*exited unexpectedly|RemoteTraceback"
    r"|Sending process \d+ closing signal|^EOFError"
    r"|^KeyboardInterrupt|RayActorError|RayTaskError|Connection closed by (?:remote )?peer"
    r"|Connection reset by peer|remote process exited|[Ss]ee (?:the )?(?:root cause|errors?|stack trace|logs?"
    r"|traceback)s? above|store->get|leaked semaphore",
)
# What launchers, trackers and the interpreter print after a program's end.
AFTERMATH = re.compile(
    r"^$|^wandb:|^[WEI]\d{4} |^(?:WARNING|ERROR):torch|elastic|launch\.py|Killing subprocess|^[=-]{5,}$|^srun:|leaked"
    r"|resource_tracker|^\s*warnings\.warn|\w+Warning: |%\|"
)
# These only say that there is something to say: what it is stands beside them.
VAGUE = re.compile(
    r"Failed to import \S+ because of the following error|An error occurred while generating the dataset"
    r"|BackendCompilerFailed: .{0,80} raised:$|Caught \w+ in (?:DataLoader worker|replica)|^[\w.]+: *$"
    r"|^[\w.]+: +(?:\d{3} Client Error\. )?\(Request ID:? [^)]*\)$|ProcessRaisedException|RayTaskError"
    r"|subprocess-exited-with-error|metadata-generation-failed|Failed to prepare distributions"
    r"|build backend (?:returned an error|failed to)|Build backend failed to|train has failed due to an exception"
    r"|\b40[13] (?:Forbidden|Unauthorized): None\.$|specific connection error when trying to load .{0,200}:$"
    r"|Error\(s\) in loading state_dict for \w+:$|^Bad request(?: for \w+ endpoint)?:$"
)
NEAR = 120
ROOM = frozenset({Reason.CUDA_OOM, Reason.HOST_OOM, Reason.DISK_FULL})
# Exceptions of checks and look-ups: the script's own lines raise none of these where room gives out.
CHECKED = re.compile(r"(?:\w+\.)*(?:Value|Key|Type|Index|Name|Attribute|Assertion|\w*Decode|\w*Validation)Error\b")
# Where one of these is named, whatever is raised while it is handled is a consequence.
FIRST = ROOM | {Reason.HUB_UNAVAILABLE}
BARE_HARMLESS = re.compile(r"- continuing|\(ignored\)|Warning: |^\w*Warning\b")
NUMBERS = re.compile(r"\d+")  # lines that differ only in these say the same
MOST_SUSPECTS, FIRST_SUSPECTS = 2_400, 800
WINDOW, NEIGHBOURS = 12, 3


@dataclass(frozen=True)
class Clue:
    """`signature` None: an exception that no signature knows. `around`: the line with those that belong to it, where it
    is no exception. `stream`: the process, where it is told. `ended`: a traceback of the program itself, so it
    certainly ended there unless the log goes on after it."""

    at: int
    evidence: str
    weight: Weight
    cause: Reason
    signature: Signature | None = None
    what: str | None = None
    chain: Chain | None = None
    around: str = ""
    stream: str = ""
    ended: bool = False
    was_caught: bool = False
    was_quoted: bool = False
    is_in_passing: bool = False
    is_consequence: bool = False

    @property
    def head(self) -> int:
        """Its own line: what was raised last."""
        return self.at if self.chain is None else self.chain[-1].head

    @property
    def end(self) -> int:
        """Its last line."""
        return self.at if self.chain is None else self.chain[-1].end

    @property
    def text(self) -> str:
        """All that its traceback says, frames and messages."""
        return "\n".join(part for raised in self.chain or () for part in (*raised.frames, *raised.message))


def find(lines: Sequence[Line]) -> list[Clue]:
    """All clues, in order of their place."""
    tracebacks = chains(lines)
    inside = {at for chain in tracebacks for raised in chain for at in range(raised.begin, raised.end + 1)}
    found = [_of_chain(chain, lines, inside) for chain in tracebacks]
    found.extend(_of_lines(lines, inside))
    return _told(sorted(found, key=lambda clue: clue.at))


def _told(clues: list[Clue]) -> list[Clue]:
    """Vague ones with the evidence of the next that says more of the same."""
    for at, clue in enumerate(clues):
        if VAGUE.search(clue.evidence):
            for other in clues[at + 1 :]:
                if other.cause is clue.cause and other.at - clue.at < NEAR and not VAGUE.search(other.evidence):
                    clues[at] = replace(clue, evidence=other.evidence)
                    break
    return clues


def _of_chain(chain: Chain, lines: Sequence[Line], inside: set[int]) -> Clue:
    """The best of a chain's exceptions: the one whose wording says most, the last raised among equals. But where
    memory, disk or the network gave out, that was first."""
    best: tuple[Weight, Signature | None, str, str | None] | None = None
    for raised in reversed(chain):
        for signature in SIGNATURES:
            if signature.where is Where.LINE or (best is not None and not _outranks(signature, best[0])):
                continue
            if (matched := _matches(signature, raised, chain)) is not None:
                best = (signature.weight, signature, *matched)
    last = chain[-1]
    head = next((raised.message[0] for raised in reversed(chain) if raised.message), "")
    if (best is None or best[0] is Weight.HINTS) and last.is_own:
        said = _of_line(-1, chain[0].before, ())  # it was printed, then something else was raised
        if said is not None and said.signature is not None and said.weight > Weight.HINTS:
            # a sentence tells why a script gives up, not why a look-up fails
            is_told = not said.is_in_passing or CHECKED.match(head) is None
            best = (
                (Weight.POINTS, said.signature, said.evidence, said.what) if is_told and not said.was_quoted else best
            )
    tells = (
        " ".join(last.message) if best is None or best[1] is None or best[1].cause is Reason.INFRASTRUCTURE else head
    )
    weight, told, evidence, what = best or (Weight.HINTS, None, head, None)
    return Clue(
        chain[0].begin,
        _detailed(evidence, chain),
        weight,
        Reason.SCRIPT_ERROR if told is None else told.cause,
        told,
        what,
        chain,
        stream=chain[0].stream,
        ended=any(raised.is_top for raised in chain),
        was_caught=_was_caught(chain, lines, inside, head),
        is_consequence=CONSEQUENCE.search(tells) is not None and weight < Weight.NAMES,
    )


def _outranks(signature: Signature, weight: Weight) -> bool:
    return signature.weight > weight or (signature.weight is Weight.NAMES and signature.cause in FIRST)


def _detailed(evidence: str, chain: Chain) -> str:
    """In place of a line that is vague, the next of its message, or what was raised before it."""
    if VAGUE.search(evidence) is None:
        return evidence
    for at, raised in reversed(list(enumerate(chain))):
        if evidence in raised.message:
            rest = raised.message[raised.message.index(evidence) + 1 :]
            before = [member.message[0] for member in reversed(chain[:at]) if member.message]
            telling = (text for text in (*rest, *before) if not VAGUE.search(text) and NESTED.match(text) is None)
            return next((text for text in telling if not text.startswith(("File ", "Traceback", "Original"))), evidence)
    return evidence


def _was_caught(chain: Chain, lines: Sequence[Line], inside: set[int], head: str) -> bool:
    last, before = chain[-1], chain[0].before
    after = lines[last.end + 1].text if last.end + 1 < len(lines) else ""
    if CAUGHT_BEFORE.search(before) or CAUGHT_AFTER.search(after) or LOGGED.match(before):
        return True
    if last.is_bare and BARE_HARMLESS.search(head) is not None:
        return True
    if TOLD_BEFORE.search(before) is None:
        return False
    rest = range(last.end + 1, min(len(lines), last.end + NEAR))
    return chain[0].is_told or any(
        _is_another(lines[at].text) if at in inside else not AFTERMATH.search(lines[at].text) for at in rest
    )


def _is_another(text: str) -> bool:
    return EXCEPTION.match(text) is not None and CONSEQUENCE.search(text) is None


def _matches(signature: Signature, raised: Raised, chain: Chain) -> tuple[str, str | None] | None:
    """The line that shows it and the name in it; None where it does not match."""
    if not raised.message or (
        signature.cause in ROOM and raised.innermost and raised.is_own and CHECKED.match(raised.message[0])
    ):
        return None
    frames = [text for member in chain for text in member.frames] if signature.frames else []
    if signature.frames is not None and signature.frames.search("\n".join(frames)) is None:
        return None
    if signature.raised is not None and signature.raised.search(raised.innermost) is None:
        return None
    if signature.through is not None and signature.through.search(raised.called) is None:
        return None
    # an error page that was run as a script stands among the frames; a message may be wrapped
    own_frames = raised.frames if raised.message[0].startswith("SyntaxError") else []
    whole = " ".join(raised.message)
    for text in (*raised.message, *own_frames):
        if (found := signature.pattern.search(text)) and not is_quoted(text, *found.span()):
            return text.strip(), _what(signature, found, whole)
    if len(raised.message) == 1:  # that was the whole
        return None
    if (found := signature.pattern.search(whole)) and not is_quoted(whole, *found.span()):
        return raised.message[0], _what(signature, found, whole)
    return None


def _what(signature: Signature, found: re.Match[str], around: str) -> str | None:
    named = found.groupdict().get("what")
    if named is None and signature.detail is not None and (detail := signature.detail.search(around)):
        named = detail["what"]
    return named


def _of_lines(lines: Sequence[Line], inside: set[int]) -> Iterator[Clue]:
    known: set[str] = set()
    suspects: list[int] = []
    for at, (_, text) in enumerate(lines):
        if at in inside or "%|" in text or FRIGHTENING.search(text) is None or FRAME.match(text):
            continue
        alike = NUMBERS.sub("0", text)
        if alike in known or HARMLESS.search(text):
            continue
        known.add(alike)
        suspects.append(at)
    if len(suspects) > MOST_SUSPECTS:
        suspects = [*suspects[:FIRST_SUSPECTS], *suspects[FIRST_SUSPECTS - MOST_SUSPECTS :]]
    for at in suspects:
        if (clue := _of_line(at, lines[at].text, lines)) is not None:
            yield clue


def _of_line(at: int, text: str, lines: Sequence[Line]) -> Clue | None:
    best: Clue | None = None
    causes = below(lines, at) if at >= 0 else []
    whole = " ".join((text, *(cause.strip() for cause in causes)))
    for signature in SIGNATURES:
        if signature.where is Where.EXCEPTION or signature.looks_at_frames:
            continue
        if best is not None and signature.weight <= best.weight:
            continue
        if found := signature.pattern.search(whole):
            told = next((part for part in (text, *reversed(causes)) if signature.pattern.search(part)), text)
            around = " ".join(line.text.strip() for line in lines[at : at + WINDOW])
            after = lines[at + 1].text if at + 1 < len(lines) else ""
            best = Clue(
                at,
                told.strip(),
                signature.weight,
                signature.cause,
                signature,
                _what(signature, found, around),
                stream=lines[at].stream if at >= 0 and lines else "",
                around=" ".join(line.text.strip() for line in lines[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1]),
                was_caught=CAUGHT_AFTER.search(after) is not None,
                was_quoted=is_quoted(whole, *found.span()),
                is_in_passing=is_in_passing(whole, found.start()),
                is_consequence=CONSEQUENCE.search(text) is not None,
            )
    return best
