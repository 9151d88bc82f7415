"""Works out a dataset's configurations, splits and columns from what the Hub holds of it.

Three sources, the best first: the dataset viewer (`/info`, which has loaded the data), the card's `dataset_info` (which
`push_to_hub` writes), and the files' names with the first line of a JSON-lines or CSV file. The last follows the rules
by which `datasets` finds splits (docs: "Structure your repository"): a keyword in a file's or folder's name, and
`train` where there is none.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Any

from service.domain.facts import DatasetFact, Outcome, Split

DATA_FILES = re.compile(r".*\.(jsonl|ndjson|json|csv|tsv|parquet|arrow|txt)(\.(gz|zst|bz2|xz))?")
SPLITS = {
    "train": r"train(ing)?",
    "validation": r"validation|valid|val|dev",
    "test": r"test(ing)?|eval(uation)?",
}
WORD = r"(?:^|[-._ 0-9/])(?:{})(?:$|[-._ 0-9/])"
DEFAULT = "default"

FirstLine = Callable[[str], str | None]
Splits = dict[str, dict[str, Split]]


def describe_dataset(
    sha: str, info: Mapping[str, Any], served: Mapping[str, Any] | None, first_line: FirstLine
) -> DatasetFact:
    """One dataset. `served` is the viewer's answer if there is one; `first_line` reads one of its files."""
    if served is not None and isinstance(told := served.get("dataset_info"), dict) and told:
        configs = {str(name): _splits(one) for name, one in told.items() if isinstance(one, dict)}
        columns = {str(name): _columns(one) for name, one in told.items() if isinstance(one, dict)}
        return _fact(sha, configs, columns, "the dataset viewer")
    card = info.get("cardData") if isinstance(info.get("cardData"), dict) else {}
    assert isinstance(card, dict)
    listed = card.get("dataset_info")
    described = [one for one in (listed if isinstance(listed, list) else [listed]) if isinstance(one, dict)]
    configs = {str(one.get("config_name", DEFAULT)): _splits(one) for one in described}
    columns = {str(one.get("config_name", DEFAULT)): _columns(one) for one in described}
    if described and all(configs.values()):
        return _fact(sha, configs, columns, "its card")
    files = _by_config(card, _data_files(info))
    columns |= {name: found for name, splits in files.items() if (found := _first_columns(splits, first_line))}
    sized = {
        name: {split: Split(size_bytes=_size(paths)) for split, paths in one.items()} for name, one in files.items()
    }
    return _fact(sha, sized, columns, "its files")


def _fact(sha: str, configs: Splits, columns: dict[str, list[str]], source: str) -> DatasetFact:
    known = {name: names for name, names in columns.items() if names}
    default = DEFAULT if DEFAULT in configs else next(iter(configs)) if len(configs) == 1 else None
    return DatasetFact(
        outcome=Outcome.FOUND, sha=sha, configs=configs, columns=known, default_config=default, source=source
    )


def _splits(told: Mapping[str, Any]) -> dict[str, Split]:
    listed = told.get("splits")
    if isinstance(listed, dict):  # the viewer gives a mapping, the card a list
        listed = list(listed.values())
    return {
        str(one["name"]): Split(rows=_number(one.get("num_examples")), size_bytes=_number(one.get("num_bytes")))
        for one in listed or ()
        if isinstance(one, dict) and "name" in one
    }


def _columns(told: Mapping[str, Any]) -> list[str]:
    features = told.get("features")
    if isinstance(features, dict):
        return [str(name) for name in features]
    return [str(one["name"]) for one in features or () if isinstance(one, dict) and "name" in one]


def _data_files(info: Mapping[str, Any]) -> dict[str, int | None]:
    listed = info.get("siblings")
    files = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {
        one["rfilename"]: _number(one.get("size"))
        for one in files
        if isinstance(one.get("rfilename"), str)
        and DATA_FILES.fullmatch(one["rfilename"])
        and not one["rfilename"].rpartition("/")[2].startswith((".", "dataset_infos"))
    }


def _by_config(card: Mapping[str, Any], files: Mapping[str, int | None]) -> dict[str, dict[str, dict[str, int | None]]]:
    """The files of each split, as the card's `configs` say or by their names."""
    named = card.get("configs")
    found: dict[str, dict[str, dict[str, int | None]]] = {}
    for one in named if isinstance(named, list) else ():
        if isinstance(one, dict) and one.get("data_files") is not None:
            found[str(one.get("config_name", DEFAULT))] = _listed(one["data_files"], files)
        elif isinstance(one, dict) and isinstance(one.get("data_dir"), str):
            folder = one["data_dir"].strip("./") + "/"
            inside = {path: size for path, size in files.items() if path.startswith(folder)}
            found[str(one.get("config_name", DEFAULT))] = _by_name(inside)
    if found:
        return found
    return {DEFAULT: _by_name(files)} if files else {}


def _listed(data_files: object, files: Mapping[str, int | None]) -> dict[str, dict[str, int | None]]:
    if isinstance(data_files, str) or (isinstance(data_files, list) and all(isinstance(x, str) for x in data_files)):
        data_files = [{"split": "train", "path": data_files}]
    found: dict[str, dict[str, int | None]] = {}
    for one in data_files if isinstance(data_files, list) else ():
        if isinstance(one, dict) and "split" in one:
            patterns = one.get("path")
            patterns = [patterns] if isinstance(patterns, str) else patterns or []
            found[str(one["split"])] = {
                path: size for path, size in files.items() if any(fnmatch(path, str(wanted)) for wanted in patterns)
            }
    return found


def _by_name(files: Mapping[str, int | None]) -> dict[str, dict[str, int | None]]:
    found: dict[str, dict[str, int | None]] = defaultdict(dict)
    for path, size in files.items():
        stem = re.sub(r"\.[a-z]+(\.[a-z0-9]+)?$", "", path)
        for split, words in SPLITS.items():
            if re.search(WORD.format(words), stem, re.IGNORECASE):
                found[split][path] = size
                break
    if found:
        return dict(found)
    return {"train": dict(files)} if files else {}


def _size(paths: Mapping[str, int | None]) -> int | None:
    sizes = list(paths.values())
    known = [size for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None


def _first_columns(splits: Mapping[str, Mapping[str, int | None]], first_line: FirstLine) -> list[str]:
    """Column names from the first file that can be read without loading it."""
    for paths in splits.values():
        for path in sorted(paths):
            if path.endswith((".jsonl", ".ndjson", ".json")) and (line := first_line(path)) is not None:
                try:
                    row = json.loads(line)
                except ValueError:
                    return []
                return [str(name) for name in row] if isinstance(row, dict) else []
            if path.endswith((".csv", ".tsv")) and (line := first_line(path)) is not None:
                return next(csv.reader([line], delimiter="\t" if path.endswith(".tsv") else ","), [])
            if path.endswith(".txt"):
                return ["text"]
    return []


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
