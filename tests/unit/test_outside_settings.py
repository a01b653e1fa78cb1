"""What `checkout` is told of the world outside is checked before anything is served."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from services.checkout.settings import check
from services.common.config import ConfigError

SEAL = {"NEXUS_SEAL_KEYS": f"k1:{base64.b64encode(bytes(32)).decode()}"}
USER = {"NEXUS_MAIL_USERNAME": "nexus", "NEXUS_MAIL_PASSWORD": "hunter2"}


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"NEXUS_SEAL_KEYS": "k1:hunter2"}, {"NEXUS_SEAL_KEYS"}),
        ({"NEXUS_PAYMENTS_TOKEN": "hunter2\nX-Other: header"}, {"NEXUS_PAYMENTS_TOKEN"}),
        ({"NEXUS_PAYMENTS_TOKEN": "hunter2 "}, {"NEXUS_PAYMENTS_TOKEN"}),
        ({"NEXUS_MAIL_USERNAME": "hunter2"}, {"NEXUS_MAIL_PASSWORD"}),
        ({"NEXUS_MAIL_PASSWORD": "hunter2", "NEXUS_MAIL_TLS": "tls"}, {"NEXUS_MAIL_USERNAME"}),
        (USER, {"NEXUS_MAIL_TLS"}),
        ({"NEXUS_MAIL_TLS": "ssl"}, {"NEXUS_MAIL_TLS"}),
        ({"NEXUS_MAIL_CA_FILE": __file__}, {"NEXUS_MAIL_TLS", "NEXUS_MAIL_CA_FILE"}),
        ({"NEXUS_MAIL_CA_FILE": "/no/hunter2", "NEXUS_MAIL_TLS": "tls"}, {"NEXUS_MAIL_CA_FILE"}),
    ],
)
def test_what_cannot_work_is_named(environ: dict[str, str], named: set[str]) -> None:
    """Every variable at fault, and no value."""
    with pytest.raises(ConfigError) as caught:
        check(SEAL | environ)
    assert set(caught.value.problems) == named
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_what_can_work_is_read(tls: str) -> None:
    """And no secret of it is ever printed."""
    settings = check(SEAL | USER | {"NEXUS_MAIL_TLS": tls, "NEXUS_PAYMENTS_TOKEN": "hunter2"})
    assert settings.mail_password is not None
    assert settings.mail_password.reveal() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_a_checkout_with_wrong_settings_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a line for each, before a process is forked."""
    from services.cli.keys import ensure
    from services.common.endpoint import run

    environ = {"NEXUS_IDENTITY_KEYS": ensure(tmp_path).identity_public, "NEXUS_MAIL_USERNAME": "nexus"}
    with pytest.raises(SystemExit) as caught:
        run("checkout", "services.checkout.app", environ | SEAL)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("nexus: cannot start: NEXUS_MAIL_PASSWORD: is required")
