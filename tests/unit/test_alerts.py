"""Alerts and the dashboard read numbers that exist, fire when they should, and lead to their page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.unit import promql

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "charts" / "nexus" / "alerts" / "nexus.yaml"
CASES = ROOT / "tests" / "alerts" / "nexus.yaml"
DASHBOARD = ROOT / "charts" / "nexus" / "dashboards" / "nexus.json"
RUNBOOK = ROOT / "docs" / "operations.md"
NUMBERS = ROOT / "docs" / "metrics.md"

RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
NAMED = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}


def dashboard_expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def expressions() -> list[str]:
    return [rule["expr"] for rule in RULES] + dashboard_expressions()


def told_metrics() -> set[str]:
    """Name what docs/metrics.md lists; a histogram and a summary stand for the series they are made of."""
    return set(re.findall(r"^\|[^`\n]*`([a-z_]+)` \|", NUMBERS.read_text(), re.MULTILINE))


def promtool() -> str:
    found = shutil.which("promtool", path=f"{ROOT / '.nexus' / 'bin'}") or shutil.which("promtool")
    if found is None:
        pytest.skip("promtool cannot be had here: `make promtool` builds it where Go is")
    return found


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() -> None:
    """The link of an alert leads somewhere, and the page tells of no alert that cannot fire."""
    sections = re.findall(r"^#+ (Nexus[A-Za-z]+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(NAMED)


def test_every_link_inside_the_runbook_leads_somewhere() -> None:
    """Nobody looks for a section at 3 a.m."""
    text = RUNBOOK.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


@pytest.mark.parametrize("name", sorted(NAMED))
def test_an_alert_says_how_urgent_it_is_and_what_is_the_matter(name: str) -> None:
    """In labels that its expression leaves over."""
    rule = NAMED[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = [{label.strip() for label in labels.split(",")} for labels in re.findall(r"by \(([^)]*)\)", rule["expr"])]
    assert not kept or used <= set.intersection(*kept), "a label that is summed away cannot be shown"


def test_every_number_that_is_read_is_on_the_page_of_numbers() -> None:
    """Else an alert waits for a metric that nobody exports."""
    told = told_metrics() | RECORDED
    for expression in expressions():
        for name in promql.metrics(expression):
            plain = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in told or plain in told, f"docs/metrics.md has no row for {name}"


def test_every_number_is_read_of_this_release_alone() -> None:
    """Two releases in one cluster must not wake each other's people."""
    for expression in expressions():
        found = promql.selectors(expression)
        assert {name for name, _ in found} == promql.metrics(expression), f"a metric without a selector: {expression}"
        for name, labels in found:
            assert 'namespace="NAMESPACE"' in labels, (name, expression)
            assert 'release="RELEASE"' in labels or name.startswith("kube"), (name, expression)


def test_the_expressions_are_read_as_they_are_meant() -> None:
    """The control of the tests above: a metric without braces, in a sum, or with braces in a text is found."""
    assert promql.metrics('sum by (a) (rate(x_total{route="/v1/{id}"}[5m])) / max(y) or vector(0)') == {"x_total", "y"}
    assert promql.selectors('x{namespace="NAMESPACE",a="{b}"} > y') == [("x", 'namespace="NAMESPACE",a=""')]


def test_every_alert_is_shown_to_fire_and_to_be_silent() -> None:
    """By a case of tests/alerts, which promtool runs; that of the sale in full swing expects silence of all."""
    cases = [case for group in yaml.safe_load(CASES.read_text())["tests"] for case in group.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(NAMED)


def test_promtool_accepts_the_rules_and_their_cases_hold() -> None:
    """As Prometheus itself evaluates them."""
    for command in (["check", "rules", "--lint=all", "--lint-fatal", str(ALERTS)], ["test", "rules", str(CASES)]):
        done = subprocess.run([promtool(), *command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_what_the_dashboard_asks(tmp_path: Path) -> None:
    """Each as a recording rule: it parses, and its functions have the arguments that they need."""
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(dashboard_expressions())]
    file = tmp_path / "dashboard.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool(), "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
