"""`docs/troubleshooting.md`: every reason, from the rules that give it. Raises where one is missing or told twice."""

from __future__ import annotations

from pathlib import Path

from service.domain.diagnosis import diagnose
from service.domain.diagnosis.advice import ADVICE
from service.domain.diagnosis.retry import Retry
from service.domain.diagnosis.signatures import SIGNATURES
from service.domain.run import Reason
from tools.docs.failures import BY_THE_SERVICE, EXAMPLES, by_itself
from tools.docs.waiting import CANCELLED, WAITING, Told

PROSE = Path(__file__).with_suffix(".md")

RETRY = {
    Retry.SAME: "`same`: the fault was not the run's, and the same again may well succeed.",
    Retry.CHANGED: "`changed`: settings, inputs, a secret, the image or packages must change first.",
    Retry.NEVER: "`never`: a person must act.",
}
# Only a run's own output shows it: no log does.
NO_EXAMPLE = {Reason.SECRETS_LOST, Reason.OUTPUT_MISSING}


def page() -> str:
    """The page as it should be."""
    failed = [*(one for one in ADVICE if one is not Reason.OK), *BY_THE_SERVICE]
    told = [*WAITING, *CANCELLED, *failed, Reason.OK]
    if sorted(told) != sorted(Reason):
        raise ValueError(f"not told just once: {set(told) ^ set(Reason) or told}")
    parts = {
        "{{waiting}}": "\n".join(_held(one, WAITING[one]) for one in WAITING),
        "{{cancelled}}": "\n".join(_held(one, CANCELLED[one]) for one in CANCELLED),
        "{{failed}}": "\n".join(_by_the_service(one) if one in BY_THE_SERVICE else _failed(one) for one in failed),
    }
    text = PROSE.read_text()
    for name, part in parts.items():
        text = text.replace(name, part.rstrip())
    return text


def _held(reason: Reason, told: Told) -> str:
    seen = "" if told.message == "…" else f"- **You see:** “{told.message}”\n"
    return (
        f"### `{reason.value}`\n\n{told.meaning}\n\n{seen}- **What to do:** {told.remedy}\n"
        f"- **By itself:** {told.by_itself}\n"
    )


def _by_the_service(cause: Reason) -> str:
    meaning, remedy = BY_THE_SERVICE[cause]
    return (
        f"### `{cause.value}`\n\n{meaning}\n\n- **What to do:** {remedy}\n- **Try again:** {RETRY[Retry.CHANGED]}\n"
        f"- **By itself:** {by_itself(cause)}\n"
    )


def _failed(cause: Reason) -> str:
    advice = ADVICE[cause]
    lines = [f"### `{cause.value}`", "", advice.message, ""]
    if cause not in NO_EXAMPLE:
        lines.append(f"- **You see,** for one: `{_evidence(cause)}`")
    lines += [f"- **What to do:** {_plain(advice.remedy)}", f"- **Try again:** {RETRY[advice.retry]}"]
    lines += [f"- **By itself:** {by_itself(cause)}"]
    more = dict.fromkeys(_plain(one.remedy) for one in SIGNATURES if one.cause is cause and one.remedy is not None)
    if more:
        lines.append("- **More exactly,** where the log says more:")
        lines += [f"  - {remedy}" for remedy in more]
    return "\n".join(lines) + "\n"


def _evidence(cause: Reason) -> str:
    found = diagnose(EXAMPLES[cause])
    if found.cause is not cause:
        raise ValueError(f"the example of {cause.value} is found to be {found.cause.value}: {found.evidence}")
    return " ".join((found.evidence or "nothing: the log ends without a word of why").split())


def _plain(remedy: str) -> str:
    return remedy.replace("{what}", "…")
