"""Lints proto/ with buf in a workspace that also holds the google protos, which come as a Python package.

Nothing is fetched: buf's own registry is not needed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run `buf lint` on our module alone; give its exit code."""
    buf = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if buf is None:
        return 127
    google = Path(str(distribution("googleapis-common-protos").locate_file("google")))
    config = yaml.safe_load((ROOT / "buf.yaml").read_text())
    config["modules"].append({"path": "others"})
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        shutil.copytree(ROOT / "proto", workspace / "proto")
        for name in ("api", "rpc"):
            for source in (google / name).glob("*.proto"):
                target = workspace / "others" / "google" / name / source.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        (workspace / "buf.yaml").write_text(yaml.safe_dump(config))
        return subprocess.run([buf, "lint", "proto"], cwd=workspace, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
