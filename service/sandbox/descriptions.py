"""What the Hub says about a repository: the body of model_info, dataset_info and the lists."""

from __future__ import annotations

import hashlib
import json
from math import prod
from typing import Any

from service.sandbox.blobs import Blob, Tree
from service.sandbox.calls import Call
from service.sandbox.cards import card_of, tags_of
from service.sandbox.repos import Commit, Repo, stamp
from service.sandbox.wire import Response, json_response

LEFT_OUT_OF_LISTS = {"siblings", "sha", "config", "safetensors", "cardData", "usedStorage"}


def show_info(call: Call) -> Response:
    """GET the repository [revision/{revision}]: `blobs=true` adds sizes, `expand` names the only wanted fields."""
    commit = call.repo.at(call.rest or "main")
    answer = describe(call.repo, commit, sizes=call.flag("blobs"))
    if wanted := call.request.query("expand") + call.request.query("expand[]"):
        answer = {key: value for key, value in answer.items() if key in ("_id", "id", *wanted)}
    return json_response(answer)


def describe(repo: Repo, commit: Commit, *, sizes: bool = False) -> dict[str, Any]:
    """Everything known about a repository at one commit, under the Hub's names (huggingface_hub 2.4.0 ModelInfo)."""
    card = card_of(commit.tree)
    answer: dict[str, Any] = {
        "_id": hub_id(repo),
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.sha,
        "lastModified": stamp(commit.date),
        "createdAt": stamp(repo.created_at),
        "private": repo.private,
        "gated": repo.gated or False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags_of(card),
        "siblings": [_sibling(path, blob, sizes=sizes) for path, blob in sorted(commit.tree.items())],
        "usedStorage": sum(len(blob.data) for blob in commit.tree.values()),
    }
    if card:
        answer["cardData"] = card
    if repo.kind == "model":
        answer |= {"modelId": repo.id, **_model_facts(card, commit.tree)}
    if repo.kind == "space":
        answer |= {"sdk": repo.sdk, "runtime": {"stage": "RUNNING", "hardware": {"current": "cpu-basic"}}}
    return answer


def hub_id(repo: Repo) -> str:
    """The id that outlives a repository's name: 24 hex digits."""
    made = f"{repo.kind} {repo.id} {stamp(repo.created_at)}"
    return hashlib.sha1(made.encode(), usedforsecurity=False).hexdigest()[:24]


def _sibling(path: str, blob: Blob, *, sizes: bool) -> dict[str, Any]:
    if not sizes:
        return {"rfilename": path}
    item: dict[str, Any] = {"rfilename": path, "size": len(blob.data), "blobId": blob.oid}
    if blob.in_lfs:
        item["lfs"] = {"sha256": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}
    return item


def _model_facts(card: dict[str, Any], tree: Tree) -> dict[str, Any]:
    facts: dict[str, Any] = {key: card[key] for key in ("library_name", "pipeline_tag") if key in card}
    if (config := _json_object(tree.get("config.json"))) is not None:
        told = {key: config[key] for key in ("architectures", "model_type") if key in config}
        facts["config"] = {key: value for key, value in told.items() if isinstance(value, str | list)}
    if parameters := _parameters(tree):
        facts["safetensors"] = {"parameters": parameters, "total": sum(parameters.values())}
    return facts


def _parameters(tree: Tree) -> dict[str, int]:
    """How many numbers of each type the safetensors files at the top of a repository hold; broken files count none."""
    counts: dict[str, int] = {}
    for path, blob in tree.items():
        if "/" in path or not path.endswith(".safetensors"):
            continue
        for tensor in (_safetensors_header(blob.data) or {}).values():
            match tensor:
                case {"dtype": str(dtype), "shape": list(shape)} if all(isinstance(side, int) for side in shape):
                    counts[dtype] = counts.get(dtype, 0) + prod(shape)
    return counts


def _safetensors_header(data: bytes) -> dict[str, Any] | None:
    """The JSON at the start of a safetensors file: 8 bytes of little-endian length, then that many bytes."""
    length = int.from_bytes(data[:8], "little")
    return _json_object(Blob(data[8 : 8 + length])) if length <= len(data) - 8 else None


def _json_object(blob: Blob | None) -> dict[str, Any] | None:
    if blob is None:
        return None
    try:
        value = json.loads(blob.data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
