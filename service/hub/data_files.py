"""Which of a dataset's files belong to which configuration and split: as its card lays them out, or by their names.

The rules are those of `datasets` 5.2 (docs: "Structure your repository"; data_files.py): a keyword in a file's or
folder's name, and `train` where there is none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

DEFAULT = "default"
DATA = re.compile(r".*\.(jsonl|ndjson|json|csv|tsv|parquet|arrow|txt)(\.(gz|zst|bz2|xz))?", re.IGNORECASE)
# What holds no text, and what may hold anything: `datasets` loads these too.
PICTURES = re.compile(r".*\.(png|jpe?g|gif|bmp|webp|tiff?|wav|mp3|flac|ogg|m4a|mp4|avi|mov|mkv)", re.IGNORECASE)
ANYTHING = re.compile(
    r".*\.(zip|tar|tar\.gz|tgz|gz|zst|bz2|xz|7z|xml|hdf5|h5|eval|toml|md|lance|pdf|conllu?|geoparquet|gpq|tsfile|vortex|"
    r"fa|fasta|fna|ffn|faa|frn|afa|gbk?|genbank|fq|fastq|pdb|ent|m?cif|nii|glb|ply|stl|obj|tfrecord|msgpack|pt|npz?)",
    re.IGNORECASE,
)
IGNORED = frozenset({"README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"})
SPLITS = {
    "train": r"train(ing)?",
    "validation": r"validation|valid|val|dev",
    "test": r"test(ing)?|eval(uation)?",
}
WORD = r"(?:^|[-._ 0-9/])(?:{})(?:$|[-._ 0-9/])"

Files = Mapping[str, int | None]


@dataclass
class Layout:
    """The files of each split of each configuration with their sizes; `absent`: a pattern, by configuration, that the
    card names and no file has."""

    configs: dict[str, dict[str, dict[str, int | None]]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def files_of(info: Mapping[str, Any]) -> dict[str, int | None]:
    """All files of a repository that count as its data, whatever they hold, with their sizes where the Hub tells."""
    listed = info.get("siblings")
    named = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {
        one["rfilename"]: number(one.get("size"))
        for one in named
        if isinstance(name := one.get("rfilename"), str)
        and name.rpartition("/")[2] not in IGNORED
        and not name.rpartition("/")[2].startswith(".")
    }


def layout(card: Mapping[str, Any], files: Files) -> Layout:
    """The files of each split, as the card's `configs` say or by their names."""
    found = Layout()
    for one in mappings(card.get("configs")):
        name = name_of(one)
        folder = one.get("data_dir")
        folder = folder.strip("./") + "/" if isinstance(folder, str) and folder.strip("./") else ""
        if one.get("data_files") is not None:
            found.configs[name] = _listed(one["data_files"], folder, files, found, name)
        elif folder:
            inside = {path: size for path, size in files.items() if path.startswith(folder) and DATA.fullmatch(path)}
            found.configs[name] = by_name(inside)
    if not found.configs and (data := {path: size for path, size in files.items() if DATA.fullmatch(path)}):
        found.configs[DEFAULT] = by_name(data)
    return found


def _listed(
    data_files: object, folder: str, files: Files, found: Layout, config: str
) -> dict[str, dict[str, int | None]]:
    """The splits that `data_files` spells out."""
    if isinstance(data_files, str) or (isinstance(data_files, list) and all(isinstance(x, str) for x in data_files)):
        data_files = [{"split": "train", "path": data_files}]
    splits: dict[str, dict[str, int | None]] = {}
    for one in mappings(data_files):
        if "split" not in one:
            continue
        path = one.get("path")
        patterns = [path] if isinstance(path, str) else path if isinstance(path, list) else []
        paths: dict[str, int | None] = {}
        for pattern in patterns:
            matching = None if not isinstance(pattern, str) else _matching(folder + pattern, files)
            if matching == {} and config not in found.absent:
                found.absent[config] = str(pattern)
            paths |= matching or {}
        splits[str(one["split"])] = paths
    return splits


def _matching(pattern: str, files: Files) -> dict[str, int | None] | None:
    """The files that a pattern of a card stands for; None where that cannot be told from names: addresses, archives."""
    if "::" in pattern or "://" in pattern:
        return None
    wanted = pattern.removeprefix("./").lstrip("/").split("/")
    loaded = (DATA, PICTURES, ANYTHING)
    return {
        path: size
        for path, size in files.items()
        if any(one.fullmatch(path) for one in loaded) and _is_match(wanted, path.split("/"))
    }


def _is_match(wanted: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a path is what a pattern says, folder by folder; `**` is any number of them. No regular expression over
    the whole: a pattern of a stranger's could keep one busy for ever."""
    reached = {0}
    for one in wanted:
        if one == "**":
            reached = set(range(min(reached), len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatchcase(parts[at], one)}
        if not reached:
            return False
    return len(parts) in reached


def by_name(files: Files) -> dict[str, dict[str, int | None]]:
    """The splits that names tell."""
    found: dict[str, dict[str, int | None]] = defaultdict(dict)
    for path, size in files.items():
        stem = re.sub(r"\.[a-z]+(\.[a-z0-9]+)?$", "", path, flags=re.IGNORECASE)
        for split, words in SPLITS.items():
            if re.search(WORD.format(words), stem, re.IGNORECASE):
                found[split][path] = size
                break
    if found:
        return dict(found)
    return {"train": dict(files)} if files else {}


def mappings(value: object) -> Iterable[Mapping[str, Any]]:
    """The objects of what should be a list of them, or one alone."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def name_of(told: Mapping[str, Any]) -> str:
    """The configuration that a part of a card is about."""
    name = told.get("config_name", DEFAULT)
    return name if isinstance(name, str) else str(name)


def number(value: object) -> int | None:
    """A count that can be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
