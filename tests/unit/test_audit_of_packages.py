"""`make audit` ends with 1 for a known vulnerability, and never takes a list that it did not see for a clean one."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "audit.py"

CLEAN = {"name": "yarl", "version": "1.25.1", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI and could not be audited: ours (1.0)"}
"""As pip-audit 2.10.1 answered for a package that a mirror without a list was asked for."""

VULNERABLE = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [
        {"id": "PYSEC-2014-8", "fix_versions": ["2.7.2"], "aliases": ["CVE-2014-1402"], "description": "a text"},
        {"id": "PYSEC-0000-1", "fix_versions": [], "aliases": [], "description": "a text"},
    ],
}
AWAY = """\
ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed
ERROR:pip_audit._cli:Tip: your network may be blocking this service. Try another service with `-s SERVICE`
"""
"""What pip-audit 2.10.1 writes where it cannot connect."""

NOT_REACHED = "skipped: b.txt: the list of vulnerabilities cannot be reached"


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit_of_packages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def answer(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_packages_without_a_vulnerability_are_counted(audit: Any) -> None:
    """In one line."""
    verdict = audit.judge("runtime.txt", 0, answer(CLEAN, CLEAN), "")
    assert verdict == audit.Verdict(("ok: runtime.txt: 2 packages without a known vulnerability",), True, True)


def test_a_vulnerability_is_named_with_the_version_that_mends_it(audit: Any) -> None:
    """Each by its id."""
    verdict = audit.judge("runtime.txt", 1, answer(CLEAN, VULNERABLE), "Found 2 known vulnerabilities in 1 package")
    assert not verdict.is_clean
    assert verdict.lines == (
        "runtime.txt: jinja2 2.4.1 has PYSEC-2014-8, mended in 2.7.2",
        "runtime.txt: jinja2 2.4.1 has PYSEC-0000-1, not mended yet",
    )


def test_a_list_that_cannot_be_reached_is_said(audit: Any) -> None:
    """It is no failure, and no clean bill either."""
    verdict = audit.judge("b.txt", 1, "", AWAY)
    assert verdict.is_clean
    assert not verdict.is_reached
    assert verdict.lines == (NOT_REACHED,)


def test_a_mirror_that_knows_no_package_is_no_list(audit: Any) -> None:
    """pip-audit itself calls that `No known vulnerabilities found`, with exit code 0."""
    verdict = audit.judge("runtime.txt", 0, answer(UNKNOWN, UNKNOWN), "No known vulnerabilities found")
    assert not verdict.is_reached
    assert verdict.lines == ("skipped: runtime.txt: the list that is reached here knows none of its packages",)


def test_a_package_that_was_not_looked_up_is_named(audit: Any) -> None:
    """Beside what was found out about the others."""
    assert audit.judge("a.txt", 0, answer(CLEAN, UNKNOWN), "").lines == (
        "ok: a.txt: 1 packages without a known vulnerability",
        "skipped: a.txt: ours is not in the list",
    )


@pytest.mark.parametrize(
    ("code", "output", "errors"),
    [(1, "", "Traceback\nTypeError: a mistake"), (2, "", ""), (1, answer(CLEAN), ""), (0, "null", "")],
)
def test_an_answer_that_is_none_is_a_failure(audit: Any, code: int, output: str, errors: str) -> None:
    """A tool that breaks must not look like a list that is away."""
    assert not audit.judge("a.txt", code, output, errors).is_clean


@pytest.mark.parametrize(
    ("output", "errors", "code", "expected"),
    [
        (answer(CLEAN), "", 0, (0, "ok: b.txt: 1 packages without a known vulnerability\n" * 2)),
        (
            "",
            AWAY,
            1,
            (0, "skipped: b.txt: the list of vulnerabilities cannot be reached\nskipped: the other files too\n"),
        ),
        (answer(VULNERABLE), "", 1, (1, None)),
    ],
    ids=["clean", "away", "vulnerable"],
)
def test_the_exit_code_is_the_verdict(
    audit: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, errors: str, code: int, expected: Any
) -> None:
    """With a pip-audit that answers as the real one does; a list that is away is asked once."""
    fake, file = tmp_path / "pip-audit", tmp_path / "b.txt"
    (tmp_path / "out").write_text(output)
    (tmp_path / "err").write_text(errors)
    fake.write_text(f"#!/bin/sh\ncat {tmp_path}/out\ncat {tmp_path}/err >&2\nexit {code}\n")
    fake.chmod(0o755)
    ended = audit.audit(str(fake), [file, file])
    assert ended == expected[0]
    assert expected[1] in (None, capsys.readouterr().out)
