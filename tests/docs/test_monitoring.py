"""The dashboard and the alert rules are whole. That what they ask for is exported: tests/pages/test_commands.py."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import blocks
from tests.docs.rules import ALERTS, DASHBOARD, alerts, panels
from tests.docs.test_typed_elsewhere import needs

UNITS = {"short", "s", "currencyUSD", "percentunit"}
# For each alert, series in which it has to fire after an hour, and one in which it must not.
FIRES = {
    "TunegateNotScraped": ([], ["tunegate_leads 1x90"]),
    "TunegateNobodyRunsTheSteps": (
        ["tunegate_leads 0x90"],
        ['tunegate_leads{instance="a"} 0x90', 'tunegate_leads{instance="b"} 1x90'],
    ),
    "TunegateStepStandsStill": (
        [
            'tunegate_leads{instance="a",job="t"} 1x90',
            'tunegate_step_age_seconds{step="watch",instance="a",job="t"} 1000x90',
        ],
        [
            'tunegate_leads{instance="a",job="t"} 0x90',
            'tunegate_step_age_seconds{step="watch",instance="a",job="t"} 1000x90',
        ],
    ),
    "TunegateNothingStarts": (
        ['tunegate_queued_runs{team="a"} 2x90', 'tunegate_active_runs{team="a"} 0x90'],
        ['tunegate_queued_runs{team="a"} 2x90', 'tunegate_active_runs{team="a"} 1x90'],
    ),
    "TunegateRunWaitsLong": (["tunegate_oldest_queued_seconds 90000x90"], ["tunegate_oldest_queued_seconds 80000x90"]),
    "TunegatePricesOld": (["tunegate_prices_age_seconds 4000x90"], ["tunegate_prices_age_seconds 60x90"]),
    "TunegateBudgetNearlySpent": (
        [
            f'tunegate_budget_{what}_usd{{budget="a",period="month"}} {usd}x90'
            for what, usd in (("charged", 4), ("reserved", 1), ("remaining", 0.1))
        ],
        [
            f'tunegate_budget_{what}_usd{{budget="a",period="month"}} {usd}x90'
            for what, usd in (("charged", 4), ("reserved", 1), ("remaining", 5))
        ],
    ),
    "TunegateBudgetOverrun": (
        ['tunegate_budget_remaining_usd{budget="a",period="month"} -1x90'],
        ['tunegate_budget_remaining_usd{budget="a",period="month"} 0x90'],
    ),
    "TunegateLiveStrays": (
        ['tunegate_live_strays{kind="late_job"} 1x90'],
        ['tunegate_live_strays{kind="outside"} 1x90'],
    ),
    "TunegateBillingDrift": (
        ["tunegate_billing_drifted_attempts 3x30 4x60"],
        ["tunegate_billing_drifted_attempts 3x90"],
    ),
    "TunegateDeliveriesPileUp": (["tunegate_pending_deliveries 900x90"], ["tunegate_pending_deliveries 9x90"]),
    "TunegateWebhooksLate": (["tunegate_webhook_lag_seconds 90x90"], ["tunegate_webhook_lag_seconds 9x90"]),
    "TunegateHubCallsUsedUp": (
        ['tunegate_hub_calls_left{team=""} 100x90', 'tunegate_hub_calls_limit{team=""} 2500x90'],
        ['tunegate_hub_calls_left{team=""} 400x90', 'tunegate_hub_calls_limit{team=""} 2500x90'],
    ),
}


def test_every_panel_says_what_it_shows_and_in_what() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert board["title"] == "Tunegate"
    assert len({panel["id"] for panel in panels()}) == len(panels()) > 10
    for panel in panels():
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["targets"], panel["title"]
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_no_two_panels_lie_on_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_scrape_settings_that_are_shown_are_read() -> None:
    [block] = blocks("yaml")
    [job] = yaml.safe_load(block.text)["scrape_configs"]
    assert job["authorization"]["credentials_file"]
    assert [ALERTS.name] == yaml.safe_load(block.text)["rule_files"]


def test_every_alert_says_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert names == list(FIRES)
    for rule in alerts():
        assert re.fullmatch(r"Tunegate[A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert len(rule["annotations"]["description"]) > 80, rule["alert"]


@needs("promtool")
def test_prometheus_takes_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(ALERTS)], check=True, timeout=60)


@needs("promtool")
@pytest.mark.parametrize("alert", FIRES)
def test_an_alert_fires_when_it_should_and_not_otherwise(alert: str, tmp_path: Path) -> None:
    fires, rests = FIRES[alert]
    [rule] = [rule for rule in alerts() if rule["alert"] == alert]
    rules = {"groups": [{"name": "one", "rules": [{**rule, "annotations": {}}]}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    for series, is_firing in ((fires, True), (rests, False)):
        (tmp_path / "test.yml").write_text(yaml.safe_dump(_test_of(alert, series, is_firing, rule)))
        ran = subprocess.run(
            ["promtool", "test", "rules", "test.yml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def _test_of(alert: str, series: list[str], is_firing: bool, rule: dict[str, Any]) -> dict[str, Any]:
    inputs = [one.split(" ", 1) for one in series]
    labels = {"budget", "period", "kind", "step", "instance", "job"} if "sum(" not in rule["expr"] else {"kind"}
    given = {name: value for name, value in re.findall(r'(\w+)="(\w+)"', " ".join(series)) if name in labels}
    firing = [{"exp_labels": {**rule["labels"], **given}}]
    return {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in inputs],
                "alert_rule_test": [{"eval_time": "1h", "alertname": alert, "exp_alerts": firing if is_firing else []}],
            }
        ],
    }
