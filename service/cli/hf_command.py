"""A pasted `hf jobs uv run …` or `hf jobs run …` as the body of a run: what has no place is refused by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.cli.hf_options import RUN, UV, UV_RUN, read, variables, volume
from service.domain.not_mapped import NotMapped
from service.domain.trl.typed import known_address, recipe_of, sft_release

HF_DEFAULT_FLAVOR = "cpu-basic"
HF_DEFAULT_TIMEOUT = "30m"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
PYTHON_IMAGE = re.compile(r"python:(\d+\.\d+)(?:[.-][\w.-]+)?")
UV_IMAGE = re.compile(r"ghcr\.io/astral-sh/uv:.*")
NO_PLACE = {
    "expose": "jobs are not reached from outside",
    "expose_public": "jobs are not reached from outside",
    "ssh": "jobs are not reached from outside",
    "network_group": "each run is one job by itself",
    "network_alias": "each run is one job by itself",
}
OF_NO_USE = ("detach", "format", "json", "quiet")


@dataclass
class Pasted:
    """What a command comes to, and what is worth telling of it."""

    body: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    is_dry: bool = False


def read_command(words: Sequence[str], environ: Mapping[str, str]) -> Pasted:
    """The run of a command that begins with `hf`. Raises NotMapped."""
    pasted = Pasted()
    if list(words[1:4]) == ["jobs", "uv", "run"]:
        said = read(UV_RUN, words[4:])
        _options(said, environ, pasted)
        _script(said, pasted)
    elif list(words[1:3]) == ["jobs", "run"]:
        said = read(RUN, words[3:])
        _options(said, environ, pasted)
        _command(said, pasted)
    else:
        raise NotMapped(
            f"`{' '.join(words[:4])}` starts no job that could be a run",
            "Paste a command that begins with `hf jobs uv run` or `hf jobs run`.",
        )
    return pasted


def _options(said: Mapping[str, Any], environ: Mapping[str, str], pasted: Pasted) -> None:
    """What both commands have, but for the script and its packages."""
    for name, why in NO_PLACE.items():
        if said[name]:
            raise NotMapped(f"--{name.replace('_', '-')} has no place in a run: {why}", "Leave it out.")
    body, notes = pasted.body, pasted.notes
    body["flavor"] = said["flavor"] or HF_DEFAULT_FLAVOR
    timeout = said["timeout"] or HF_DEFAULT_TIMEOUT
    body["timeout"] = f"{timeout}s" if re.fullmatch(r"[\d.]+", timeout) else timeout
    if not said["timeout"]:
        notes.append(f"No --timeout: {HF_DEFAULT_TIMEOUT}, as on Hugging Face.")
    env = variables(said["env"], said["env_file"], environ, "--env")
    secrets = variables(said["secrets"], said["secrets_file"], environ, "--secrets")
    for given, option in ((env, "--env"), (secrets, "--secrets")):
        for name in TOKENS:
            if given.pop(name, None) is not None:
                notes.append(f"{option} {name} is left out: the service gives each job its own token.")
    labels = {}
    for label in said["label"]:
        name, _, value = label.partition("=")
        labels[name] = value
    if labels.pop("name", None) or said["name"]:
        notes.append("The name is left out: the service names jobs by their run.")
    if said["token"]:
        notes.append("--token is left out: the service starts jobs with its own token.")
    if said["attempts"] and said["attempts"] > 1:
        body["retry"] = {"max_attempts": said["attempts"]}
        notes.append("--attempts: the service tries again what may go well, not what the script itself did wrong.")
    for name, value in (("env", env), ("secrets", secrets), ("labels", labels)):
        if value:
            body[name] = value
    if said["volume"]:
        body["volumes"] = [volume(spec) for spec in said["volume"]]
    for name, of_run in (("namespace", "namespace"), ("resource_group_id", "resource_group")):
        if said[name]:
            body[of_run] = said[name]
    pasted.is_dry = said["dry_run"]


def _script(said: Mapping[str, Any], pasted: Pasted) -> None:
    """`hf jobs uv run`: a script by its path or address, or TRL's command."""
    packages = list(said["with"])
    _image(said["image"], pasted)
    words = [said["script"], *said["script_args"]]
    if words[0] == "trl":
        _trl(words[1:], packages, said["python"], pasted)
    else:
        _uv_script(words, packages, said["python"], pasted)


def _command(said: Mapping[str, Any], pasted: Pasted) -> None:
    """`hf jobs run`: what it starts may be `uv run`, Python with a text, or TRL's command; or anything of the image."""
    words = list(said["command"])
    python = None
    if (image := PYTHON_IMAGE.fullmatch(said["image"])) is not None:
        python = image[1]
    else:
        _image(said["image"], pasted)
    if words[:2] == ["uv", "run"]:
        inner = read(UV, words[2:])
        packages, script = list(inner["with"]), [inner["script"], *inner["script_args"]]
        if script[0] == "trl":
            _trl(script[1:], packages, inner["python"] or python, pasted)
        elif script[0].startswith(("http://", "https://")):
            _uv_script(script, packages, inner["python"] or python, pasted)
        else:
            _in_the_image(words, said["image"], pasted)
    elif words[0] in ("python", "python3") and words[1:2] == ["-c"] and len(words) > 2:
        recipe: dict[str, Any] = {"kind": "script", "source": words[2], "args": words[3:]}
        pasted.body["recipe"] = recipe | ({"python": python} if python else {})
    elif words[0] == "trl":
        _trl(words[1:], [], python, pasted)
    else:
        _in_the_image(words, said["image"], pasted)


def _in_the_image(words: list[str], image: str, pasted: Pasted) -> None:
    """What nobody here can read: it is run as it is, by the image that it is meant for."""
    pasted.body["recipe"] = {"kind": "script", "command": words}
    pasted.body["image"] = image
    pasted.notes.append("It is a command of the image: nothing of it is checked before a job is paid.")


def _uv_script(words: list[str], packages: list[str], python: str | None, pasted: Pasted) -> None:
    script, args = words[0], words[1:]
    is_url = script.startswith(("http://", "https://"))
    if is_url and (version := sft_release(packages, script)) is not None:
        _as_trl(args, version, pasted)
        return
    recipe: dict[str, Any] = {"kind": "script"}
    if is_url:
        recipe["url"] = script
        _tell_of_sft(script, args, pasted)
    else:
        recipe["source"] = source_of(script)
    if args:
        recipe["args"] = args
    if packages:
        recipe["dependencies"] = packages
    if python:
        recipe["python"] = python
    pasted.body["recipe"] = recipe


def _tell_of_sft(url: str, args: list[str], pasted: Pasted) -> None:
    """TRL's script as it is on a branch, or in a release that is not known here, is a script like any other."""
    if (tagged := known_address(url)) is None:
        return
    pasted.notes.append(
        f"This address is no release of TRL that is known here: it stays a script, and is not checked before a job is "
        f"paid. {tagged} becomes a checked trl_sft run."
    )
    if "--push_to_hub" in args and (repo := _value_behind("--hub_model_id", args)) is not None:
        pasted.body["output_repo"] = repo


def _value_behind(flag: str, args: list[str]) -> str | None:
    """The value of a flag of the script's, however it is joined."""
    for word, following in zip(args, [*args[1:], ""], strict=True):
        if word == flag and following:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _trl(words: list[str], packages: list[str], python: str | None, pasted: Pasted) -> None:
    if words[:1] != ["sft"]:
        raise NotMapped(f"`trl {' '.join(words[:1])}` is not `trl sft`", "Use TRL's script for it by its address.")
    if (version := sft_release(packages)) is None:
        raise NotMapped(f"the release of TRL in --with {' '.join(packages)} is not known here", "Leave it out.")
    others = [one for one in packages if not re.match(r"trl\b", one)]
    if others:
        pasted.notes.append(f"--with {' '.join(others)} is left out: the service installs what its flags need.")
    if python:
        pasted.notes.append("--python is left out: TRL runs on the service's own.")
    _as_trl(words[1:], version, pasted)


def _as_trl(words: list[str], version: str, pasted: Pasted) -> None:
    recipe, repo = recipe_of(words, version, pasted.notes)
    pasted.body["recipe"] = recipe
    if repo:
        pasted.body["output_repo"] = repo
    pasted.notes.append(f"It is TRL {version}'s SFT: the recipe is trl_sft, checked before a job is paid.")


def _image(image: str | None, pasted: Pasted) -> None:
    if image and not UV_IMAGE.fullmatch(image):
        pasted.body["image"] = image


def source_of(path: str) -> str:
    """A local script's text. Raises NotMapped where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NotMapped(f"{path} is no text in UTF-8", "Save it as UTF-8.") from None
    except OSError:
        raise NotMapped(
            f"there is no script {path} here, and other commands are no runs",
            "Name a script by its path or its address.",
        ) from None
