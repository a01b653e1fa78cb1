"""The bill of an image names what is installed in it, once each, and nothing that is not."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "sbom.py"
STATUS = """\
Package: libssl3t64
Status: install ok installed
Architecture: amd64
Version: 3.5.1-1+deb13u1
Description: a text
 Package: not a field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2:2026b-0
"""
RELEASE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\n'


@pytest.fixture(scope="module")
def sbom() -> Any:
    spec = importlib.util.spec_from_file_location("sbom_of_image", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_debian_packages_are_those_that_are_installed(sbom: Any) -> None:
    """With their version as a purl writes it; one that was removed and left its settings is not there."""
    assert [component["purl"] for component in sbom.debian(STATUS, RELEASE)] == [
        "pkg:deb/debian/libssl3t64@3.5.1-1%2Bdeb13u1?arch=amd64&distro=debian-13",
        "pkg:deb/debian/tzdata@2%3A2026b-0?arch=all&distro=debian-13",
    ]


def test_every_python_package_is_told_with_its_version(sbom: Any) -> None:
    """Those of this very environment."""
    folder = sysconfig.get_path("purelib")
    told = {component["name"]: component["version"] for component in sbom.python(distributions(path=[folder]))}
    assert len(told) > 50
    for one in distributions(path=[folder]):
        assert told[one.metadata["Name"].lower().replace("_", "-").replace(".", "-")] == one.version


def test_a_component_is_told_once_and_in_order(sbom: Any) -> None:
    """So that two bills of one image are the same bytes."""
    twice = [*sbom.go(["helm.sh/helm/v3@v3.19.5"]), *sbom.debian(STATUS, RELEASE)] * 2
    components = sbom.document("nexus", "0.1.0", twice)["components"]
    refs = [component["bom-ref"] for component in components]
    assert refs == sorted(set(refs))
    assert "pkg:golang/helm.sh/helm/v3@v3.19.5" in refs


@pytest.mark.skipif(not Path("/var/lib/dpkg/status").exists(), reason="there is no dpkg here")
def test_the_command_prints_a_whole_bill() -> None:
    """Of the machine that it runs on, with the standard library alone."""
    command = [sys.executable, "-I", SCRIPT, "nexus", "0.1.0", sysconfig.get_path("purelib")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bill = json.loads(printed)
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["version"]) == (
        "CycloneDX", "1.6", "0.1.0",
    )  # fmt: skip
    kinds = {component["purl"].split("/")[0] for component in bill["components"]}
    assert kinds == {"pkg:deb", "pkg:generic", "pkg:pypi"}
