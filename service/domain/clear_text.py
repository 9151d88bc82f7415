"""No secrets in clear: a run's arguments, environment, labels and script are shown by Hugging Face to everybody who may
read the namespace, and by this service to the whole team.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import model_validator

from service.domain import leak
from service.domain.body import Body
from service.domain.errors import SecretInText

# Free text of the caller's: here no value of the run's own secrets may stand. (A namespace may be one's user name.)
FREE = ("env", "labels", "recipe.args", "recipe.command", "recipe.dependencies", "recipe.source", "recipe.url", "then")
# What is encrypted as it comes in, and never shown.
SEALED = ("secrets", "webhooks")
REMEDY = (
    "Send it in 'secrets', whose values are encrypted and never shown, and read it in the job from the environment. "
    "If it is a real one, revoke it: it has travelled in clear."
)


class ClearBody(Body):
    """A body in which no secret may stand but in `secrets` and `webhooks`. That is asked before every other rule, some
    of which quote what they refuse."""

    @model_validator(mode="before")
    @classmethod
    def _no_secret_in_clear(cls, value: Any) -> Any:
        if isinstance(value, dict):
            refuse_secrets(value)
        return value


def refuse_secrets(body: Mapping[str, Any]) -> None:
    """Raise SecretInText, with the place and never the value, where a request holds a secret outside of those. `body`
    is as it was sent: its types are not known yet, and no other rule may quote it first."""
    secrets = body.get("secrets")
    secrets = secrets if isinstance(secrets, dict) else {}
    parts = leak.secret_parts(value for value in secrets.values() if isinstance(value, str))
    for name, value in secrets.items():
        _refuse("secrets", name, ())
        if isinstance(value, dict):  # the name of a secret of the team's
            for path, text, _ in _texts(value):
                _refuse(f"secrets.{name}.{path}", text, ())
    clear = {name: value for name, value in body.items() if name not in SEALED}
    if not parts and not _may_hold(clear):
        return  # most hold nothing, and are read once instead of text by text
    for path, text, is_name in _texts(clear):
        _refuse(path, text, () if is_name or not path.startswith(FREE) else parts)


def _may_hold(body: Mapping[str, Any]) -> bool:
    try:
        return leak.may_hold(json.dumps(body, ensure_ascii=False, default=str))
    except RecursionError:
        return True  # nested too deep for one look


def secret_in(text: str, parts: Iterable[str]) -> str | None:
    """What of a secret stands in a text, in words that hold no part of it; None where nothing does."""
    if (kind := leak.find(text)) is not None:
        return f"holds what looks like {kind}"
    return "holds the value of one of the run's own secrets" if leak.holds(text, parts) else None


def _refuse(path: str, text: str, parts: Iterable[str]) -> None:
    if (found := secret_in(text, parts)) is not None:
        raise SecretInText(f"{path or 'the body'} {found}", field=path or None, remedy=REMEDY)


def _texts(body: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Every text with its place, and whether it is a name; each name before what it names, whose place holds it."""
    waiting: list[tuple[str, Any]] = [("", dict(body))]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value, False
        elif isinstance(value, list):
            waiting += [(f"{path}.{index}", item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            for name, item in value.items():
                yield path, name, True
                waiting.append((f"{path}.{name}" if path else name, item))
