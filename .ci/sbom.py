"""Print what an image is made of, as CycloneDX 1.6: Debian's packages, CPython, Python packages, Go tools.

Runs inside a build as `python3 sbom.py NAME VERSION SITE_PACKAGES [module@version ...]`. It reads what is installed,
with the standard library alone, so that nothing is installed into an image to describe it. The same image gives the
same bytes. Own code rather than cyclonedx-bom, which knows no Debian packages: both lists would have to be merged here.
Not told: hashes of the packages, which requirements/ holds and pip has checked before anything was installed.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

DPKG_STATUS: Final = Path("/var/lib/dpkg/status")
OS_RELEASE: Final = Path("/etc/os-release")
CLASSIFIER: Final = "License :: OSI Approved :: "

Component = dict[str, Any]


def debian(status: str, release: str) -> Iterator[Component]:
    """List the packages that dpkg has installed. `status`: text of its status file; `release`: of os-release.

    Source: deb-control(5); the purl type `deb`.
    """
    found = re.search(r"^VERSION_ID=\"?([^\"\n]+)", release, re.MULTILINE)
    distribution = f"&distro=debian-{found[1]}" if found else ""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status") == "install ok installed":
            name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
            purl = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={architecture}{distribution}"
            yield {"type": "library", "name": name, "version": version, "purl": purl}


def python(installed: Iterable[Distribution]) -> Iterator[Component]:
    """List Python packages; the licence where a package states one by its SPDX expression or its classifier."""
    for one in installed:
        name, version = re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(), one.version
        component = {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{quote(version)}"}
        if expression := one.metadata.get("License-Expression"):
            component["licenses"] = [{"expression": expression}]
        elif named := [
            {"license": {"name": text.removeprefix(CLASSIFIER)}}
            for text in one.metadata.get_all("Classifier") or ()
            if text.startswith(CLASSIFIER)
        ]:
            component["licenses"] = named
        yield component


def go(modules: Iterable[str]) -> Iterator[Component]:
    """List tools that were built from Go modules, each given as `module@version`."""
    for module in modules:
        name, _, version = module.partition("@")
        yield {"type": "application", "name": name, "version": version, "purl": f"pkg:golang/{name}@{version}"}


def document(name: str, version: str, components: Iterable[Component]) -> dict[str, Any]:
    """Write the bill of an image. Source: CycloneDX 1.6."""
    known = {component["purl"]: {"bom-ref": component["purl"], **component} for component in components}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": name, "name": name, "version": version}},
        "components": [known[purl] for purl in sorted(known)],
    }


def main(name: str, version: str, site_packages: str, *modules: str) -> None:
    """Print the bill of the file system that this runs on, and of one folder of Python packages."""
    interpreter = platform.python_version()
    components = [
        *debian(DPKG_STATUS.read_text(), OS_RELEASE.read_text()),
        {
            "type": "platform",
            "name": "cpython",
            "version": interpreter,
            "purl": f"pkg:generic/cpython@{interpreter}",
        },
        *python(distributions(path=[site_packages])),
        *go(modules),
    ]
    json.dump(document(name, version, components), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
