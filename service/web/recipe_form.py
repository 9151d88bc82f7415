"""The form of a run: its fields drawn from the recipe's JSON Schema, and from what is typed to a body of POST /runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData

from service.web.action import lines

ARGS = "recipe.args."
# What most trainings set; every other flag stands below them.
USUAL = (
    "learning_rate",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "max_length",
    "lr_scheduler_type",
    "warmup_steps",
    "assistant_only_loss",
    "bf16",
)
# Fields that are a text whatever is typed into them, and those that are several, apart by lines or commas.
NUMBERS = {"max_cost_usd", "priority", "recipe.lora.r", "recipe.lora.alpha", "recipe.lora.dropout", "recipe.eval.steps"}
SEVERAL = {"recipe.dependencies", "after"}
LINES = {"recipe.args", "recipe.command"}
PAIRS = {"labels", "env"}
SWITCHES = {"recipe.packing", "recipe.fit_batch", "recipe.lora.rslora", "lineage_card", "force"}
METHODS = ("full", "lora", "qlora")


@dataclass(frozen=True)
class Flag:
    """One flag of TRL as a field: `kind` is how it is typed in (`text`, `number`, `choice`), `like` its default."""

    name: str
    kind: str
    choices: tuple[str, ...]
    like: str
    about: str


def flags_of(schema: Mapping[str, Any]) -> tuple[list[Flag], list[Flag]]:
    """The usual flags, and all others by name."""
    known = {name: _flag(name, one) for name, one in schema["properties"]["args"]["properties"].items()}
    usual = [known[name] for name in USUAL if name in known]
    return usual, [flag for name, flag in sorted(known.items()) if name not in USUAL]


def _flag(name: str, schema: Mapping[str, Any]) -> Flag:
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    default = schema.get("default")
    like = "" if default is None else default if isinstance(default, str) else json.dumps(default)
    if "enum" in schema:
        return Flag(name, "choice", tuple(str(one) for one in schema["enum"]), like, schema.get("description", ""))
    if "boolean" in types and len(set(types) - {"null"}) == 1:
        return Flag(name, "choice", ("true", "false"), like, schema.get("description", ""))
    is_number = bool(types) and set(types) <= {"number", "integer", "null"}
    return Flag(name, "number" if is_number else "text", (), like, schema.get("description", ""))


def body_of(form: FormData, schema: Mapping[str, Any]) -> dict[str, Any]:
    """What is typed as a body of POST /runs. An empty field is left out; what is no number goes as it is typed, so that
    the API says what is wrong with it."""
    flags = schema["properties"]["args"]["properties"]
    body: dict[str, Any] = {"recipe": {"kind": _text(form, "recipe.kind")}}
    for name in form:
        text = _text(form, name)
        if text and name != "recipe.kind" and ("." in name or name in FIELDS):
            _put(body, name.split("."), _value(name, text, flags))
    method = _text(form, "method")
    if method in METHODS and body["recipe"]["kind"] == "trl_sft":
        _settle_method(body["recipe"], method)
    if "eval" in body["recipe"]:
        body["recipe"]["eval"]["strategy"] = "steps"
    return body


FIELDS = {
    "flavor",
    "optimize",
    "timeout",
    "max_cost_usd",
    "output_repo",
    "namespace",
    "priority",
    "team",
    *SEVERAL,
    *PAIRS,
    *SWITCHES,
}


def _settle_method(recipe: dict[str, Any], method: str) -> None:
    if method == "full":
        recipe.pop("lora", None)
        return
    recipe.setdefault("lora", {})
    if method == "qlora":
        recipe["quantization"] = {"bits": 4}


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _put(body: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        body = body.setdefault(part, {})
    body[path[-1]] = value


def _value(name: str, text: str, flags: Mapping[str, Any]) -> Any:
    if name.startswith(ARGS):
        return _flag_value(text, flags.get(name.removeprefix(ARGS), {}))
    if name in SWITCHES:
        return text == "true"
    if name in PAIRS:
        return _pairs(text.splitlines())
    if name in LINES:
        return [line for line in text.splitlines() if line.strip()]
    if name in SEVERAL:
        return lines(text)
    return _number(text) if name in NUMBERS else text


def _flag_value(text: str, schema: Mapping[str, Any]) -> Any:
    """As JSON where the flag takes no text, `null` being the word for nothing; else the text."""
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if text == "null" and "null" in types:
        return None
    if "array" in types and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if types and "string" not in types:
        try:
            return json.loads(text)
        except ValueError:
            return _number(text)
    return text


def _number(text: str) -> float | int | str:
    """`5e-5` as a number, too; what is none as it is typed."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _pairs(rows: Iterable[str]) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in rows) if name.strip()}


def typed_of(run: Mapping[str, Any]) -> dict[str, str]:
    """The other way round: a run's own request as what would be typed, to submit one like it."""
    recipe = run["recipe"]
    asked = (recipe.get("filled") or {}).get("asked") or {}
    typed: dict[str, str] = {"recipe.kind": recipe["kind"]}
    plain = {"flavor": run["flavor"], "max_cost_usd": run["max_cost_usd"], "namespace": run["namespace"]}
    plain |= {"output_repo": (run["output"] or {}).get("repo"), "priority": run["priority"]}
    plain |= {"timeout": run["timeout_seconds"], "team": run["team"]}
    for name in ("model_name_or_path", "model_revision", "dataset_name", "dataset_config", "dataset_revision"):
        plain[f"recipe.{name}"] = recipe.get(name)
    for name in ("dataset_train_split", "chat_template_path", "report_to", "trl_version", "preset", "python"):
        plain[f"recipe.{name}"] = recipe.get(name)
    plain["recipe.url"] = recipe.get("url")
    plain["recipe.source"] = None if recipe.get("url") else recipe.get("source")
    for name in ("r", "alpha", "dropout"):
        plain[f"recipe.lora.{name}"] = (recipe.get("lora") or {}).get(name)
    if recipe["kind"] == "trl_sft":
        given = asked.get("args", recipe.get("args") or {})
        plain |= {f"{ARGS}{name}": value for name, value in given.items()}
        typed["method"] = METHODS[bool(recipe.get("lora")) + bool(recipe.get("quantization"))]
    else:
        typed["recipe.args"] = "\n".join(recipe.get("args") or ())
        typed["recipe.command"] = "\n".join(recipe.get("command") or ())
        typed["recipe.dependencies"] = "\n".join(recipe.get("dependencies") or ())
    for name in ("labels", "env"):
        typed[name] = "\n".join(f"{key}={value}" for key, value in run[name].items())
    return typed | {name: _typed(value) for name, value in plain.items() if value is not None}


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
