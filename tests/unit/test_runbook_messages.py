"""The runbook knows every sentence with which a process, a Job or the chart refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "operations.md"
VALIDATE = ROOT / "charts" / "nexus" / "templates" / "_validate.tpl"
# Names of what stops a process or a Job; their texts are what an operator reads.
REFUSALS = frozenset(
    {
        *("refuse_start", "ConfigError", "AuthConfigError", "CertificateError", "IdentityKeysError", "SealKeysError"),
        *("RegistrationError", "AdminError", "ClusterError", "NotAnsweringError"),
        *("StackError", "ValueError"),
    }
)
# `nexus cluster` and `nexus run`; the rest of the command line talks to developers.
COMMANDS = ("cluster.py", "clusterkeys.py", "rotation.py", "run.py")
SHORTEST = 10
"""What is shorter stands between two values and says nothing by itself."""


def python_files() -> Iterator[Path]:
    services = ROOT / "services"
    for path in sorted([*services.rglob("*.py"), *(ROOT / "simulators").glob("*.py")]):
        if "gen" in path.parts or (path.parent.name == "cli" and path.name not in COMMANDS):
            continue
        yield path


def longest_text(node: ast.expr) -> str:
    """Give the longest piece of a message that is the same in every case."""
    texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return max(texts, key=len, default="").strip(" ,;:()'")


def messages(path: Path) -> Iterator[str]:
    """Give the messages that a file refuses with."""
    only_settings = "services/registrar" not in path.as_posix() and path.name not in COMMANDS
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name not in REFUSALS or (name in {"ValueError", "StackError"} and only_settings):
            continue
        for argument in node.args:
            parts = argument.values if isinstance(argument, ast.Dict) else [argument]
            for part in parts:
                text = longest_text(part)
                if len(text) >= SHORTEST and " " in text:
                    yield text


def chart_messages() -> Iterator[str]:
    """Give what the chart refuses with: the sentences in its list of refusals."""
    for text in re.findall(r'^- "(.*)"$', VALIDATE.read_text(), re.MULTILINE):
        yield max(re.split(r"{{.*?}}", text), key=len).strip(" ,;:.()'")


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\\|", "|"))


ALL = sorted({text for path in python_files() for text in messages(path)} | set(chart_messages()))


def test_messages_are_found_at_all() -> None:
    """The control: of each kind one that is known to be there."""
    for known in ("is answered by something else", "upgrade Restate", "which production: true refuses"):
        assert any(known in text for text in ALL), known


@pytest.mark.parametrize("text", ALL)
def test_the_runbook_tells_what_to_do_about_a_message(text: str) -> None:
    """Its words stand in the table of messages, so that a search for them finds the row."""
    is_told = plain(text) in plain(RUNBOOK.read_text())
    assert is_told, f"docs/operations.md, Messages, has no row with: {text}"
