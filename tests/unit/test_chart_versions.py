"""An endpoint's version in the chart: what makes a new one, and what does not. Needs helm."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
CHART = PROJECT / "charts" / "nexus"
OWN_BUILDS = sorted((PROJECT / ".nexus" / "bin").glob("helm-v*"))
HELM = shutil.which("helm") or (str(OWN_BUILDS[-1]) if OWN_BUILDS else "")

pytestmark = pytest.mark.skipif(not HELM, reason="helm is missing: `make chart-check` brings it")


@functools.cache
def versions(*settings: str, chart: Path = CHART) -> dict[str, str]:
    """Render the chart; give the version of each endpoint. `settings`: as in `payments.url=http://a`."""
    # A helm built by `go install` takes itself for a Kubernetes of long ago.
    command = [HELM, "template", "nexus", str(chart), "--kube-version", "1.34", "--namespace", "somewhere"]
    command += [word for setting in settings for word in ("--set", setting)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    objects = [found for found in yaml.safe_load_all(text) if found]
    (current,) = [found for found in objects if found["kind"] == "ConfigMap" and "current" in found["data"]]
    named = dict(part.split("=") for part in current["data"]["current"].split(","))
    for name, version in named.items():
        deployed = [found for found in objects if found["metadata"]["name"] == f"nexus-{name}-{version}"]
        assert sorted(found["kind"] for found in deployed) == ["Deployment", "Service"]
    return named


@pytest.mark.parametrize(
    "setting",
    [
        "ticket.replicas=5",
        "restate.replicas=3",
        "gateway.replicas=7",
        "register.keepSeconds=1",
        "networkPolicy.enabled=false",
        "monitoring.serviceMonitor.enabled=true",
        "auth.issuer=somebody",
    ],
)
def test_what_changes_no_pod_of_an_endpoint_makes_no_new_version(setting: str) -> None:
    """A new version drains the old one: that must not happen for nothing."""
    assert versions(setting) == versions()


@pytest.mark.parametrize(
    ("setting", "changed"),
    [
        ("image.tag=9.9.9", {"ticket", "seatmap", "checkout"}),
        ("logLevel=DEBUG", {"ticket", "seatmap", "checkout"}),
        ("otlp.endpoint=http://collector:4318", {"ticket", "seatmap", "checkout"}),
        ("ticket.image.tag=9.9.9", {"ticket"}),
        ("seatmap.podAnnotations.mine=yes", {"seatmap"}),
        ("checkout.resources.limits.memory=1Gi", {"checkout"}),
        ("payments.url=http://pay.example", {"checkout"}),
        ("mail.host=mail.example", {"checkout"}),
    ],
)
def test_every_change_of_an_endpoints_pod_makes_a_new_version_of_it_alone(setting: str, changed: set[str]) -> None:
    """An invocation in flight never meets a pod that is other than the one it began on."""
    before, after = versions(), versions(setting)
    assert {name for name in before if before[name] != after[name]} == changed


def test_other_keys_are_no_new_version() -> None:
    """Rotating the key of an external Restate changes a file of the pods, not the pods."""
    where = (
        "restate.external.enabled=true",
        "restate.external.ingressUrl=http://r",
        "restate.external.adminUrl=http://r",
    )
    one = versions(*where, "restate.external.identityKeys={publickeyv1_a}")
    both = versions(*where, "restate.external.identityKeys={publickeyv1_a,publickeyv1_b}")
    assert one == both


def test_a_new_chart_alone_makes_no_new_version(tmp_path: Path) -> None:
    """Its number is in no pod; neither are its comments and blank lines."""
    other = tmp_path / "nexus"
    shutil.copytree(CHART, other)
    described = (other / "Chart.yaml").read_text().replace("\nversion: 0.", "\nversion: 99.", 1)
    (other / "Chart.yaml").write_text(described)
    pods = other / "templates" / "_pod.tpl"
    pods.write_text(pods.read_text().replace("enableServiceLinks:", "# A comment.\n\nenableServiceLinks:"))
    assert versions(chart=other) == versions()
