"""Generates services/gateway/gen from proto/: `python -m services.gateway.generate [--check]`.

Needs grpcio-tools; the running gateway does not. No stubs are generated: the gateway serves and
routes by descriptors alone.
"""

from __future__ import annotations

import re
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc  # type: ignore[import-untyped]

from services.gateway import comments

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
GEN = Path(__file__).resolve().parent / "gen"
PACKAGE = "services.gateway.gen"

_INIT = '"""Generated from proto/ by `make proto`: edit the proto instead."""\n'


def render() -> dict[Path, str]:
    """Run protoc and give every generated file's text by its path under gen/."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    # google/rpc is a regular package next to google/api; its folder's grandparent is protoc's root.
    google_apis = str(files("google.rpc").joinpath("../.."))
    well_known = str(files("grpc_tools").joinpath("_proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        image = out / "image.binpb"
        arguments = [
            "protoc",
            f"-I{PROTO}",
            f"-I{Path(google_apis).resolve()}",
            f"-I{well_known}",
            f"--python_out={out}",
            f"--pyi_out={out}",
            "--include_source_info",
            f"--descriptor_set_out={image}",
            *sources,
        ]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc failed")
        texts = {
            path.relative_to(out): _own_imports(path.read_text())
            for pattern in ("*.py", "*.pyi")
            for path in sorted(out.rglob(pattern))
        }
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    texts.update(_described(descriptors))
    packages = {parent for path in texts for parent in path.parents}
    texts.update({package / "__init__.py": _INIT for package in packages})
    return texts


def _described(descriptors: descriptor_pb2.FileDescriptorSet) -> dict[Path, str]:
    """Give the files made from the descriptors with their comments, which protoc's Python leaves out."""
    return {comments.FILE: comments.render(descriptors)}


def _own_imports(text: str) -> str:
    """Let generated modules import one another as parts of this package, not as a top-level `nexus`."""
    text = re.sub(r"^from nexus\.", f"from {PACKAGE}.nexus.", text, flags=re.MULTILINE)
    return text.replace(
        "_builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, 'nexus.",
        f"_builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, '{PACKAGE}.nexus.",
    )


def _present() -> dict[Path, str]:
    kept = (path for path in GEN.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(GEN): path.read_text() for path in kept}


def main(arguments: list[str]) -> int:
    """Write the generated files, or with --check tell whether they are up to date."""
    wanted, present = render(), _present()
    stale = sorted(str(path) for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path))
    if "--check" in arguments:
        for name in stale:
            sys.stderr.write(f"not up to date: services/gateway/gen/{name} (run `make proto`)\n")
        return 1 if stale else 0
    for path in present.keys() - wanted.keys():
        (GEN / path).unlink()
    for path, text in wanted.items():
        (GEN / path).parent.mkdir(parents=True, exist_ok=True)
        (GEN / path).write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
