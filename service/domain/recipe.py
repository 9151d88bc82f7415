"""How a run trains: TRL's maintained SFT script with typed options, or a script of the caller's own.

These models are what a caller sends. What is stored, shown and run says more of a script: its sha256, and its header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from service.domain.header import Header
from service.domain.script import Script, digest
from service.domain.trl_sft import STORED, TrlSft

Recipe = Annotated[TrlSft | Script, Field(discriminator="kind")]
# Of a run that was made for a job found on Hugging Face: nobody knows what it was asked for.
ADOPTED = {"kind": "adopted"}
ANY: TypeAdapter[TrlSft | Script] = TypeAdapter(Recipe)


def stored(recipe: TrlSft | Script, image: str | None = None) -> tuple[dict[str, Any], str | None]:
    """A recipe as it is kept, and the image that it runs in (None: the service's own). What the caller says goes before
    what the script's header asks for."""
    kept = recipe.model_dump(mode="json")
    if not isinstance(recipe, Script):
        return kept, image
    if recipe.source is None:  # it is not here yet, or it is a command
        return {**kept, "header": None}, image
    own = recipe.header
    wishes = {} if own is None else own.hf_jobs
    said = {"python": recipe.python, "image": image}
    honoured = {key: value for key, value in wishes.items() if said[key] is None}
    kept |= {
        "sha256": digest(recipe.source),
        "python": recipe.python or honoured.get("python"),
        "header": None if own is None else _shown(own, honoured),
    }
    return kept, image or honoured.get("image")


def auto_refusal(recipe: TrlSft | Script) -> tuple[str, str] | None:
    """Why nobody can choose a flavor for a recipe, and what to do; None where the estimate can."""
    if not isinstance(recipe, TrlSft):
        return (
            "'auto' is for trl_sft recipes; nothing is known of what a script needs",
            "Name a flavor; GET /flavors lists them.",
        )
    if recipe.flags().get("use_cpu") is True:
        return (
            "'auto' chooses by the memory and the time of GPUs, and the training is told to do without ('use_cpu')",
            "Name a flavor without a GPU, such as 'cpu-upgrade', or leave use_cpu out.",
        )
    return None


def read(kept: Mapping[str, Any]) -> TrlSft | Script:
    """A stored recipe. Raises ValidationError for one that no release has stored."""
    fields = {name: value for name, value in kept.items() if name != "header"}
    if "source" in fields:  # of a script that came by its address, one of the two: fetched, the text is what runs
        fields.pop("source" if fields["source"] is None else "url", None)
    return ANY.validate_python(fields, context=STORED)


def with_source(kept: Mapping[str, Any], source: str) -> Script:
    """A stored recipe with the text that was fetched for it. Raises ValidationError where they do not fit."""
    fields = {name: value for name, value in kept.items() if name not in ("header", "url")}
    return Script.model_validate({**fields, "source": source})


def _shown(own: Header, honoured: Mapping[str, str]) -> dict[str, Any]:
    """The run object's `recipe.header`."""
    overruled = [key for key in own.hf_jobs if key not in honoured]
    return {
        "name": own.name,
        "requires_python": own.requires_python,
        "dependencies": list(own.dependencies),
        "honoured": dict(honoured),
        "ignored": sorted([*own.ignored, *overruled]),
    }
