"""The body of POST /runs from what was typed: a file, a pasted command, a script, options, which go before the rest."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli import exits
from service.cli.hf_command import Pasted, read_command, source_of
from service.cli.pasted import command_in
from service.domain.not_mapped import NotMapped
from service.domain.trl.typed import value_of

NOT_SHOWN = "[not shown]"  # in the place of a secret's value

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SCRIPT [ARGS]... | FILE.yaml | hf jobs uv run ...]",
        help="A Python script or its address, a YAML or JSON file with the fields of POST /runs (- reads one), or a "
        "pasted `hf jobs` command. What begins with a dash goes behind `--`.",
    ),
]
ModelOption = Annotated[str | None, typer.Option(help="TRL's SFT of this model, instead of a script.")]
DatasetOption = Annotated[str | None, typer.Option(help="The dataset that it is trained on.")]
ArgOption = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="NAME=VALUE", help="A flag of TRL's, such as learning_rate=5e-5. Repeatable."),
]
FlavorOption = Annotated[str | None, typer.Option(help="Hardware, such as a10g-large, or auto; see `flavors`.")]
TimeoutOption = Annotated[str | None, typer.Option(help="The longest that it may run, such as 90m or 2h.")]
MaxCostOption = Annotated[float | None, typer.Option(metavar="USD", help="The most that it may cost, in dollars.")]
OutputOption = Annotated[str | None, typer.Option(metavar="OWNER/NAME", help="Where the trained model goes.")]
EnvOption = Annotated[
    list[str] | None, typer.Option("-e", "--env", metavar="NAME=VALUE", help="A variable of the job. Repeatable.")
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "-s", "--secret", metavar="NAME", help="A secret: its value from your environment, or NAME=team:KEPT for one "
        "that the team keeps. Repeatable."
    ),
]  # fmt: skip
LabelOption = Annotated[list[str] | None, typer.Option("-l", "--label", metavar="NAME=VALUE", help="Repeatable.")]
WithOption = Annotated[list[str] | None, typer.Option("--with", metavar="PACKAGE", help="For a script. Repeatable.")]
PythonOption = Annotated[str | None, typer.Option(help="The Python of a script, such as 3.12.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Any other field of POST /runs by its path, such as recipe.lora.r=16 or priority=80. Repeatable.",
    ),
]


def body_of(
    words: Sequence[str],
    *,
    model: str | None = None,
    dataset: str | None = None,
    args: Sequence[str] | None = None,
    env: Sequence[str] | None = None,
    secrets: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    packages: Sequence[str] | None = None,
    python: str | None = None,
    fields: Sequence[str] | None = None,
    **plain: Any,
) -> Pasted:
    """The body, with what is to be told of it. `plain` are fields of POST /runs as they are named there. Ends the
    program where it cannot be made."""
    with refusals_told():
        pasted = _begun(words)
        body = pasted.body
        _recipe(body, model, dataset, args, packages, python)
        body.update({name: value for name, value in plain.items() if value is not None})
        for name, pairs in (("env", env), ("labels", labels)):
            if pairs:
                body[name] = {**body.get(name, {}), **dict(_pair(pair) for pair in pairs)}
        if secrets:
            body["secrets"] = {**body.get("secrets", {}), **secrets_of(secrets)}
        put(body, fields or ())
        _refuse_unshown(body)
        if "recipe" not in body:
            raise NotMapped(
                "there is nothing to train with", "Give a script, a file, a pasted command, or --model and --dataset."
            )
    return pasted


@contextmanager
def refusals_told() -> Iterator[None]:
    """Ends the program with a sentence where what was typed is no request."""
    try:
        yield
    except NotMapped as error:
        typer.echo(f"{error.what}.\n  {error.remedy}", err=True)
        raise typer.Exit(exits.USAGE) from None


def _begun(words: Sequence[str]) -> Pasted:
    if not words:
        return Pasted()
    if (command := command_in(words)) is not None:
        pasted = read_command(command, os.environ)
        if " ".join(words).lstrip("$!%> ").startswith("trl "):
            del pasted.body["flavor"]  # no command of Hugging Face's, so none of its hardware by default
        return pasted
    first = words[0]
    if first == "-" or first.endswith((".yaml", ".yml", ".json")):
        if len(words) > 1:
            raise NotMapped(
                f"behind {first} there is {words[1]}", "Give changes as options, such as --flavor or --set."
            )
        return Pasted(body=read_file(first))
    recipe: dict[str, Any] = {"kind": "script"}
    recipe |= {"url": first} if first.startswith(("http://", "https://")) else {"source": source_of(first)}
    if words[1:]:
        recipe["args"] = list(words[1:])
    return Pasted(body={"recipe": recipe})


def read_file(name: str) -> dict[str, Any]:
    """The fields in a YAML or JSON file. Raises NotMapped."""
    import yaml  # type: ignore[import-untyped]

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        found = yaml.load(text, _loader())  # noqa: S506 - a SafeLoader with one rule more
    except (OSError, UnicodeDecodeError) as error:
        raise NotMapped(f"{name} cannot be read: {error}", "Name a file of YAML or JSON.") from None
    except yaml.YAMLError as error:
        raise NotMapped(f"{name} is neither YAML nor JSON: {error}", "Correct it there.") from None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found):
        raise NotMapped(f"{name} holds no fields", "Write the fields of the request by their names, `run:` and so on.")
    return found


def _loader() -> Any:
    """YAML in which 5e-5 is a number, as YAML 1.2 and JSON have it and PyYAML has not; and no is no text for false."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Of this file's own, so that others' stay as they are."""

    number = re.compile(r"[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
    return Loader


def _recipe(
    body: dict[str, Any],
    model: str | None,
    dataset: str | None,
    args: Sequence[str] | None,
    packages: Sequence[str] | None,
    python: str | None,
) -> None:
    """What options say of the recipe."""
    if model is not None or dataset is not None:
        recipe = body.setdefault("recipe", {"kind": "trl_sft"})
        if recipe.get("kind") != "trl_sft":
            raise NotMapped(
                "--model and --dataset are for TRL's SFT, and a script is given", "Leave one of the two out."
            )
        named = {"model_name_or_path": model, "dataset_name": dataset}
        recipe |= {name: value for name, value in named.items() if value is not None}
    recipe = body.get("recipe", {})
    if args:
        if recipe.get("kind") != "trl_sft":
            raise NotMapped(
                "--arg is for TRL's flags", "Give a script's own arguments behind it: script.py -- --epochs 1."
            )
        recipe["args"] = {**recipe.get("args", {}), **{name: value_of(text) for name, text in map(_pair, args)}}
    if packages:
        recipe["dependencies"] = [*recipe.get("dependencies", ()), *packages]
    if python is not None:
        recipe["python"] = python


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise NotMapped(f"'{text}' is not NAME=VALUE", "Write it with an equals sign.")
    return name, value


def _secret(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if equals and value.startswith("team:"):
        return name, {"ref": value.removeprefix("team:")}
    if equals:
        raise NotMapped(
            f"--secret {name}=… would leave the value in the shell's history",
            f"export {name}=…, and give --secret {name}.",
        )
    if name not in os.environ:
        raise NotMapped(f"--secret {name}: {name} is not set in your environment", f"export {name}=… first.")
    return name, os.environ[name]


def put(body: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Set fields by their paths, each `path=value`. Raises NotMapped."""
    for pair in fields:
        path, text = _pair(pair)
        *parents, last = path.split(".")
        place: Any = body
        for name in parents:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise NotMapped(f"--set {path}: {name} is no object", "Name a field of POST /runs by its path.")
        place[last] = value_of(text)
    return body


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """The body as it may be printed: secrets without their values, but for what the team calls its own."""
    secrets = body.get("secrets")
    if not isinstance(secrets, dict) or not secrets:
        return body
    return body | {"secrets": {name: NOT_SHOWN if isinstance(it, str) else it for name, it in secrets.items()}}


def _refuse_unshown(body: dict[str, Any]) -> None:
    """What a dry run has printed in a secret's place is not its value."""
    secrets = body.get("secrets")
    for name, value in secrets.items() if isinstance(secrets, dict) else ():
        if value == NOT_SHOWN:
            raise NotMapped(
                f"the value of the secret {name} is not in the file: a dry run does not print it",
                f"export {name}=…, and give --secret {name}; or --secret {name}=team:KEPT.",
            )


def secrets_of(names: Sequence[str]) -> dict[str, Any]:
    """Secrets by their names, with values out of the environment, or by what the team calls them. Raises NotMapped."""
    return dict(map(_secret, names))
