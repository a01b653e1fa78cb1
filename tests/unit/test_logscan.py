"""The look through all logs at the end of the integration tests finds what it is for, and cries no wolf."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.integration.logscan import leaks, leaks_under

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f'{{"event":"call","token":"{JWT}"}}', "bearer token"),
        ("authorization: Bearer 0123456789abcdef", "bearer token"),
        ("550 no such user: ada.l@example.org", "mail address"),
        ("declined card_success", "card token"),
        ("-----BEGIN PRIVATE KEY-----", "private key"),
    ],
)
def test_a_secret_in_a_log_is_found(line: str, kind: str) -> None:
    """With its log and its line, however deep it lies, and not in full."""
    # Not pytest's own folder, which is looked through in earnest at the end.
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder) / "home" / "log"
        logs.mkdir(parents=True)
        (logs / "gateway.log").write_text(f"fine\n{line}\n")
        [found] = leaks_under(Path(folder))
    assert (found.log, found.line, found.kind) == ("home/log/gateway.log", 2, kind)
    assert len(found.begin) <= 12


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"call","rpc":"/nexus.v1.CheckoutService/Checkout","email":"[hidden]"}',
        "Bearer [hidden]",
        "http://127.0.0.1:8080/Checkout/o-1/process",
        "restate-server@1.7.12",
        "discard_old",
    ],
)
def test_what_is_no_secret_is_left_alone(line: str) -> None:
    """Versions, paths, hidden values."""
    assert list(leaks("log", line)) == []
