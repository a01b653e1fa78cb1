"""The walk that README.md prints under "On Kubernetes", pasted into one bash, on the machine of the user."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import kubernetes
import yaml

from tests.e2e.release import PROJECT, Release

SECONDS = 240
FORWARD = "kubectl port-forward service/nexus-gateway 50051 8000 >/dev/null &\n"


def walk() -> str:
    """Give the second block of the section: the first installs what the shared release is."""
    section = (PROJECT / "README.md").read_text().split("\n## On Kubernetes\n")[1].split("\n## ")[0]
    _, found = re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def kubeconfig_of(namespace: str, folder: Path) -> Path:
    """Write the current kubeconfig with another namespace."""
    source = Path(os.environ.get("KUBECONFIG") or kubernetes.config.KUBE_CONFIG_DEFAULT_LOCATION).expanduser()
    config = yaml.safe_load(source.read_text())
    next(item for item in config["contexts"] if item["name"] == config["current-context"])["context"]["namespace"] = (
        namespace
    )
    found = folder / "kubeconfig"
    found.write_text(yaml.safe_dump(config))
    return found


def test_the_walk_of_the_readme_sells_a_seat_in_the_cluster(trial: Release, tmp_path: Path) -> None:
    """Port-forward, the trial's key, an event, a hold, a checkout, `helm test`: each ends well, the seat is sold."""
    text = walk()
    assert FORWARD in text
    grpc, http = free_port(), free_port()
    # Whoever types takes longer than the port-forward needs.
    wait = f"until (: </dev/tcp/127.0.0.1/{grpc}) 2>/dev/null; do sleep 0.1; done\n"
    script = text.replace(FORWARD, FORWARD.replace("50051 8000", f"{grpc}:50051 {http}:8000") + wait)
    script = script.replace("127.0.0.1:50051", f"127.0.0.1:{grpc}")
    (tmp_path / ".nexus").mkdir()
    environ = os.environ | {
        "KUBECONFIG": str(kubeconfig_of(trial.namespace, tmp_path)),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
    }
    done = subprocess.run(
        ["timeout", str(SECONDS), "bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environ,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ORDER_STATE_CONFIRMED" in done.stdout
    assert "Phase:          Succeeded" in done.stdout
