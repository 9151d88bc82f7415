"""Do the names that LoRA is given name anything in the model.

peft 0.21 takes a list's items for the ends of modules' names, and a text alone for a pattern over their whole names
(`check_target_module_exists`). Where no target is found, the job ends; modules to save and parameters that name nothing
are left out without a word, and what is paid for was not asked for. Every name that a part of the model may have is
read off its source (domain/trl/models.py), so what is refused here matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from service.domain.estimate.family import FAMILIES
from service.domain.finding import Finding, failed, listed, nearest, passed
from service.domain.run import Reason
from service.domain.trl.flags import described, release
from service.domain.trl.models import models
from service.domain.wanted import Wanted

NAME = "lora_targets"
ALL = "all-linear"
PATTERN = re.compile(r"[.*\\\[\](){}|?+^$]")
# Beside the linear layers, for the types whose source does not tell all names.
ENDS = ("lm_head", "embed_tokens")


def check_lora(wanted: Wanted, config: Mapping[str, Any]) -> list[Finding]:
    """What names nothing; nothing where the model's parts are not known."""
    training = wanted.training
    if training is None or training.lora is None or training.trl_version not in described():
        return []
    known = models(release(training.trl_version).versions["transformers"])
    model_type = str(config.get("model_type"))
    family = FAMILIES.get(model_type)
    names = None if known is None else known.modules.get(model_type)
    linears = list((*family.attention, *family.mlp) if family else known.linears.get(model_type, ()) if known else ())
    if not linears:
        return []
    lora, parts = training.lora, names or frozenset((*linears, *ENDS))
    targets = [lora.target_modules] if isinstance(lora.target_modules, str) else list(lora.target_modules)
    elsewhere = frozenset(one for names_of in known.modules.values() for one in names_of) if known else frozenset()
    found = [_targets(targets, parts, linears, elsewhere)]
    if names is not None and lora.modules_to_save is not None:
        found.append(_ends("modules_to_save", lora.modules_to_save, names, linears))
    if names is not None and lora.target_parameters is not None:
        found.append(_ends("target_parameters", lora.target_parameters, names | {"weight", "bias"}, linears))
    wrong = [one for one in found if one is not None]
    return wrong or [passed(NAME, f"{listed(targets)} of {listed(dict.fromkeys(linears))}")]


def _targets(
    targets: Sequence[str], parts: Iterable[str], linears: Sequence[str], elsewhere: Collection[str]
) -> Finding | None:
    if len(targets) > 1:
        missing = [one for one in targets if not _is_there(one, parts)]
        # lists for several kinds of models name what only some have: that is no mistake, a slip of the finger is
        slips = [one for one in missing if one not in elsewhere and nearest(one, linears) is not None]
        wrong = missing if len(missing) == len(targets) else slips
        return _nothing("target_modules", wrong, linears) if wrong else None
    [text] = targets
    # a pattern is over whole names of modules, which are not known here; its form was looked at when it came
    if text.lower() == ALL or PATTERN.search(text) or _is_there(text, parts):
        return None
    return _nothing("target_modules", targets, linears)


def _ends(field: str, given: Sequence[str], names: Iterable[str], linears: Sequence[str]) -> Finding | None:
    """peft compares the ends of names, wherever they begin."""
    ends = tuple(names)
    for one in given:
        *_, last = one.split(".")
        if any(name.endswith(last) for name in ends) and all(_is_part(part, ends) for part in one.split(".")[:-1]):
            return None
    return _nothing(field, given, linears)


def _is_there(target: str, parts: Iterable[str]) -> bool:
    names = tuple(parts)
    return all(_is_part(part, names) for part in target.split("."))


def _is_part(part: str, names: Sequence[str]) -> bool:
    return part.isdecimal() or part in names or part in ("model", "base_model")


def _nothing(field: str, given: Sequence[str], linears: Sequence[str]) -> Finding:
    message = f"{listed(given, 5)[:200]} in lora.{field} is nothing in the model; its linear layers are "
    message += listed(dict.fromkeys(linears))
    return failed(NAME, message, Reason.BAD_ARGUMENT, f"recipe.lora.{field}", _remedy(given, linears))


def _remedy(given: Sequence[str], linears: Sequence[str]) -> str:
    return nearest(given[0], linears) or f"Name some of those, or '{ALL}'."
