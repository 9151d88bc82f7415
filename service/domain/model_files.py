"""Whether the files at a commit are a whole model: weights, every shard of the index, configuration, tokenizer.

Pure: it judges what was read. TRL's script always publishes all of these; a script of the caller's own may publish what
it likes, so of its files only those are judged that are there: but what a training writes beside a model is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.domain.finding import Verdict
from service.domain.output import NOT_A_MODEL, Check, Due, File

MAX_DOCUMENT_BYTES = 8 * 1024 * 1024  # the index of the largest public models takes less than one
MOST_NAMED = 3

# transformers 5.23, modeling_utils.py: the first of these that is there is what loads
SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
BIN, BIN_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
WEIGHTS = (SAFETENSORS, SAFETENSORS_INDEX, BIN, BIN_INDEX)
INDEXES = (SAFETENSORS_INDEX, BIN_INDEX)
# peft 0.21, utils/constants.py
ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
MUST_NAME = {CONFIG: ("model_type",), ADAPTER_CONFIG: ("peft_type", "base_model_name_or_path")}
# transformers 5.23, VOCAB_FILES_NAMES of its tokenizers; tekken.json (mistral-common) stands alone
TEKKEN, TOKENIZER_CONFIG = "tekken.json", "tokenizer_config.json"
VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spm.model",
)
# What a training writes beside a model, at the top or in a checkpoint's folder (transformers 5.23, trainer.py): having
# nothing else, a repository holds none. A tokenizer alone may be all that a script was for.
BESIDE = re.compile(
    r"checkpoint-\d+/.*|runs/.*|\.\w[^/]*|(?:optimizer|scheduler|scaler|rng_state|training_args|trainer_state)[^/]*"
    r"|(?:generation_|adapter_)?config\.json|[^/]*\.(?:log|md)"
)
PUSH_ALL = "Publish the whole folder of the saved model (trainer.push_to_hub, or upload_folder) before the script ends."


def documents(due: Due, files: Sequence[File]) -> list[str]:
    """The small files to read before judging: the configuration, and the index of shards, where they are there."""
    sizes = {file.path: file.size_bytes for file in files}
    names = [_config_name(due, sizes), _index_name(sizes)]
    return [name for name in names if name in sizes and (sizes[name] or 0) <= MAX_DOCUMENT_BYTES]


def judge(due: Due, files: Sequence[File], read: Mapping[str, bytes | None]) -> list[Check]:
    """Every check of the files at a commit, with what was read of `documents`."""
    sizes = {file.path: file.size_bytes for file in files}
    checks = [_weights(due, sizes)]
    if (index := _index_name(sizes)) is not None:
        checks.append(_shards(index, read, sizes))
    config = _config_name(due, sizes)
    if due is not Due.ANYTHING or config in sizes or config == ADAPTER_CONFIG:
        checks.append(_config(due, config, read, sizes))
    if due is not Due.ANYTHING:
        checks.append(_tokenizer(sizes))
    return checks


def _config_name(due: Due, sizes: Mapping[str, int | None]) -> str:
    # Of both, transformers reads the adapter's first, and then the base model's in place of the one beside it.
    is_adapter = due is Due.ADAPTER or (
        due is Due.ANYTHING and any(name in sizes for name in (ADAPTER_CONFIG, *ADAPTERS))
    )
    return ADAPTER_CONFIG if is_adapter else CONFIG


def _index_name(sizes: Mapping[str, int | None]) -> str | None:
    return next((name for name in INDEXES if name in sizes), None)


def _weights(due: Due, sizes: Mapping[str, int | None]) -> Check:
    known = {Due.ADAPTER: ADAPTERS, Due.MODEL: WEIGHTS, Due.ANYTHING: (*WEIGHTS, *ADAPTERS)}[due]
    found = [name for name in known if name in sizes]
    if empty := next((name for name in found if sizes[name] == 0), None):
        return _failed("weights", f"{empty} is empty")
    if due is Due.ANYTHING:
        return _anything(found, sizes)
    if not found:
        singles = [name for name in known if name not in INDEXES]
        shards = "" if due is Due.ADAPTER else ", nor an index of shards"
        return _failed("weights", f"there are no weights: neither {' nor '.join(singles)}{shards}")
    return Check("weights", Verdict.PASSED, f"{found[0]} is there")


def _anything(found: Sequence[str], sizes: Mapping[str, int | None]) -> Check:
    others = sorted(path for path in sizes if path not in NOT_A_MODEL)
    if not others:
        return _failed("weights", "there are no files but README.md")
    if all(map(BESIDE.fullmatch, others)):
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        return _failed("weights", f"there are no weights, only {', '.join(others[:MOST_NAMED])}{more}")
    return Check("weights", Verdict.PASSED, f"{found[0]} is there" if found else f"{len(others)} files are there")


def _shards(index: str, read: Mapping[str, bytes | None], sizes: Mapping[str, int | None]) -> Check:
    content = _object(index, read, sizes)
    if isinstance(content, str):
        return _failed("shards", content)
    named = content.get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        return _failed("shards", f"{index} names no shards")
    shards = sorted(set(named.values()))
    if wrong := list(_wrong(shards, sizes)):
        more = f"; and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        return _failed("shards", "; ".join(wrong[:MOST_NAMED]) + more)
    held = [size for name in shards if (size := sizes[name]) is not None]
    if len(held) < len(shards):
        return Check(
            "shards", Verdict.UNKNOWN, f"all {len(shards)} shards are there; the Hub does not tell their sizes"
        )
    metadata = content.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    if isinstance(total, int | float) and sum(held) < total:
        return _failed("shards", f"the {len(shards)} shards hold {sum(held)} bytes, {index} says {total:.0f}")
    return Check("shards", Verdict.PASSED, f"all {len(shards)} shards are there, {sum(held)} bytes")


def _wrong(shards: Sequence[str], sizes: Mapping[str, int | None]) -> Iterator[str]:
    for name in shards:
        if name not in sizes:
            yield f"shard {name} is not there"
        elif sizes[name] == 0:
            yield f"shard {name} is empty"


def _config(due: Due, name: str, read: Mapping[str, bytes | None], sizes: Mapping[str, int | None]) -> Check:
    content = _object(name, read, sizes)
    if isinstance(content, str):
        return _failed("config", content)
    for field in () if due is Due.ANYTHING else MUST_NAME[name]:
        if not isinstance(content.get(field), str) or not content[field]:
            return _failed("config", f"{name} names no {field}")
    return Check("config", Verdict.PASSED, f"{name} can be read")


def _tokenizer(sizes: Mapping[str, int | None]) -> Check:
    found = [name for name in (TEKKEN, *VOCABULARIES) if name in sizes]
    if not found:
        return _failed("tokenizer", "there is no tokenizer: neither tokenizer.json nor another vocabulary")
    wanted = found[:1] if found[0] == TEKKEN else [found[0], TOKENIZER_CONFIG]
    for name in wanted:
        if sizes.get(name, 0) == 0:
            return _failed("tokenizer", f"{name} of the tokenizer {'is empty' if name in sizes else 'is not there'}")
    return Check("tokenizer", Verdict.PASSED, f"{' and '.join(wanted)} {'is' if len(wanted) == 1 else 'are'} there")


def _object(name: str, read: Mapping[str, bytes | None], sizes: Mapping[str, int | None]) -> dict[str, Any] | str:
    """A document's JSON object, or what is wrong with it."""
    if name not in sizes:
        return f"{name} is not there"
    if (content := read.get(name)) is None:
        return f"{name} is larger than is read ({MAX_DOCUMENT_BYTES // 2**20} MiB)"
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else f"{name} is no JSON object"


def _failed(check: str, message: str) -> Check:
    return Check(check, Verdict.FAILED, message, PUSH_ALL)
