"""What the dashboard and the alert rules ask Prometheus."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.docs.pages import ROOT

DASHBOARD = ROOT / "docs" / "monitoring" / "grafana-dashboard.json"
ALERTS = ROOT / "docs" / "monitoring" / "alerts.yml"


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def alerts() -> list[dict[str, Any]]:
    """All rules of all groups."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def expressions(path: Path) -> list[str]:
    """Every question of a file."""
    if path == ALERTS:
        return [rule["expr"] for rule in alerts()]
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def used(path: Path) -> set[str]:
    """The metrics that a file asks for."""
    return {family(name) for name in re.findall(r"\btunegate_\w+", " ".join(expressions(path)))}


def family(name: str) -> str:
    """Of a histogram's many names the one."""
    return re.sub(r"(_seconds)_(bucket|sum|count|created)$", r"\1", name)


def grouped_by(path: Path) -> set[str]:
    """The labels that a file groups or matches by."""
    text = " ".join(expressions(path))
    listed = ", ".join(re.findall(r"\b(?:by|on) \(([^)]*)\)", text)).split(", ")
    return {*listed, *re.findall(r"[{,](\w+)[!=]", text)}
